//! header-tag, as Envoy runs it.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use legation_tests::{
    Config, DEADLINE, Envoy, Headers, Reply, Request, Stage, module, module_dir, wait_for,
    wasm_filter, workspace_root,
};
use serde_json::{Value, json};

const FILTER: &str = "header-tag";

fn start(configuration: &Value) -> Result<Stage> {
    Ok(Stage::start(&with(configuration)?)?)
}

fn with(configuration: &Value) -> Result<Config> {
    Config::with_filter(FILTER, configuration.clone())
}

/// The module as it is shipped, and as `cargo build` leaves it.
fn modules() -> Result<[PathBuf; 2]> {
    let folder = module_dir()?;
    Ok([
        folder.join("header-tag.wasm"),
        folder.join("plain/header-tag.wasm"),
    ])
}

/// No request was refused for a failure of the filter, and none took its VM along.
fn assert_unharmed(stage: &Stage) -> Result<()> {
    let admin = stage.admin();
    assert_eq!(admin.stat("wasm.header-tag.vm_reload")?, Some(0));
    assert_eq!(admin.stat("wasmcustom.header_tag.errors")?, Some(0));
    let log = stage.envoy().log_entries();
    let failures: Vec<_> = log.iter().filter(|entry| entry.is_error()).collect();
    assert!(failures.is_empty(), "{failures:#?}");
    Ok(())
}

/// `name: value` of the headers whose name begins with `x-t-`.
fn tags(headers: &Headers) -> Vec<String> {
    let tags = headers.iter().filter(|(name, _)| name.starts_with("x-t-"));
    let line = |(name, value): (&str, &[u8])| format!("{name}: {}", value.escape_ascii());
    tags.map(line).collect()
}

mod as_shipped {
    use super::*;

    #[test]
    fn the_shipped_file_tags_requests_and_hides_what_runs_behind() -> Result<()> {
        let stage = Stage::start(&Config::filter(FILTER)?)?;
        stage
            .upstream()
            .enqueue(Reply::ok().header("x-powered-by", "secret"));

        let exchange = stage.exchange(Request::get("/").header("x-envoy-plugin", "forged"))?;

        let arrived = &exchange.arrived()?.headers;
        assert_eq!(arrived.all("x-envoy-plugin"), [b"header-tag"]);
        assert!(!exchange.response.headers.contains("x-powered-by"));
        assert_unharmed(&stage)
    }

    #[test]
    fn a_struct_and_json_text_are_the_same_configuration() -> Result<()> {
        let configuration = json!({
            "rules": [
                {"when": {"percentage": 100}, "request": {"set": {"x-t-a": ["1", "2"]}}},
                {"when": {"percentage": 0.5, "all": [{"percentage": 0}]},
                 "request": {"set": {"x-t-b": "1"}}},
                {"response": {"when_status": [418, "5xx"], "set": {"x-t-c": "1"}, "keep_empty_value": false}}
            ]
        });
        for config in [
            with(&configuration)?,
            Config::filter(FILTER)?.struct_configuration(FILTER, configuration.clone()),
        ] {
            let stage = Stage::start(&config)?;
            stage.upstream().enqueue(Reply::status(418));

            let exchange = stage.exchange(Request::get("/"))?;

            assert_eq!(tags(&exchange.arrived()?.headers), ["x-t-a: 1", "x-t-a: 2"]);
            assert_eq!(tags(&exchange.response.headers), ["x-t-c: 1"]);
        }
        Ok(())
    }
}

mod from_its_readme {
    use super::*;

    #[test]
    fn the_complete_configuration_runs_as_it_stands() -> Result<()> {
        let readme = fs::read_to_string(workspace_root().join("filters/header-tag/README.md"))?;
        let complete = readme
            .split("```yaml\n")
            .filter_map(|rest| rest.split("```").next())
            .find(|block| block.starts_with("admin:"))
            .context("the README has a complete configuration")?;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("readme.yaml");
        fs::write(&file, complete)?;

        let stage = Stage::start(&Config::load(&file)?)?;
        let exchange = stage.exchange(Request::get("/"))?;

        let arrived = &exchange.arrived()?.headers;
        assert_eq!(arrived.all("x-envoy-plugin"), [b"header-tag"]);
        assert_eq!(exchange.response.headers.all("x-served-by"), [b"edge-0"]);
        assert_unharmed(&stage)
    }
}

