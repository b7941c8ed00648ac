//! What the SDK does in the real Envoy, shown by the module `probe`.

use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use legation_tests::{
    Config, DEADLINE, Envoy, Reply, Request, Stage, StartError, Upstream, module_dir, wait_for,
};
use serde_json::{Value, json};

fn config() -> Result<Config> {
    Config::with_filter("probe", json!({}))
}

fn stage() -> Result<Stage> {
    Ok(Stage::start(&config()?)?)
}

/// Through the entry points that `cargo xtask build` leaves, and through those
/// of a module straight from `cargo build`.
fn through_both_doors(check: impl Fn(&Stage) -> Result<()>) -> Result<()> {
    check(&stage()?)?;
    let plain = module_dir()?.join("plain").join("probe.wasm");
    check(&Stage::start(&config()?.module("probe", &plain))?)
}

#[test]
fn headers_are_read_and_changed_as_bytes() -> Result<()> {
    through_both_doors(|stage| {
        let exchange = stage.exchange(
            Request::get("/headers")
                .header("x-twice", "a")
                .header("x-twice", "b\u{e9}")
                .header("x-remove", "1"),
        )?;
        let arrived = &exchange.arrived()?.headers;
        assert_eq!(arrived.get("x-both"), Some("a+b\u{e9}".as_bytes()));
        assert_eq!(arrived.text("x-was-twice").as_deref(), Some("true"));
        assert_eq!(arrived.all("x-twice"), [b"once"]);
        assert_eq!(arrived.all("x-added"), [b"1", b"2"]);
        assert!(!arrived.contains("x-remove"));
        // What the filter believes it left is what Envoy has: less the two that
        // it had not written yet when it counted, it is what was there before
        // plus four added, minus one of the repeated and the removed.
        let number = |name| {
            arrived
                .text(name)
                .and_then(|text| text.parse::<usize>().ok())
        };
        assert_eq!(
            number("x-left"),
            number("x-count").map(|count| count + 5 - 2)
        );
        Ok(())
    })
}

#[test]
fn all_headers_are_replaced_at_once() -> Result<()> {
    let stage = stage()?;
    // The header by which the stage knows its requests is replaced as well.
    stage.send(Request::get("/replace-all").header("x-gone", "1"))?;
    let arrived = stage.upstream().last().expect("it went upstream");
    assert_eq!(arrived.path, "/replace-all");
    assert_eq!(arrived.headers.get("x-only"), Some(b"o\xff".as_slice()));
    assert!(!arrived.headers.contains("x-gone"));
    Ok(())
}

#[test]
fn path_and_method_are_rewritten() -> Result<()> {
    let stage = stage()?;
    let exchange = stage.exchange(Request::get("/rewrite"))?;
    let arrived = exchange.arrived()?;
    assert_eq!(arrived.path, "/rewritten?by=probe");
    assert_eq!(arrived.method, "PUT");
    Ok(())
}

#[test]
fn attributes_are_typed() -> Result<()> {
    through_both_doors(|stage| {
        let exchange = stage.exchange(Request::get("/attributes"))?;
        let arrived = &exchange.arrived()?.headers;
        let text = |name| arrived.text(name).unwrap_or_default();
        assert_eq!(text("x-source-ip"), "127.0.0.1");
        assert_eq!(
            text("x-source-address"),
            format!("127.0.0.1:{}", text("x-source-port"))
        );
        assert_eq!(text("x-protocol"), "HTTP/1.1");
        assert_eq!(text("x-mtls"), "false");
        assert_eq!(text("x-plugin"), "probe");
        assert_eq!(text("x-response-code"), "none");
        assert_eq!(text("x-age-seconds"), "0");
        Ok(())
    })
}

#[test]
fn clock_and_random_answer() -> Result<()> {
    let stage = stage()?;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let exchange = stage.exchange(Request::get("/services"))?;
        let arrived = &exchange.arrived()?.headers;
        let seconds: u64 = arrived.text("x-seconds").unwrap_or_default().parse()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        assert!(now.abs_diff(seconds) < 60, "{seconds} is not now, {now}");
        let random = arrived.text("x-random").unwrap_or_default();
        assert_eq!(random.len(), 32);
        seen.push(random[..16].to_owned());
        seen.push(random[16..].to_owned());
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 4, "random numbers repeat: {seen:?}");
    Ok(())
}

