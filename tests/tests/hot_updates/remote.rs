//! A filter fetches its configuration itself (`remote_config`), and nobody tells Envoy.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use legation_tests::load::{Answer, Effects, none_failed, version_of};
use legation_tests::{
    Client, Config, DEADLINE, Load, RawConnection, Received, Reply, ReportOnPanic, Request, Stage,
    Upstream, WatchedFilter, wait_for, wasm_filter,
};
use serde_json::{Value, json};

use super::{CONNECTIONS, VERSION, ensure_both_workers, version};

/// A server of documents, which can be made to fail.
struct Policies {
    server: Upstream,
    says: Arc<Mutex<Reply>>,
}

impl Policies {
    /// One that has nothing to say.
    fn start() -> Result<Self> {
        let says = Arc::new(Mutex::new(Reply::status(503)));
        let said = Arc::clone(&says);
        let answer = move |_: &Received| said.lock().expect("nobody panics with it").clone();
        let server = Upstream::answering(answer)?;
        Ok(Self { server, says })
    }

    fn says(&self, reply: Reply) {
        *self.says.lock().expect("nobody panics with it") = reply;
    }

    fn serves(&self, document: &Value) {
        self.says(Reply::json(document));
    }
}

/// The document of this version, for `header-tag`.
fn tagged(version: usize) -> Value {
    json!({"rules": [{"response": {"set": {"x-version": version.to_string()}}}]})
}

/// Where the documents of this site are.
fn remote(site: &str, more: &Value) -> Value {
    let mut remote = json!({
        "http_uri": {
            "uri": format!("https://policies.example/{site}.json"),
            "cluster": format!("policies-{site}"),
            "timeout": "0.5s",
        },
        "refresh_delay": "100ms",
    });
    let all = remote.as_object_mut().expect("an object");
    all.extend(more.as_object().expect("an object").clone());
    json!({ "remote_config": remote })
}

/// One Envoy for all tests. Each site is a listener with the filter, and has a server of its own.
struct Sites {
    stage: Stage,
    policies: Vec<(&'static str, Policies)>,
    watched: WatchedFilter,
}

/// The site whose filter's configuration Envoy watches.
const WATCHED: &str = "watched";

/// The site with a suite, of a module that is smaller than that of our filters.
const SUITE: &str = "suite";

const SITES: [&str; 5] = ["swapped", "wrong", "late", "begun", SUITE];

impl Sites {
    fn start() -> Result<Self> {
        let watched = WatchedFilter::new(
            "header-tag",
            &remote(WATCHED, &json!({"initial": tagged(1)})),
        )?;
        let mut config = watched.insert_into(Config::plain()?);
        let mut policies = Vec::new();
        for site in SITES {
            let module = if site == SUITE { "mixed" } else { "header-tag" };
            config = config.add_chain(site, &[wasm_filter(module, remote(site, &json!({})))]);
        }
        for site in SITES.into_iter().chain([WATCHED]) {
            let server = Policies::start()?;
            config = config.add_endpoint(&format!("policies-{site}"), server.server.address());
            policies.push((site, server));
        }
        let upstream = Upstream::echo()?;
        Ok(Self {
            stage: Stage::with_upstream(&config.concurrency(2), upstream)?,
            policies,
            watched,
        })
    }

    fn policies(&self, site: &str) -> &Policies {
        let found = self.policies.iter().find(|(name, _)| *name == site);
        &found.expect("a site").1
    }

    /// A client of the site with a connection of its own.
    fn client(&self, site: &str) -> Result<Client> {
        let address = if site == WATCHED {
            self.stage.envoy().address()?
        } else {
            self.stage.envoy().listener(site)?
        };
        Ok(Client::http1(address))
    }