mod updated {
    use super::*;

    /// The filter's configuration in a file of its own, which Envoy watches.
    struct Watched(tempfile::TempDir);

    impl Watched {
        fn filter(&self) -> Value {
            json!({
                "name": FILTER,
                "config_discovery": {
                    "config_source": {"path_config_source": {
                        "path": self.0.path().join("filter.json"),
                        "watched_directory": {"path": self.0.path()}
                    }},
                    "type_urls": ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"]
                }
            })
        }

        fn write(&self, version: u32, configuration: &Value) -> Result<()> {
            let mut filter = wasm_filter(FILTER, configuration.clone());
            let code = "/typed_config/config/vm_config/code/local/filename";
            *filter.pointer_mut(code).context("the module's place")? = json!(module(FILTER)?);
            let update = json!({
                "version_info": version.to_string(),
                "resources": [{
                    "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
                    "name": FILTER,
                    "typed_config": filter["typed_config"]
                }]
            });
            let file = self.0.path().join("filter.json.new");
            fs::write(&file, update.to_string())?;
            // Envoy looks when a file is moved here.
            fs::rename(file, self.0.path().join("filter.json"))?;
            Ok(())
        }
    }

    #[test]
    fn a_new_configuration_replaces_the_old_one_while_envoy_runs_and_a_wrong_one_does_not()
    -> Result<()> {
        let tag = |tag: &str| json!({"rules": [{"request": {"set": {"x-t-a": tag}}}]});
        let watched = Watched(tempfile::tempdir()?);
        watched.write(1, &tag("1"))?;
        let config = Config::plain()?
            .insert_filter(watched.filter())
            .edit(|root| root["node"] = json!({"id": "test", "cluster": "test"}));
        let stage = Stage::start(&config.concurrency(1))?;
        let sent = std::cell::Cell::new(0);
        let tagged = || -> Result<Vec<String>> {
            sent.set(sent.get() + 1);
            Ok(tags(&stage.exchange(Request::get("/"))?.arrived()?.headers))
        };
        assert_eq!(tagged()?, ["x-t-a: 1"]);

        watched.write(2, &tag("2"))?;
        wait_for("the new tag", DEADLINE, || {
            Ok((tagged()? == ["x-t-a: 2"]).then_some(()))
        })?;

        watched.write(3, &json!({"rules": []}))?;
        stage
            .envoy()
            .wait_for_log("rules: an empty list", DEADLINE)?;
        assert_eq!(tagged()?, ["x-t-a: 2"]);

        // What the old configuration had counted is not lost.
        let counter = "wasmcustom.header_tag.requests_matched";
        let counted = stage
            .admin()
            .wait_for_stat(counter, DEADLINE, |now| now >= sent.get())?;
        assert_eq!(counted, sent.get());
        Ok(())
    }
}

mod requests {
    use super::*;

    #[test]
    fn values_come_from_all_that_envoy_knows_of_a_request() -> Result<()> {
        let stage = Stage::start(
            &with(&json!({"rules": [{"request": {"set": {
                "x-t-attribute": "%ATTRIBUTE(request.method)% %ATTRIBUTE(destination.port)%",
                "x-t-address": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
                "x-t-cookie": "%COOKIE(b)%",
                "x-t-environment": "%ENVIRONMENT(POD)%",
                "x-t-header": "[%REQ(x-in)%] %REQ(:authority)% 100%%",
                "x-t-path": "%PATH(NQ:PATH)%",
                "x-t-protocol": "%PROTOCOL%",
                "x-t-query": "%QUERY_PARAM(q)%"
            }}}]}))?
            .vm_environment(FILTER, "POD", "edge-0"),
        )?;
        let port = stage.envoy().address()?.port();

        let exchange = stage.exchange(
            Request::get("/a/b?q=one%20two&q=three")
                .host("example.com")
                .header("cookie", "a=1; b=2")
                .header("x-in", "text"),
        )?;

        assert_eq!(
            tags(&exchange.arrived()?.headers),
            [
                "x-t-address: 127.0.0.1",
                &format!("x-t-attribute: GET {port}"),
                "x-t-cookie: 2",
                "x-t-environment: edge-0",
                "x-t-header: [text] example.com 100%",
                "x-t-path: /a/b",
                "x-t-protocol: HTTP/1.1",
                "x-t-query: one two",
            ]
        );
        assert_unharmed(&stage)
    }