#[test]
fn a_local_reply_answers_in_the_upstreams_place() -> Result<()> {
    through_both_doors(|stage| {
        let exchange = stage.exchange(Request::get("/reply"))?;
        assert!(exchange.received.is_none());
        assert_eq!(exchange.response.status, 403);
        assert_eq!(exchange.response.text(), "asked to refuse\n");
        assert_eq!(
            exchange.response.headers.text("x-reason").as_deref(),
            Some("asked")
        );
        // Its own response callback saw the reply pass.
        assert_eq!(
            exchange.response.headers.text("x-probe").as_deref(),
            Some("saw 403")
        );
        Ok(())
    })
}

#[test]
fn a_grpc_client_is_refused_as_grpc() -> Result<()> {
    let stage = stage()?;
    let exchange = stage
        .exchange_http2(Request::post("/reply", "").header("content-type", "application/grpc"))?;
    assert!(exchange.received.is_none());
    assert_eq!(exchange.response.status, 200);
    let header = |name| {
        let response = &exchange.response;
        response
            .headers
            .text(name)
            .or_else(|| response.trailers.text(name))
    };
    assert_eq!(header("grpc-status").as_deref(), Some("9"));
    assert_eq!(
        header("grpc-message").map(|text| text.trim().to_owned()),
        Some("asked to refuse%0A".to_owned())
    );
    Ok(())
}

#[test]
fn a_second_local_reply_is_not_sent_and_the_worker_lives_on() -> Result<()> {
    let stage = stage()?;
    assert_eq!(stage.send(Request::get("/reply-twice"))?.status, 403);
    assert_eq!(stage.send(Request::get("/next"))?.status, 200);
    stage
        .envoy()
        .wait_for_log("a second one is not sent", DEADLINE)?;
    Ok(())
}

#[test]
fn an_error_in_a_callback_refuses_the_request_and_is_counted() -> Result<()> {
    through_both_doors(|stage| {
        let exchange = stage.exchange(Request::get("/error"))?;
        assert!(exchange.received.is_none(), "the request went upstream");
        assert_eq!(exchange.response.status, 500);
        let exchange = stage.exchange(Request::get("/error-response"))?;
        assert_eq!(exchange.response.status, 500);
        // Where the response was on its way already, it is broken off.
        stage
            .upstream()
            .enqueue(Reply::ok().body("one").body("two"));
        assert!(
            stage
                .client()
                .send(Request::get("/error-response-body"))
                .is_err()
        );
        stage
            .admin()
            .wait_for_stat("wasmcustom.probe.errors", DEADLINE, |errors| errors == 3)?;
        assert_eq!(stage.send(Request::get("/next"))?.status, 200);
        Ok(())
    })
}

#[test]
fn a_line_break_in_a_header_value_is_refused() -> Result<()> {
    let stage = stage()?;
    let exchange = stage.exchange(Request::get("/inject"))?;
    assert!(exchange.received.is_none());
    assert_eq!(exchange.response.status, 500);
    assert!(!exchange.response.headers.contains("x-injected"));
    Ok(())
}

#[test]
fn bodies_are_held_and_replaced() -> Result<()> {
    through_both_doors(|stage| {
        stage
            .upstream()
            .enqueue(Reply::ok().body("first, ").body("second"));
        let exchange = stage.exchange(Request::post("/upper", "all of it"))?;
        assert_eq!(exchange.arrived()?.text(), "ALL OF IT");
        assert_eq!(exchange.response.text(), "FIRST, SECOND");
        Ok(())
    })
}

#[test]
fn trailers_are_changed() -> Result<()> {
    let config = config()?.http2_upstream("upstream");
    let stage = Stage::start(&config)?;
    stage
        .upstream()
        .enqueue(Reply::ok().body("x").trailer("x-from", "upstream"));
    let exchange =
        stage.exchange_http2(Request::post("/trailers", "y").trailer("x-from", "client"))?;
    let trailers = &exchange.arrived()?.trailers;
    assert_eq!(
        trailers.text("x-probe").as_deref(),
        Some("request trailers")
    );
    let trailers = &exchange.response.trailers;
    assert_eq!(
        trailers.text("x-probe").as_deref(),
        Some("response trailers")
    );
    assert_eq!(trailers.text("x-from").as_deref(), Some("upstream"));
    Ok(())
}

