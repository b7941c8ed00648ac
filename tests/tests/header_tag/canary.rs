//! Users divided among releases, and what else is chosen by a tag: one Envoy with two clusters, and a
//! listener for each configuration.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, ensure};
use legation_tests::{
    Client, Config, DEADLINE, RawConnection, Reply, Request, Stage, Upstream, wait_for, wasm_filter,
};
use serde_json::{Value, json};

use super::{FILTER, tags};

const USERS: usize = 10_000;

struct Site {
    stage: Stage,
    /// Behind the cluster `canary`.
    _canary: Upstream,
}

/// `release` by weights, into a header that no client may choose.
fn release(canary: u32, stable: u32) -> Value {
    json!({
        "strip": "x-t-release",
        "weighted_buckets": {
            "name": "release",
            "hash_key": "%COOKIE(user)%",
            "default_bucket": "stable",
            "override_by": "%REQ(x-tester)%",
            "buckets": [{"name": "canary", "weight": canary}, {"name": "stable", "weight": stable}],
        },
        "rules": [{
            "request": {
                "set": {"x-t-release": "%BUCKET(release)%"},
                "filter_state": {"release": "%BUCKET(release)%"},
            },
            "response": {"set": {"x-t-release": "%BUCKET(release)%"}},
        }],
    })
}

/// A filter that a listener of this name has, beside the first one's, which does nothing here.
fn chains() -> [(&'static str, Value); 5] {
    [
        ("ten", release(10, 90)),
        ("twenty", release(20, 80)),
        (
            "by-state",
            json!({"rules": [
                {"when": {"query": {"name": "beta", "exact": "1"}},
                 "request": {"filter_state": {"release": "canary"}, "clear_route_cache": true}},
                {"when": {"query": {"name": "beta", "exact": "2"}},
                 "request": {"filter_state": {"release": "canary"}}},
            ]}),
        ),
        (
            "values",
            json!({"rules": [
                {"request": {"filter_state": {"user": "%REQ(x-payload)%"}}},
                {
                    "when": {
                        "path": {"template": "/users/{id}/**"},
                        "jwt_claims": {"name": "user:realm.roles", "exact": "admin"},
                    },
                    "request": {"set": {
                        "x-t-a-claims": "%JWT_CLAIM(user:sub)% %JWT_CLAIM(user:realm.roles)%",
                        "x-t-b-capture": "%CAPTURE(id)%",
                        "x-t-c-zone": "%ATTRIBUTE(xds.node.metadata.zone)%",
                        "x-t-d-hash": "%SHA256(JWT_CLAIM(user:sub)):8%",
                        "x-t-e-plan": {"value": "%REQ(x-plan)%", "map": {"gold": "1"}, "default": "9"},
                    }},
                    "response": {"set": {"x-t-b-capture": "%CAPTURE(id)%"}},
                },
                {"request": {"set": {
                    "x-made-a": "%START_TIME(%s)%",
                    "x-made-b": "%UUID_V7%",
                    "x-made-c": "%UNIQUE_ID%",
                }}},
            ]}),
        ),
        (
            "again",
            json!({
                "weighted_buckets": {
                    "name": "release",
                    "hash_key": ["%COOKIE(user)%", "%REQ(x-request-id)%"],
                    "buckets": [{"name": "a", "weight": 1}, {"name": "b", "weight": 1}],
                },
                "rules": [{"request": {
                    "append": {"x-t-once": "1", "x-t-bucket": "%BUCKET(release)%", "x-t-each": "1"},
                    "dedupe": {"x-t-once": "RETAIN_UNIQUE"},
                }}],
            }),
        ),
    ]
}

fn routes() -> Value {
    let by_state = json!({"name": "wasm.release", "string_match": {"exact": "canary"}});
    let redirect = json!({"redirect_response_codes": [302]});
    json!({
        "access_log": [{
            "name": "envoy.access_loggers.stdout",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
                "log_format": {"json_format": {
                    "path": "%REQ(:path)%",
                    "release": "%FILTER_STATE(wasm.release:PLAIN)%",
                    "cluster": "%UPSTREAM_CLUSTER%",
                }},
            },
        }],
        "route_config": {"virtual_hosts": [{
            "name": "everything",
            "domains": ["*"],
            "routes": [
                {
                    "match": {"prefix": "/by-header", "headers": [
                        {"name": "x-t-release", "string_match": {"exact": "canary"}}
                    ]},
                    "route": {"cluster": "quick-canary"},
                },
                {"match": {"prefix": "/by-header"}, "route": {"cluster": "quick-stable"}},
                {
                    "match": {"prefix": "/by-state", "filter_state": [
                        {"key": by_state["name"], "string_match": by_state["string_match"]}
                    ]},
                    "route": {"cluster": "canary"},
                },
                {
                    "match": {"prefix": "/moved"},
                    "route": {"cluster": "canary", "internal_redirect_policy": redirect},
                },
                {"match": {"prefix": "/"}, "route": {"cluster": "upstream"}},
            ],
        }]},
    })
}

