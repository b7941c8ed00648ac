//! Envoy is told, by a file that it watches.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use legation_tests::jwt::{Claims, Key, jwks};
use legation_tests::load::{Answer, Effects, none_failed, version_of};
use legation_tests::{
    Client, Config, DEADLINE, Load, Request, Stage, Upstream, WatchedFilter, wait_for,
};
use serde_json::{Value, json};

use super::{CONNECTIONS, VERSION, ensure_both_workers, version};

#[test]
fn no_request_fails_while_a_configuration_is_changed_ten_times() -> Result<()> {
    header_tag(10, 200)
}

/// `cargo xtask soak` runs it, and the ordinary tests leave it out by its module.
mod soak {
    use super::{Result, header_tag};

    #[test]
    #[ignore = "takes a minute"]
    fn no_request_of_500_a_second_fails_while_a_configuration_is_changed_100_times() -> Result<()> {
        header_tag(100, 500)
    }
}

fn tagged(version: usize) -> Value {
    json!({"rules": [{"response": {"set": {"x-version": version.to_string()}}}]})
}

fn header_tag(updates: usize, a_second: u32) -> Result<()> {
    let watched = WatchedFilter::new("header-tag", &tagged(0))?;
    let stage = Stage::start(&watched.insert_into(Config::plain()?).concurrency(2))?;
    let load = Load::start(stage.envoy().address()?, CONNECTIONS, a_second, |_| {
        Request::get("/")
    });
    let shown = |answer: &Answer| version_of(answer, VERSION).map(Some);
    let effects = Effects::of(&load, updates, shown, |now| watched.write(&tagged(now)))?;

    // A wrong one changes nothing.
    watched.write(&json!({"rules": []}))?;
    stage
        .envoy()
        .wait_for_log("rules: an empty list", DEADLINE)?;
    let before = load.look(<[_]>::len);
    wait_for("answers after it", DEADLINE, || {
        Ok((load.look(<[_]>::len) > before + CONNECTIONS * 4).then_some(()))
    })?;
    let answers = load.stop();
    for answer in &answers[before..] {
        ensure!(shown(answer)? == Some(updates), "{answer:?}");
    }
    ensure_both_workers(&stage)?;
    // One compilation serves all: what has a VM of the same id, code and configuration shares it.
    println!("header-tag, ECDS, {a_second}/s: {}", effects.summary());
    println!("    {}", none_failed(&answers)?);
    Ok(())
}

#[test]
fn nobody_gets_past_a_filter_that_is_being_changed() -> Result<()> {
    const ISSUER: &str = "https://issuer.example";
    const UPDATES: usize = 20;
    let key = Key::p256().with_id("k");
    let keys = jwks(&[&key]).to_string();
    let configuration = |version: usize| {
        json!({
            "providers": {"p": {
                "issuer": ISSUER,
                "local_jwks": {"inline_string": keys},
                // As a name, for the values are the token's.
                "claim_to_headers": [{"header_name": format!("x-v-{version}"), "claim_name": "sub"}],
            }},
            "rules": [{"requires": {"provider_name": "p"}}],
        })
    };
    let watched = WatchedFilter::new("jwt-auth", &configuration(0))?;
    let config = watched.insert_into(Config::plain()?).concurrency(2);
    let stage = Stage::with_upstream(&config, Upstream::echo()?)?;
    let token = format!("Bearer {}", Claims::of(ISSUER).signed_by(&key));
    // Every connection has both: the one with a token goes by all of them in turn.
    let has_token = |number: usize| (number / CONNECTIONS).is_multiple_of(2);
    let load = Load::start(stage.envoy().address()?, CONNECTIONS, 200, move |number| {
        if has_token(number) {
            Request::get("/in").header("authorization", &token)
        } else {
            Request::get("/out")
        }
    });
    let shown = |answer: &Answer| match &answer.outcome {
        Ok(response) if !has_token(answer.number) => {
            ensure!(response.status == 401, "without a token: {response}");
            Ok(None)
        }
        Ok(response) => {
            ensure!(response.status == 200, "with a token: {response}");
            let text = response.text();
            let mut lines = text.lines().filter_map(|line| line.strip_prefix("x-v-"));
            let line = lines.next().context("not a header of the filter's")?;
            ensure!(lines.next().is_none(), "two configurations at once: {text}");
            let (version, _) = line.split_once(':').context("no header")?;
            Ok(Some(version.parse()?))
        }
        Err(error) => bail!("a request failed: {error}"),
    };
    let write = |now| watched.write(&configuration(now));
    let effects = Effects::of(&load, UPDATES, shown, write)?;
    let answers = load.stop();
    for answer in &answers {
        shown(answer)?;
    }
    ensure_both_workers(&stage)?;
    println!("jwt-auth, ECDS, 200/s: {}", effects.summary());
    println!("    {}", none_failed(&answers)?);
    let upstream = stage.upstream().requests();
    ensure!(upstream.iter().all(|request| request.path == "/in"));
    Ok(())
}