#[test]
fn the_response_callback_has_the_request_that_was_read() -> Result<()> {
    through_both_doors(|stage| {
        let response = stage.send(Request::new("DELETE", "/any"))?;
        assert_eq!(
            response.headers.text("x-probe-method").as_deref(),
            Some("DELETE")
        );
        Ok(())
    })
}

#[test]
fn metrics_are_envoys_statistics() -> Result<()> {
    let config = Config::with_filter("probe", json!({ "stat_prefix": "mine", "tick": "5ms" }))?;
    let stage = Stage::start(&config)?;
    for _ in 0..3 {
        stage.send(Request::get("/metrics"))?;
    }
    let stat = |name: &str, wanted: fn(u64) -> bool| {
        let name = format!("wasmcustom.mine.{name}");
        stage.admin().wait_for_stat(&name, DEADLINE, wanted)
    };
    stat("requests", |value| value == 3)?;
    stat("logged", |value| value == 3)?;
    stat("open", |value| value == 0)?;
    stat("ticks", |value| value >= 3)?;
    let prometheus = stage.admin().prometheus()?;
    assert!(
        prometheus.contains("mine_path_length_bytes_count"),
        "{prometheus}"
    );
    Ok(())
}

/// The module's JSON lines with this message.
fn lines(envoy: &Envoy, message: &str) -> Vec<Value> {
    envoy
        .module_log()
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["message"] == message)
        .collect()
}

fn wait_for_line(envoy: &Envoy, message: &str) -> Result<Value> {
    wait_for(message, DEADLINE, || {
        Ok(lines(envoy, message).into_iter().next())
    })
}

#[test]
fn log_lines_are_json_with_the_requests_ids() -> Result<()> {
    let stage = stage()?;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let exchange = stage.exchange(
        Request::get("/log").header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01")),
    )?;
    let id = exchange.arrived()?.headers.text("x-request-id");
    assert!(id.is_some(), "Envoy gave the request no id");
    let id = Value::from(id);
    for (message, level, key, value) in [
        ("at error", "error", "code", json!(1)),
        ("at warn", "warn", "reason", json!("a \"quoted\" word")),
        ("at info", "info", "ratio", json!(0.5)),
        ("stream over", "warn", "status", json!(200)),
    ] {
        let line = wait_for_line(stage.envoy(), message)?;
        assert_eq!(line["level"], level, "{line}");
        assert_eq!(line["filter"], "probe", "{line}");
        assert_eq!(line[key], value, "{line}");
        assert_eq!(line["request_id"], id, "{line}");
        assert_eq!(line["trace_id"], trace, "{line}");
    }
    assert!(lines(stage.envoy(), "at debug").is_empty());
    Ok(())
}

#[test]
fn the_log_level_follows_envoys_while_it_runs() -> Result<()> {
    let config = Config::with_filter("probe", json!({ "tick": "5ms" }))?;
    let stage = Stage::start(&config)?;
    stage.send(Request::get("/log"))?;
    wait_for_line(stage.envoy(), "at info")?;
    assert!(lines(stage.envoy(), "at debug").is_empty());

    stage.admin().set_log_level("wasm", "debug")?;
    wait_for("a line at debug", DEADLINE, || {
        stage.send(Request::get("/log"))?;
        Ok(lines(stage.envoy(), "at debug").into_iter().next())
    })?;
    assert!(lines(stage.envoy(), "at trace").is_empty());
    Ok(())
}