fn site() -> Result<&'static Site> {
    static SITE: OnceLock<Result<Site, String>> = OnceLock::new();
    let site = SITE.get_or_init(|| start().map_err(|error| format!("{error:?}")));
    site.as_ref().map_err(|error| anyhow!("{error}"))
}

fn start() -> Result<Site> {
    let canary = Upstream::answering(|received| match received.path.as_str() {
        "/moved" => Reply::status(302).header("location", "http://site.test/arrived"),
        _ => Reply::ok().header("x-cluster", "canary"),
    })?;
    let stable = Upstream::answering(|_| Reply::ok().header("x-cluster", "stable"))?;
    let mut config = Config::plain()?
        .hcm(&routes())
        .concurrency(2)
        .add_endpoint("canary", canary.address())
        .add_endpoint("quick-canary", answering("canary")?)
        .add_endpoint("quick-stable", answering("stable")?)
        .edit(|root| {
            root["node"] = json!({"id": "edge", "cluster": "edge", "metadata": {"zone": "b-2"}});
        });
    for (name, configuration) in chains() {
        config = config.add_chain(name, &[wasm_filter(FILTER, configuration)]);
    }
    Ok(Site {
        stage: Stage::with_upstream(&config, stable)?,
        _canary: canary,
    })
}

/// A server that has one answer and little to do for it: tens of thousands of requests are no time
/// of the test's. It ends with the process.
fn answering(cluster: &str) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let answer = format!("HTTP/1.1 200 OK\r\nx-cluster: {cluster}\r\ncontent-length: 0\r\n\r\n");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || {
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                // Each request here ends with its first empty line.
                while lines.any(|line| line.is_empty()) {
                    if (&stream).write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    Ok(address)
}

impl Site {
    fn address(&self, chain: &str) -> Result<SocketAddr> {
        self.stage.envoy().listener(chain)
    }

    fn client(&self, chain: &str) -> Result<Client> {
        Ok(Client::http1(self.address(chain)?))
    }
}

/// The cluster that answers each of the users, over four connections that are kept.
fn clusters(address: SocketAddr) -> Result<Vec<String>> {
    const CONNECTIONS: usize = 4;
    const AT_ONCE: usize = 25;
    let share = USERS / CONNECTIONS;
    let ask = |first: usize| -> Result<Vec<String>> {
        let mut connection = RawConnection::open(address)?;
        let users: Vec<usize> = (first..first + share).collect();
        let mut clusters = Vec::new();
        for some in users.chunks(AT_ONCE) {
            let requests = some.iter().map(|user| {
                format!(
                    "GET /by-header HTTP/1.1\r\nhost: site.test\r\nx-t-release: canary\r\n\
                     cookie: a=b; user=user-{user}\r\n\r\n"
                )
            });
            connection.send(requests.collect::<String>().as_bytes())?;
            for user in some {
                let head = String::from_utf8(connection.read_until(b"\r\n\r\n")?)?;
                let header = |name: &str| {
                    let mut lines = head.lines();
                    let value = lines.find_map(|line| line.strip_prefix(name));
                    value.with_context(|| format!("user {user}: no {name} in {head}"))
                };
                ensure!(
                    head.starts_with("HTTP/1.1 200") && header("content-length: ")? == "0",
                    "{head}"
                );
                let cluster = header("x-cluster: ")?.to_owned();
                // The upstream that answered is the one of the bucket.
                ensure!(header("x-t-release: ")? == cluster, "user {user}: {head}");
                clusters.push(cluster);
            }
        }
        Ok(clusters)
    };
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..CONNECTIONS)
            .map(|part| scope.spawn(move || ask(part * share)))
            .collect();
        let mut all = Vec::new();
        for part in parts {
            all.extend(
                part.join()
                    .map_err(|_| anyhow!("a connection's thread panicked"))??,
            );
        }
        Ok(all)
    })
}

#[test]
fn ten_thousand_users_are_divided_by_the_weights_and_each_stays_where_the_right_cluster_answers()
-> Result<()> {
    let site = site()?;
    let _report = site.stage.report_on_panic();

    let first = clusters(site.address("ten")?)?;
    let second = clusters(site.address("ten")?)?;
    let grown = clusters(site.address("twenty")?)?;

    let canaries = |clusters: &[String]| clusters.iter().filter(|one| *one == "canary").count();
    // Within one percent of the users.
    assert!(
        (900..=1_100).contains(&canaries(&first)),
        "{}",
        canaries(&first)
    );
    assert!(
        (1_900..=2_100).contains(&canaries(&grown)),
        "{}",
        canaries(&grown)
    );
    assert!(first == second, "somebody was moved");
    let mut pairs = first.iter().zip(&grown);
    assert!(
        pairs.all(|(was, is)| was == "stable" || is == "canary"),
        "somebody left the canary when it grew"
    );
    Ok(())
}