    /// Waits until so many new connections in a row show this version.
    fn wait_for_version(&self, site: &str, expected: usize) -> Result<()> {
        wait_for(&format!("version {expected} of {site}"), DEADLINE, || {
            for _ in 0..CONNECTIONS {
                let response = self.client(site)?.send(Request::get("/"))?;
                if response.status != 200 || version(&response.headers) != Some(expected) {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
    }

    /// Waits until the server of the site has been asked so often once more.
    fn wait_for_fetches(&self, site: &str, count: usize) -> Result<()> {
        let server = &self.policies(site).server;
        server.wait_for_count(server.count() + count, DEADLINE)?;
        Ok(())
    }
}

fn sites() -> Result<(&'static Sites, ReportOnPanic<'static>)> {
    static SITES: OnceLock<Result<Sites, String>> = OnceLock::new();
    let sites = SITES.get_or_init(|| Sites::start().map_err(|error| format!("{error:?}")));
    let sites = sites.as_ref().map_err(|error| anyhow!(error.clone()))?;
    Ok((sites, sites.stage.report_on_panic()))
}

#[test]
fn no_request_fails_while_20_documents_take_each_others_place_on_both_workers() -> Result<()> {
    let (sites, _report) = sites()?;
    let policies = sites.policies("swapped");
    policies.serves(&tagged(0));
    sites.wait_for_version("swapped", 0)?;
    let address = sites.client("swapped")?.address();
    let load = Load::start(address, CONNECTIONS, 200, |_| Request::get("/"));
    let shown = |answer: &Answer| version_of(answer, VERSION).map(Some);
    let effects = Effects::of(&load, 20, shown, |now| {
        policies.serves(&tagged(now));
        Ok(())
    })?;
    let answers = load.stop();
    println!(
        "header-tag, polled every 100 ms, 200/s: {}",
        effects.summary()
    );
    println!("    {}", none_failed(&answers)?);
    ensure_both_workers(&sites.stage)?;
    Ok(())
}

#[test]
fn whatever_the_server_says_the_last_good_document_stays_in_effect() -> Result<()> {
    const SITE: &str = "wrong";
    let (sites, _report) = sites()?;
    let policies = sites.policies(SITE);
    policies.says(Reply::json(&tagged(1)).header("etag", "\"one\""));
    sites.wait_for_version(SITE, 1)?;
    // Of a server that knows what it has served before.
    let known = |request: &Received| request.headers.get("if-none-match") == Some(b"\"one\"");
    policies
        .server
        .wait_for("a request with the tag", DEADLINE, known)?;
    policies.says(Reply::status(304));
    sites.wait_for_fetches(SITE, 2)?;

    let huge = format!(r#"{{"rules": "{}"}}"#, "x".repeat(10 << 20));
    for reply in [
        Reply::ok().body("<html>Sorry!</html>"),
        Reply::ok(),
        Reply::ok().body(b"\xff\xfe\x00{"),
        Reply::status(500).body(tagged(2).to_string()),
        Reply::status(302).header("location", "https://elsewhere.example/"),
        Reply::ok().body(huge),
        Reply::reset(),
        Reply::hang(),
        Reply::ok()
            .body("{")
            .pause(Duration::from_secs(2))
            .body("}"),
        Reply::json(&json!({"rules": [{"respons": {}}, {"response": {"set": {"a b": "c"}}}]})),
    ] {
        policies.says(reply);
        sites.wait_for_fetches(SITE, 2)?;
        let response = sites.client(SITE)?.send(Request::get("/"))?;
        ensure!(version(&response.headers) == Some(1), "{response}");
    }
    let envoy = sites.stage.envoy();
    for error in [
        "fetched configuration refused: rules[0].respons: unknown field; did you mean `response`?",
        "fetched configuration refused: rules[1].response.set[",
        "expected a JSON object",
        "the answer has status 500",
        "the answer has 104857",
        "the callout timed out",
    ] {
        envoy.wait_for_log(error, DEADLINE)?;
    }
    policies.serves(&tagged(2));
    sites.wait_for_version(SITE, 2)?;
    // Of all the sites of the filter.
    let admin = sites.stage.admin();
    for counter in ["updated", "unchanged", "rejected", "failed"] {
        let name = format!("wasmcustom.header_tag.remote_config.{counter}");
        admin.wait_for_stat(&name, DEADLINE, |count| count > 0)?;
    }
    Ok(())
}

#[test]
fn requests_are_refused_until_the_first_document_is_there() -> Result<()> {
    const SITE: &str = "late";
    let (sites, _report) = sites()?;
    for _ in 0..CONNECTIONS {
        let response = sites
            .client(SITE)?
            .send(Request::post("/", "a body").header("x-never", "arrives"))?;
        ensure!(response.status == 503, "{response}");
        ensure!(response.text() == "not configured yet\n", "{response}");
    }
    let upstream = sites.stage.upstream().requests();
    let arrived = |request: &Received| request.headers.contains("x-never");
    ensure!(!upstream.iter().any(arrived));
    sites.policies(SITE).serves(&tagged(7));
    sites.wait_for_version(SITE, 7)
}

#[test]
fn a_request_under_way_ends_by_the_document_that_it_began_with() -> Result<()> {
    const SITE: &str = "begun";
    let (sites, _report) = sites()?;
    let policies = sites.policies(SITE);
    policies.serves(&tagged(1));
    sites.wait_for_version(SITE, 1)?;
    let mut slow = RawConnection::open(sites.client(SITE)?.address())?;
    slow.send(b"POST / HTTP/1.1\r\nhost: slow\r\ncontent-length: 2\r\n\r\na")?;
    let begun = "http.begun.downstream_rq_active";
    sites
        .stage
        .admin()
        .wait_for_stat(begun, DEADLINE, |active| active == 1)?;
    policies.serves(&tagged(2));
    sites.wait_for_version(SITE, 2)?;
    slow.send(b"b")?;
    let answer = slow.read_until(b"\r\n\r\n")?;
    let answer = String::from_utf8_lossy(&answer).to_ascii_lowercase();
    ensure!(answer.starts_with("http/1.1 200 "), "{answer}");
    ensure!(answer.contains("\r\nx-version: 1\r\n"), "{answer}");
    Ok(())
}

#[test]
fn a_configuration_that_comes_later_begins_with_the_last_good_document() -> Result<()> {
    let (sites, _report) = sites()?;
    let policies = sites.policies(WATCHED);
    sites.wait_for_version(WATCHED, 1)?;
    policies.serves(&tagged(2));
    sites.wait_for_version(WATCHED, 2)?;

    // From here on nobody serves it, and Envoy has the filter made anew on all its threads.
    policies.says(Reply::status(500));
    let address = sites.client(WATCHED)?.address();
    let load = Load::start(address, CONNECTIONS, 200, |_| Request::get("/"));
    let updated = || -> Result<u64> {
        let name = "extension_config_discovery.http_filter.header-tag.config_reload";
        Ok(sites.stage.admin().stat(name)?.unwrap_or_default())
    };
    let before = updated()?;
    let anew = remote(
        WATCHED,
        &json!({"initial": tagged(1), "refresh_delay": "200ms"}),
    );
    sites.watched.write(&anew)?;
    wait_for("the update", DEADLINE, || {
        Ok((updated()? > before).then_some(()))
    })?;
    sites.wait_for_version(WATCHED, 2)?;
    let answers = load.stop();
    none_failed(&answers)?;
    for answer in &answers {
        if let Ok(response) = &answer.outcome {
            ensure!(version(&response.headers) == Some(2), "{response}");
        }
    }
    policies.serves(&tagged(3));
    sites.wait_for_version(WATCHED, 3)
}

#[test]
fn a_suite_has_one_document_for_all_its_filters() -> Result<()> {
    let (sites, _report) = sites()?;
    let marks = |marks: &[&str]| -> Vec<Value> {
        let one = |mark: &&str| json!({"name": "mark", "config": {"mark": mark}});
        marks.iter().map(one).collect()
    };
    let wait_for_marks = |expected: &[&[u8]]| {
        wait_for("the marks", DEADLINE, || {
            let response = sites.client(SUITE)?.send(Request::get("/"))?;
            Ok((response.headers.all("x-order") == expected).then_some(()))
        })
    };
    let policies = sites.policies(SUITE);
    policies.serves(&json!({"filters": marks(&["one"])}));
    wait_for_marks(&[b"one"])?;
    policies.serves(&json!({"filters": marks(&["outer", "inner"])}));
    wait_for_marks(&[b"inner", b"outer"])?;

    let wrong = json!({"filters": [{"name": "mark", "config": {"marks": "x"}}]});
    policies.serves(&wrong);
    let line = "refused: filters[0].config.marks: unknown field; did you mean `mark`?";
    sites.stage.envoy().wait_for_log(line, DEADLINE)?;
    wait_for_marks(&[b"inner", b"outer"])
}