#[test]
fn a_struct_configuration_is_read_like_json_text() -> Result<()> {
    for configuration in [
        json!({ "stat_prefix": "mine" }),
        json!(r#"{ "stat_prefix": "mine" }"#),
    ] {
        let stage = Stage::start(&Config::with_filter("probe", configuration)?)?;
        stage.send(Request::get("/"))?;
        stage
            .admin()
            .wait_for_stat("wasmcustom.mine.requests", DEADLINE, |value| value == 1)?;
    }
    Ok(())
}

#[test]
fn a_wrong_configuration_is_refused_with_every_error() -> Result<()> {
    let wrong = json!({ "stat_prefx": "mine", "tick": "1d" });
    let refused = Envoy::start(&Config::with_filter("probe", wrong)?);
    let Err(StartError::Refused { log, .. }) = refused else {
        panic!("accepted");
    };
    for error in [
        "stat_prefx: unknown field",
        "did you mean `stat_prefix`?",
        "tick: ",
    ] {
        assert!(log.contains(error), "no `{error}` in {log}");
    }
    Ok(())
}

/// Two filters of one VM, each with its own configuration.
#[test]
fn two_configurations_in_one_vm_stay_apart() -> Result<()> {
    let entry = |name: &str| {
        let mut filter =
            legation_tests::wasm_filter("probe", json!(json!({ "stat_prefix": name }).to_string()));
        filter["name"] = json!(name);
        filter["typed_config"]["config"]["name"] = json!(name);
        filter["typed_config"]["config"]["root_id"] = json!(name);
        filter["typed_config"]["config"]["vm_config"]["vm_id"] = json!("shared");
        filter
    };
    let config = Config::plain()?
        .insert_filter(entry("one"))
        .insert_filter(entry("two"));
    let stage = Stage::start(&config)?;
    for _ in 0..10 {
        assert_eq!(stage.send(Request::get("/"))?.status, 200);
    }
    // The first one's reply: the second never sees the request.
    assert_eq!(stage.send(Request::get("/reply"))?.status, 403);
    for (name, requests) in [("one", 11), ("two", 10)] {
        let stat = format!("wasmcustom.{name}.requests");
        assert_eq!(stage.admin().stat(&stat)?, Some(requests), "{name}");
    }
    Ok(())
}

#[test]
fn streams_on_several_workers_do_not_mix() -> Result<()> {
    let upstream = Upstream::answering(|received| {
        Reply::ok().body(received.headers.text("x-probe-n").unwrap_or_default())
    })?;
    let stage = Stage::with_upstream(&config()?.concurrency(4), upstream)?;
    thread::scope(|scope| {
        let clients = (0..8)
            .map(|client| {
                let stage = &stage;
                scope.spawn(move || -> Result<()> {
                    let connection = stage.envoy().client()?;
                    for n in 0..50 {
                        let path = if n % 2 == 0 { "/upper" } else { "/plain" };
                        let sent = format!("c{client}n{n}");
                        let response =
                            connection.send(Request::get(path).header("x-probe-n", &sent))?;
                        let wanted = if n % 2 == 0 {
                            sent.to_uppercase()
                        } else {
                            sent
                        };
                        assert_eq!(response.text(), wanted);
                    }
                    Ok(())
                })
            })
            .collect::<Vec<_>>();
        for client in clients {
            client.join().expect("the client does not panic")?;
        }
        anyhow::Ok(())
    })?;
    stage
        .admin()
        .wait_for_stat("wasmcustom.probe.open", DEADLINE, |open| open == 0)?;
    Ok(())
}

/// The module `remembering` is not told when a stream ends: what it remembers
/// goes with the response, and without one, when the SDK asks the host.
#[test]
fn streams_that_end_without_a_response_are_forgotten_in_time() -> Result<()> {
    const BROKEN_OFF: u64 = 3_000;
    let upstream = Upstream::answering(|received| match received.path.as_str() {
        "/hang" => Reply::hang(),
        _ => Reply::ok(),
    })?;
    let stage = Stage::with_upstream(&Config::with_filter("remembering", json!(""))?, upstream)?;
    let remembered = || stage.admin().stat("wasmcustom.remembering.remembered");

    let answered = stage.send(Request::get("/"))?;
    assert_eq!(answered.headers.text("via").as_deref(), Some("remembering"));
    let finished = stage.send(Request::get("/finish"))?;
    assert!(!finished.headers.contains("via"), "a callback after Finish");
    assert_eq!(remembered()?, Some(0));

    let address = stage.envoy().address()?;
    for _ in 0..BROKEN_OFF {
        let mut connection = legation_tests::RawConnection::open(address)?;
        connection.send(b"GET /hang HTTP/1.1\r\nhost: a\r\n\r\n")?;
    }
    // All are gone once Envoy has seen the clients leave, and the next streams
    // have the SDK look.
    let ended = "http.ingress.downstream_cx_destroy";
    stage
        .admin()
        .wait_for_stat(ended, DEADLINE, |ended| ended >= BROKEN_OFF)?;
    wait_for("the streams to be forgotten", DEADLINE, || {
        let mut connection = legation_tests::RawConnection::open(address)?;
        connection.send(b"GET /hang HTTP/1.1\r\nhost: a\r\n\r\n")?;
        Ok(remembered()?.filter(|remembered| *remembered < 1_100))
    })?;
    assert_eq!(stage.send(Request::get("/"))?.status, 200);
    Ok(())
}