    #[test]
    fn repeated_headers_stay_several() -> Result<()> {
        let stage = start(&json!({"rules": [{"request": {
            "rename": {"x-t-old": "x-t-new"},
            "set": {"x-t-set": ["a", "b"]},
            "append": {"x-t-more": "3"},
            "remove": ["x-t-gone"]
        }}]}))?;

        let exchange = stage.exchange(Request::get("/").headers([
            ("x-t-gone", "1"),
            ("x-t-old", "1, 2"),
            ("x-t-more", "1"),
            ("x-t-new", "forged"),
            ("x-t-gone", "2"),
            ("x-t-old", "3"),
            ("x-t-set", "forged"),
            ("x-t-more", "2"),
            ("x-t-set", "forged again"),
        ]))?;

        let arrived = &exchange.arrived()?.headers;
        assert_eq!(arrived.all("x-t-new"), [b"1, 2".as_slice(), b"3"]);
        assert_eq!(arrived.all("x-t-set"), [b"a", b"b"]);
        assert_eq!(arrived.all("x-t-more"), [b"1", b"2", b"3"]);
        assert_eq!(tags(arrived).len(), 7);
        Ok(())
    }

    #[test]
    fn http2_requests_are_tagged_alike() -> Result<()> {
        let config = with(&json!({"rules": [{
            "when": {"path": {"prefix": "/package.Service/"}},
            "request": {"set": {"x-t-a": "%PROTOCOL% %REQ(:method)%"}},
            "response": {"set": {"x-t-b": "%REQ(:path)%"}}
        }]}))?;
        let stage = Stage::start(&config.http2_upstream("upstream"))?;
        stage.upstream().enqueue(
            Reply::ok()
                .header("content-type", "application/grpc")
                .body("message")
                .trailer("grpc-status", "0"),
        );

        let exchange = stage.exchange_http2(
            Request::post("/package.Service/Method", "question")
                .header("content-type", "application/grpc")
                .header("te", "trailers"),
        )?;

        assert_eq!(tags(&exchange.arrived()?.headers), ["x-t-a: HTTP/2 POST"]);
        let response = &exchange.response;
        assert_eq!(tags(&response.headers), ["x-t-b: /package.Service/Method"]);
        assert_eq!(response.trailers.text("grpc-status").as_deref(), Some("0"));
        Ok(())
    }