/// A listener whose configuration stands in a file that Envoy watches.
struct WatchedListener {
    listener: Value,
    folder: tempfile::TempDir,
}

impl WatchedListener {
    /// Takes the listener out of the configuration, and has Envoy look for it in the file.
    fn take_from(config: Config) -> Result<(Self, Config)> {
        let mut listener = config.to_value()?["static_resources"]["listeners"][0].take();
        listener["@type"] = json!("type.googleapis.com/envoy.config.listener.v3.Listener");
        // A free port is chosen once; an update may not choose another.
        let free = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        listener["address"]["socket_address"]["port_value"] = json!(free.port());
        let folder = tempfile::tempdir()?;
        let source = json!({"path_config_source": {
            "path": folder.path().join("listeners.json"),
            "watched_directory": {"path": folder.path()},
        }});
        let config = config.edit(|root| {
            root["static_resources"]["listeners"] = json!([]);
            root["node"] = json!({"id": "test", "cluster": "test"});
            root["dynamic_resources"]["lds_config"] = source;
        });
        Ok((Self { listener, folder }, config))
    }

    fn write(&self, configuration: &Value) -> Result<()> {
        let mut listener = self.listener.clone();
        let filters = "/filter_chains/0/filters/0/typed_config/http_filters";
        let filters = listener.pointer_mut(filters).context("a chain")?;
        let filters = filters.as_array_mut().context("a list of filters")?;
        let filter = filters.iter_mut().find(|one| one["name"] == "header-tag");
        filter.context("the filter")?["typed_config"]["config"]["configuration"]["value"] =
            json!(configuration.to_string());
        let update = json!({"resources": [listener]}).to_string();
        let new: PathBuf = self.folder.path().join("listeners.json.new");
        std::fs::write(&new, update)?;
        std::fs::rename(new, self.folder.path().join("listeners.json"))?;
        Ok(())
    }
}

/// The same by the listener discovery service: Envoy takes the whole listener anew, and lets the
/// connections of the old one drain. Nothing fails there either, but a connection goes on with the old
/// configuration until it is closed.
#[test]
fn a_listener_that_is_changed_keeps_the_old_configuration_on_open_connections() -> Result<()> {
    let config = Config::with_filter("header-tag", tagged(0))?.concurrency(2);
    let (listener, config) = WatchedListener::take_from(config)?;
    listener.write(&tagged(0))?;
    let stage = Stage::start(&config)?;
    let address = stage.envoy().address()?;
    let kept = Client::http1(address);
    let of = |client: &Client| -> Result<(usize, bool)> {
        let response = client.send(Request::get("/"))?;
        ensure!(response.status == 200, "{response}");
        let closes = response.headers.get("connection") == Some(b"close".as_slice());
        let version = version(&response.headers).context("an answer that no filter has seen")?;
        Ok((version, closes))
    };
    assert_eq!(of(&kept)?, (0, false));
    listener.write(&tagged(1))?;
    let mut closing = 0;
    wait_for("the new configuration", DEADLINE, || {
        // A connection of its own, and the one that was there before.
        let (new, _) = of(&Client::http1(address))?;
        let (old, closes) = of(&kept)?;
        closing += usize::from(closes);
        ensure!(
            closing > 0 || old == 0,
            "the connection was not told to end"
        );
        Ok((new == 1).then_some(()))
    })?;
    Ok(())
}