#[test]
fn a_tester_chooses_a_bucket_and_who_has_no_key_is_in_the_default_one() -> Result<()> {
    let site = site()?;
    let client = site.client("ten")?;
    let cluster = |request: Request| -> Result<String> {
        let response = client.send(request)?;
        response.headers.text("x-cluster").context("no cluster")
    };
    assert_eq!(cluster(Request::get("/by-header"))?, "stable");
    for name in ["canary", "stable"] {
        let request = Request::get("/by-header").header("x-tester", name);
        assert_eq!(cluster(request.header("cookie", "user=1"))?, name);
    }
    let other = Request::get("/by-header").header("x-tester", "other");
    assert_eq!(cluster(other)?, "stable");
    Ok(())
}

#[test]
fn a_route_by_filter_state_needs_the_cache_cleared_and_the_access_log_shows_the_tag() -> Result<()>
{
    let site = site()?;
    let client = site.client("by-state")?;
    for (path, cluster) in [
        ("/by-state?beta=1", "canary"),
        // The state alone does not have the route chosen anew.
        ("/by-state?beta=2", "stable"),
        ("/by-state", "stable"),
    ] {
        let response = client.send(Request::get(path))?;
        assert_eq!(
            response.headers.text("x-cluster").as_deref(),
            Some(cluster),
            "{path}"
        );
    }
    let log = || -> Result<BTreeMap<String, Value>> {
        let log = site.stage.envoy().access_log();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let lines = lines.filter_map(|line| Some((line["path"].as_str()?.to_owned(), line)));
        Ok(lines.collect())
    };
    wait_for("the access log's lines", DEADLINE, || {
        let log = log()?;
        let all = ["/by-state?beta=1", "/by-state?beta=2", "/by-state"];
        Ok(all.iter().all(|path| log.contains_key(*path)).then_some(()))
    })?;
    let log = log()?;
    assert_eq!(log["/by-state?beta=1"]["release"], "canary");
    assert_eq!(log["/by-state?beta=1"]["cluster"], "canary");
    assert_eq!(log["/by-state?beta=2"]["release"], "canary");
    assert_eq!(log["/by-state"]["release"], Value::Null);
    Ok(())
}

#[test]
fn values_come_from_claims_captures_node_metadata_and_the_moment() -> Result<()> {
    let site = site()?;
    let client = site.client("values")?;
    let payload = r#"{"sub": "ann", "realm": {"roles": ["dev", "admin"]}}"#;
    let ask = |id: &str, payload: &str, plan: &str| -> Result<_> {
        let request = Request::get("/users/7/x?y=z")
            .id(id)
            .header("x-payload", payload)
            .header("x-plan", plan);
        let response = client.send(request)?;
        let arrived = site
            .stage
            .upstream()
            .with_id(id)
            .context("it did not arrive")?;
        Ok((arrived.headers, response.headers))
    };

    let (arrived, response) = ask("values-1", payload, "gold")?;
    assert_eq!(
        tags(&arrived),
        [
            "x-t-a-claims: ann dev,admin",
            "x-t-b-capture: 7",
            "x-t-c-zone: b-2",
            // echo -n ann | sha256sum
            "x-t-d-hash: 49915e0d",
            "x-t-e-plan: 1",
        ]
    );
    assert_eq!(tags(&response), ["x-t-b-capture: 7"]);

    let (other, _) = ask(
        "values-2",
        r#"{"sub": "ann", "realm": {"roles": ["dev"]}}"#,
        "lead",
    )?;
    assert!(tags(&other).is_empty(), "{:?}", tags(&other));

    let text = |name: &str| arrived.text(name).context("missing");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let started: u64 = text("x-made-a")?.parse()?;
    assert!(now.as_secs().abs_diff(started) < 60, "{started}");
    let v7 = text("x-made-b")?.replace('-', "");
    let made = u128::from_str_radix(&v7[..12], 16)?;
    assert!(now.as_millis().abs_diff(made) < 60_000, "{v7}");
    assert_eq!(
        (v7.len(), &v7[12..13], &text("x-made-c")?[14..15]),
        (32, "7", "4")
    );
    assert_ne!(
        text("x-made-c")?,
        other.text("x-made-c").context("missing")?
    );
    Ok(())
}

#[test]
fn a_request_that_comes_by_again_stays_in_its_bucket_and_is_tagged_once() -> Result<()> {
    let site = site()?;
    let client = site.client("again")?;
    for number in 0..8 {
        let id = format!("again-{number}");
        let response = client.send(Request::get("/moved").host("site.test").id(&id))?;
        assert_eq!(
            response.headers.text("x-cluster").as_deref(),
            Some("stable")
        );
        let arrived = site
            .stage
            .upstream()
            .with_id(&id)
            .context("it did not arrive")?;
        assert_eq!(arrived.path, "/arrived");
        // It was here twice.
        assert_eq!(arrived.headers.all("x-t-each").len(), 2);
        assert_eq!(arrived.headers.all("x-t-once"), [b"1"]);
        let buckets = arrived.headers.all("x-t-bucket");
        assert!(
            buckets.len() == 2 && buckets[0] == buckets[1],
            "{buckets:?}"
        );
    }
    Ok(())
}