    #[test]
    fn the_route_is_chosen_by_the_tag() -> Result<()> {
        let routes = json!({"route_config": {"virtual_hosts": [{
            "name": "everything",
            "domains": ["*"],
            "routes": [
                {
                    "match": {"prefix": "/", "headers": [
                        {"name": "x-t-release", "string_match": {"exact": "canary"}}
                    ]},
                    "direct_response": {"status": 299}
                },
                {"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}
            ]
        }]}});
        let config = with(&json!({
            "strip": "x-t-release",
            "rules": [{
                "when": {"cookies": [{"name": "canary", "present": true}]},
                "request": {"set": {"x-t-release": "canary"}}
            }]
        }))?;
        let stage = Stage::start(&config.hcm(&routes))?;

        let canary = stage.send(Request::get("/").header("cookie", "canary=1"))?;
        let forged = stage.send(Request::get("/").header("x-t-release", "canary"))?;

        assert_eq!(canary.status, 299);
        assert_eq!(forged.status, 200);
        Ok(())
    }

    #[test]
    fn percentages_take_their_share() -> Result<()> {
        let stage = start(&json!({"rules": [
            {"when": {"percentage": 0}, "request": {"append": {"x-t-p": "0"}}},
            {"when": {"percentage": 10}, "request": {"append": {"x-t-p": "10"}}},
            {"when": {"percentage": 30}, "request": {"append": {"x-t-p": "30"}}},
            {"when": {"percentage": 100}, "request": {"append": {"x-t-p": "100"}}}
        ]}))?;

        // In portions: all at once is more than Envoy's circuit breakers let pass.
        for _ in 0..20 {
            let requests = (0..100).map(|_| Request::get("/")).collect();
            for response in stage.client().send_all(requests) {
                assert_eq!(response?.status, 200);
            }
        }

        let arrived = stage.upstream().requests();
        let count = |percentage: &str| {
            let has = |value: &&[u8]| *value == percentage.as_bytes();
            let tagged = arrived
                .iter()
                .filter(|it| it.headers.all("x-t-p").iter().any(has));
            tagged.count()
        };
        assert_eq!(count("0"), 0);
        assert_eq!(count("100"), 2_000);
        // Six standard deviations: once in 500 million runs it is outside.
        assert!((119..=281).contains(&count("10")), "{}", count("10"));
        assert!((476..=724).contains(&count("30")), "{}", count("30"));
        // One number a request: the smaller share lies in the larger.
        for request in &arrived {
            let values = request.headers.all("x-t-p");
            assert!(
                values.len() == 3 || !values.contains(&b"10".as_slice()),
                "{request}"
            );
        }
        assert_unharmed(&stage)
    }
}

mod responses {
    use super::*;

    #[test]
    fn the_rules_that_matched_the_request_change_its_response() -> Result<()> {
        let stage = start(&json!({"rules": [
            {
                "when": {"headers": [{"name": "x-debug", "exact": "1"}]},
                "request": {"set": {"x-t-request": "1"}},
                "response": {
                    "set": {
                        "x-t-path": "%REQ(:path)% %ATTRIBUTE(request.method)%",
                        "x-t-own": "%REQ(x-t-request)%",
                        "x-t-upstream": "%RESP(x-in)% %RESPONSE_CODE%"
                    },
                    "append": {"x-in": "more"}
                }
            },
            {"response": {"set": {"x-t-all": "1"}}}
        ]}))?;
        let reply = || Reply::status(201).header("x-in", "a").header("x-in", "b");
        stage.upstream().enqueue(reply());
        stage.upstream().enqueue(reply());

        let debug = stage.send(Request::get("/p?q").header("x-debug", "1"))?;
        let other = stage.send(Request::get("/p?q"))?;

        assert_eq!(
            tags(&debug.headers),
            [
                "x-t-own: 1",
                "x-t-path: /p?q GET",
                "x-t-upstream: a 201",
                "x-t-all: 1"
            ]
        );
        assert_eq!(debug.headers.all("x-in"), [b"a".as_slice(), b"b", b"more"]);
        assert_eq!(tags(&other.headers), ["x-t-all: 1"]);
        assert_eq!(other.headers.all("x-in"), [b"a", b"b"]);
        assert_unharmed(&stage)
    }

    #[test]
    fn answers_of_envoys_own_are_responses_too() -> Result<()> {
        let stage = start(&json!({"rules": [
            {"response": {"when_status": "5xx", "set": {"x-t-error": "%REQ(:path)%"}}},
            {"response": {"when_status": 200, "set": {"x-t-well": "1"}}}
        ]}))?;
        stage.upstream().enqueue(Reply::reset());

        let broken = stage.send(Request::get("/broken"))?;
        let well = stage.send(Request::get("/well"))?;

        assert_eq!(
            (broken.status, tags(&broken.headers)),
            (503, vec!["x-t-error: /broken".to_owned()])
        );
        assert_eq!(
            (well.status, tags(&well.headers)),
            (200, vec!["x-t-well: 1".to_owned()])
        );
        assert_unharmed(&stage)
    }

    #[test]
    fn an_answer_of_a_filter_in_front_passes_as_it_is() -> Result<()> {
        let deny = json!({
            "name": "deny",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
                "rules": {"action": "DENY", "policies": {"admin": {
                    "permissions": [{"url_path": {"path": {"prefix": "/admin"}}}],
                    "principals": [{"any": true}]
                }}}
            }
        });
        let config = with(&json!({"rules": [{"response": {"set": {"x-t-all": "1"}}}]}))?;
        let stage = Stage::start(&config.insert_filter_before(FILTER, deny))?;

        let denied = stage.send(Request::get("/admin"))?;
        let allowed = stage.send(Request::get("/"))?;

        assert_eq!((denied.status, tags(&denied.headers)), (403, vec![]));
        assert_eq!(tags(&allowed.headers), ["x-t-all: 1"]);
        assert_unharmed(&stage)
    }
}

mod hostile {
    use super::*;

    /// Reads, moves and copies whatever a client and an upstream send.
    fn everything() -> Value {
        json!({"rules": [
            {
                "when": {"any": [
                    {"headers": [{"name": "x-in", "regex": "a.b"}]},
                    {"query": [{"name": "q", "present": true}]},
                    {"path": {"prefix": "/"}}
                ]},
                "request": {
                    "set": {"x-t-copy": "%REQ(x-in)%", "x-t-query": "%QUERY_PARAM(q)%", "x-t-path": "%PATH()%"},
                    "rename": {"x-old": "x-new"},
                    "add_if_absent": {"x-t-absent": "1"},
                    "append": {"x-t-more": "%COOKIE(c)%"}
                },
                "response": {
                    "set": {"x-t-copy": "%RESP(x-in)%", "x-t-query": "%QUERY_PARAM(q)%"},
                    "rename": {"x-old": "x-new"}
                }
            }
        ]})
    }

    /// The next requests are answered, by the same VM.
    fn assert_still_well(stage: &Stage) -> Result<()> {
        for _ in 0..3 {
            let exchange = stage.exchange(Request::get("/?q=1").header("x-in", "a"))?;
            let arrived = &exchange.arrived()?.headers;
            assert_eq!(arrived.text("x-t-copy").as_deref(), Some("a"));
            assert_eq!(tags(&exchange.response.headers), ["x-t-query: 1"]);
        }
        assert_unharmed(stage)
    }

    #[test]
    fn bytes_that_are_not_text_pass_and_are_copied() -> Result<()> {
        for module in modules()? {
            let stage = Stage::start(&with(&everything())?.module(FILTER, &module))?;
            let bytes = b"a\xffb\x80\xfe".as_slice();
            stage
                .upstream()
                .enqueue(Reply::ok().header("x-in", bytes).header("x-old", bytes));

            let exchange = stage.exchange(
                Request::get("/?q=%ff%00%fe")
                    .header("x-in", bytes)
                    .header("x-old", bytes)
                    .header("cookie", b"c=\xff\xff"),
            )?;

            for headers in [&exchange.arrived()?.headers, &exchange.response.headers] {
                assert_eq!(headers.get("x-t-copy"), Some(bytes));
                assert_eq!(headers.get("x-in"), Some(bytes));
                assert_eq!(headers.get("x-new"), Some(bytes));
            }
            let arrived = &exchange.arrived()?.headers;
            assert_eq!(arrived.get("x-t-more"), Some(b"\xff\xff".as_slice()));
            assert_still_well(&stage)?;
        }
        Ok(())
    }

    #[test]
    fn a_thousand_headers_and_one_of_60_kb_pass() -> Result<()> {
        for module in modules()? {
            let config = with(&everything())?.module(FILTER, &module);
            let stage = Stage::start(&config.header_limits(3_000, 512))?;
            let many = || {
                let plain = (0..500).map(|number| (format!("x-{number}"), number.to_string()));
                let repeated = (0..500).map(|number| ("x-old".to_owned(), number.to_string()));
                plain.chain(repeated)
            };
            let long = "y".repeat(60 * 1024);
            stage.upstream().enqueue(Reply::ok().headers(many()));
            stage.upstream().enqueue(Reply::ok().header("x-old", &long));

            let exchange = stage.exchange(Request::get("/").headers(many()))?;
            for headers in [&exchange.arrived()?.headers, &exchange.response.headers] {
                assert_eq!(headers.text("x-499").as_deref(), Some("499"));
                let renamed: Vec<_> = (0..500).map(|number| number.to_string()).collect();
                assert_eq!(
                    headers.all("x-new"),
                    renamed.iter().map(String::as_bytes).collect::<Vec<_>>()
                );
                assert!(!headers.contains("x-old"));
            }

            let exchange = stage.exchange(
                Request::get("/")
                    .header("x-in", &long)
                    .header("x-old", &long),
            )?;
            let arrived = &exchange.arrived()?.headers;
            assert_eq!(arrived.text("x-new").as_ref(), Some(&long));
            assert_eq!(arrived.text("x-in").as_ref(), Some(&long));
            // What an operator gives is at most 8 KiB.
            assert_eq!(arrived.get("x-t-copy").map(<[u8]>::len), Some(8 * 1024));
            assert_eq!(
                exchange.response.headers.text("x-new").as_ref(),
                Some(&long)
            );
            assert_still_well(&stage)?;
        }
        Ok(())
    }

    #[test]
    fn what_a_client_sends_cannot_break_out_of_its_header() -> Result<()> {
        let stage = start(&everything())?;

        let exchange = stage.exchange(Request::get(
            "/?q=a%0d%0ax-t-evil:%201%0d%0a%0d%0aGET%20/evil%20HTTP/1.1%0d%0a%0d%0a%00",
        ))?;

        let arrived = exchange.arrived()?;
        let value = "a  x-t-evil: 1    GET /evil HTTP/1.1";
        for headers in [&arrived.headers, &exchange.response.headers] {
            assert_eq!(headers.text("x-t-query").as_deref(), Some(value));
            assert!(!headers.contains("x-t-evil"));
        }
        assert_eq!(stage.upstream().count(), 1);
        assert_still_well(&stage)
    }

    #[test]
    fn what_a_client_forges_does_not_survive_where_there_is_no_value() -> Result<()> {
        let stage = start(&json!({
            "strip": ["x-t-tenant"],
            "rules": [{"request": {
                "set": {"x-t-user": "%COOKIE(user)%"},
                "add_if_absent": {"x-t-tenant": "none"}
            }}]
        }))?;

        let exchange = stage.exchange(
            Request::get("/")
                .header("x-t-user", "admin")
                .header("X-T-Tenant", "other")
                .header("x-t-tenant", "another"),
        )?;

        assert_eq!(tags(&exchange.arrived()?.headers), ["x-t-tenant: none"]);
        assert_unharmed(&stage)
    }
}

mod mistakes {
    use super::*;

    #[test]
    fn five_mistakes_are_refused_with_five_errors() -> Result<()> {
        let config = r#"{
  "mode": "enforced",
  "rules": [
    {"when": {"path": {"prefx": "/"}}, "request": {"set": {"x-a": "1"}}},
    {"request": {"set": {":path": "/"}, "append": {"x-b": "%REQ(x-c%"}}},
    {"request": {"rename": {"x-a": "x-a"}}}
  ]
}"#;
        for module in modules()? {
            let config = Config::with_filter(FILTER, config)?.module(FILTER, &module);

            let refused = Envoy::start(&config).expect_err("a wrong configuration");

            let errors = refused.module_errors();
            assert_eq!(errors.len(), 5, "{errors:#?}");
            for (path, position) in [
                ("mode: ", "(line 2, column 11)"),
                ("rules[0].when.path.prefx: ", "(line 4"),
                ("rules[1].request.set.:path: ", "(line 5"),
                ("rules[1].request.append.x-b: ", "(line 5"),
                ("rules[2].request.rename.x-a: ", "(line 6"),
            ] {
                let found = errors
                    .iter()
                    .any(|error| error.contains(path) && error.contains(position));
                assert!(found, "{path} {position} in {errors:#?}");
            }
        }
        Ok(())
    }

    #[test]
    fn an_environment_variable_that_is_not_set_is_told() -> Result<()> {
        let config =
            with(&json!({"rules": [{"request": {"set": {"x-a": "%ENVIRONMENT(POD)%"}}}]}))?;

        let refused = Envoy::start(&config).expect_err("a variable that is not set");

        let errors = refused.module_errors();
        assert_eq!(errors.len(), 1, "{errors:#?}");
        assert!(
            errors[0].contains("rules[0].request.set.x-a: "),
            "{errors:#?}"
        );
        assert!(errors[0].contains(r#"\"POD\" is not set"#), "{errors:#?}");
        Ok(())
    }
}

mod observed {
    use super::*;

    fn wait_for(stage: &Stage, counter: &str, value: u64) -> Result<()> {
        let counter = format!("wasmcustom.{counter}");
        stage
            .admin()
            .wait_for_stat(&counter, DEADLINE, |now| now >= value)
            .map(|now| assert_eq!(now, value, "{counter}"))
    }

    #[test]
    fn requests_rules_and_empty_values_are_counted() -> Result<()> {
        let stage = start(&json!({
            "stat_prefix": "edge.tags",
            "rules": [
                {"name": "api", "when": {"path": {"prefix": "/api/"}}, "request": {"set": {"x-t-a": "%REQ(x-none)%"}}},
                {"name": "users", "when": {"path": {"prefix": "/api/users/"}}, "response": {"set": {"x-t-b": "%RESP(x-none)%"}}}
            ]
        }))?;

        for path in ["/", "/api/", "/api/users/1", "/api/users/2"] {
            stage.send(Request::get(path))?;
        }

        wait_for(&stage, "edge.tags.requests_matched", 3)?;
        wait_for(&stage, "edge.tags.requests_unmatched", 1)?;
        wait_for(&stage, "edge.tags.rule.api.matched", 3)?;
        wait_for(&stage, "edge.tags.rule.users.matched", 2)?;
        wait_for(&stage, "edge.tags.values_empty", 5)
    }

    #[test]
    fn report_counts_and_logs_and_changes_nothing() -> Result<()> {
        let config = with(&json!({
            "mode": "report",
            "strip": ["x-t-a"],
            "rules": [
                {"name": "api", "when": {"path": {"prefix": "/api/"}},
                 "request": {"set": {"x-t-a": "1"}}, "response": {"set": {"x-t-b": "1"}}},
                {"request": {"append": {"x-t-a": "2"}}}
            ]
        }))?;
        let stage = Stage::start(&config.log_level("info", ""))?;

        let request = Request::get("/api/").header("x-t-a", "own");
        let exchange = stage.exchange(request.header("x-request-id", "the-id"))?;

        assert_eq!(tags(&exchange.arrived()?.headers), ["x-t-a: own"]);
        assert!(tags(&exchange.response.headers).is_empty());
        wait_for(&stage, "header_tag.rule.api.matched", 1)?;
        wait_for(&stage, "header_tag.requests_matched", 1)?;
        let line = stage.envoy().wait_for_log("nothing is changed", DEADLINE)?;
        assert_eq!(line.level, "info");
        assert!(line.message.contains(r#""rules":"api,1""#), "{line:?}");
        assert!(line.message.contains(r#""request_id":"#), "{line:?}");
        Ok(())
    }

    #[test]
    fn each_decision_is_a_debug_line_without_values() -> Result<()> {
        let config = with(&json!({"rules": [
            {"name": "session", "when": {"path": "/a"}, "request": {"set": {"x-t-a": "%COOKIE(session)%"}}}
        ]}))?;
        let stage = Stage::start(&config.log_level("warning", "wasm:debug"))?;

        stage.send(Request::get("/a").header("cookie", "session=secret"))?;
        stage.send(Request::get("/b"))?;

        let applied = stage.envoy().wait_for_log("rules applied", DEADLINE)?;
        assert_eq!(applied.level, "debug");
        assert!(
            applied.message.contains(r#""rules":"session""#),
            "{applied:?}"
        );
        stage.envoy().wait_for_log("no rule matches", DEADLINE)?;
        assert!(
            stage
                .envoy()
                .module_log()
                .iter()
                .all(|line| !line.contains("secret"))
        );
        Ok(())
    }
}
