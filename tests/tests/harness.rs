//! The harness itself, with no filter of Legation in the way.

use std::time::Duration;

use anyhow::Result;
use legation_tests::{Config, DEADLINE, Envoy, RawConnection, Reply, Request, Stage, wait_for};
use serde_json::json;

#[test]
fn a_request_arrives_and_its_answer_comes_back() -> Result<()> {
    let stage = Stage::start(&Config::plain()?)?;
    stage.upstream().enqueue(
        Reply::status(201)
            .header("x-answer", "yes")
            .body("the answer"),
    );

    let exchange = stage.exchange(Request::post("/a?b=c", "the body").host("example.com"))?;

    assert_eq!(exchange.response.status, 201);
    assert_eq!(exchange.response.headers.get("x-answer"), Some(&b"yes"[..]));
    assert_eq!(exchange.response.text(), "the answer");
    let received = exchange.arrived()?;
    assert_eq!(received.method, "POST");
    assert_eq!(received.path, "/a?b=c");
    assert_eq!(received.authority, "example.com");
    assert_eq!(received.text(), "the body");
    assert!(received.complete);
    Ok(())
}

#[test]
fn a_byte_0xff_in_a_header_passes_both_ways() -> Result<()> {
    let stage = Stage::start(&Config::plain()?)?;
    stage
        .upstream()
        .enqueue(Reply::ok().header("x-bytes", b"\x80\xfe\xff"));

    let exchange = stage.exchange(Request::get("/").header("x-bytes", b"a\xffb"))?;

    let arrived = exchange.arrived()?;
    assert_eq!(arrived.headers.get("x-bytes"), Some(&b"a\xffb"[..]));
    let came = &exchange.response.headers;
    assert_eq!(came.get("x-bytes"), Some(&b"\x80\xfe\xff"[..]));
    Ok(())
}

#[test]
fn a_thousand_headers_pass_both_ways_once_the_limits_are_raised() -> Result<()> {
    let stage = Stage::start(&Config::plain()?.header_limits(2_000, 256))?;
    let many = (0..1_000).map(|number| (format!("x-{number}"), number.to_string()));
    stage.upstream().enqueue(Reply::ok().headers(many.clone()));

    let exchange = stage.exchange(Request::get("/").headers(many.clone()))?;

    assert_eq!(exchange.response.status, 200);
    for headers in [&exchange.arrived()?.headers, &exchange.response.headers] {
        for (name, value) in many.clone() {
            assert_eq!(headers.text(&name), Some(value), "{name}");
        }
    }
    Ok(())
}

#[test]
fn a_header_of_60_kb_passes_both_ways_once_the_limits_are_raised() -> Result<()> {
    let stage = Stage::start(&Config::plain()?.header_limits(200, 256))?;
    let long = "y".repeat(60 * 1024);
    stage
        .upstream()
        .enqueue(Reply::ok().header("x-long", &long));

    let exchange = stage.exchange(Request::get("/").header("x-long", &long))?;

    assert_eq!(
        exchange.arrived()?.headers.text("x-long"),
        Some(long.clone())
    );
    assert_eq!(exchange.response.headers.text("x-long"), Some(long));
    Ok(())
}

#[test]
fn too_many_headers_for_envoy_are_refused_by_envoy() -> Result<()> {
    let stage = Stage::start(&Config::plain()?)?;
    let many = (0..200).map(|number| (format!("x-{number}"), "v"));

    let exchange = stage.exchange(Request::get("/").headers(many))?;

    assert_eq!(exchange.response.status, 431);
    assert!(exchange.arrived().is_err());
    Ok(())
}

#[test]
fn counters_are_read_by_name_and_by_prefix_and_waited_for() -> Result<()> {
    let stage = Stage::start(&Config::plain()?)?;
    let name = "cluster.upstream.upstream_rq_total";

    for _ in 0..3 {
        stage.send(Request::get("/"))?;
    }

    assert_eq!(stage.admin().stat(name)?, Some(3));
    assert_eq!(stage.admin().stat("no.such.counter")?, None);
    let found = stage
        .admin()
        .stats_with_prefix("cluster.upstream.upstream_rq_")?;
    assert_eq!(found.get(name), Some(&3));
    let waited = stage
        .admin()
        .wait_for_stat("http.ingress.downstream_rq_2xx", DEADLINE, |n| n == 3)?;
    assert_eq!(waited, 3);
    assert!(
        stage
            .admin()
            .prometheus()?
            .contains("envoy_cluster_upstream_rq_total")
    );
    Ok(())
}

#[test]
fn connections_are_kept_alive() -> Result<()> {
    let stage = Stage::start(&Config::plain()?)?;

    for _ in 0..5 {
        stage.send(Request::get("/"))?;
    }

    let connections = stage.admin().stat("http.ingress.downstream_cx_total")?;
    assert_eq!(connections, Some(1));
    Ok(())
}

#[test]
fn http2_and_its_trailers_pass_both_ways() -> Result<()> {
    let stage = Stage::start(&Config::plain()?.http2_upstream("upstream"))?;
    stage.upstream().enqueue(
        Reply::ok()
            .header("content-type", "application/grpc")
            .body("message")
            .trailer("grpc-status", "0"),
    );

    let exchange = stage.exchange_http2(
        Request::post("/service/Method", "question")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .trailer("x-checksum", "abc"),
    )?;

    assert_eq!(
        exchange.response.trailers.text("grpc-status").as_deref(),
        Some("0")
    );
    let arrived = exchange.arrived()?;
    assert_eq!(arrived.version, "HTTP/2.0");
    assert_eq!(arrived.trailers.text("x-checksum").as_deref(), Some("abc"));
    Ok(())
}

#[test]
fn http1_trailers_pass_once_they_are_let() -> Result<()> {
    let stage = Stage::start(&Config::plain()?.http1_trailers())?;
    stage
        .upstream()
        .enqueue(Reply::ok().body("body").trailer("x-after", "answer"));

    let exchange = stage.exchange(
        Request::post("/", "body")
            .header("te", "trailers")
            .trailer("x-after", "request"),
    )?;

    let arrived = exchange.arrived()?;
    assert_eq!(arrived.trailers.text("x-after").as_deref(), Some("request"));
    let trailers = &exchange.response.trailers;
    assert_eq!(trailers.text("x-after").as_deref(), Some("answer"));
    Ok(())
}

#[test]
fn an_upstream_resets_hangs_or_breaks_off_as_it_is_told() -> Result<()> {
    let patience = json!({"route_config": {"virtual_hosts": [{
        "name": "everything",
        "domains": ["*"],
        "routes": [{
            "match": {"prefix": "/"},
            "route": {"cluster": "upstream", "timeout": "2s"},
        }],
    }]}});
    let stage = Stage::start(&Config::plain()?.hcm(&patience))?;

    stage.upstream().enqueue(Reply::reset());
    assert_eq!(stage.send(Request::get("/reset"))?.status, 503);

    stage.upstream().enqueue(Reply::hang());
    assert_eq!(stage.send(Request::get("/hang"))?.status, 504);

    stage.upstream().enqueue(
        Reply::ok()
            .body("begun")
            .pause(Duration::from_millis(20))
            .cut(),
    );
    assert!(stage.send(Request::get("/cut")).is_err());

    assert_eq!(stage.send(Request::get("/well"))?.status, 200);
    Ok(())
}

#[test]
fn a_request_that_breaks_off_is_recorded_as_far_as_it_came() -> Result<()> {
    let stage = Stage::start(&Config::plain()?)?;

    let sent = stage.send(
        Request::post("/", "begun")
            .pause(Duration::from_millis(50))
            .cut(),
    );

    assert!(sent.is_err());
    let broken = stage
        .upstream()
        .wait_for("the request", DEADLINE, |one| !one.complete)?;
    assert_eq!(broken.text(), "begun");
    Ok(())
}

#[test]
fn what_no_client_would_send_goes_out_raw() -> Result<()> {
    let stage = Stage::start(&Config::plain()?)?;

    let mut raw = RawConnection::open(stage.envoy().address()?)?;
    raw.send(b"GET / HTTP/1.1\r\nHost: a\r\nBad Header: b\r\n\r\n")?;
    let answer = raw.read_to_end()?;

    assert!(
        answer.starts_with(b"HTTP/1.1 400"),
        "{}",
        answer.escape_ascii()
    );
    assert_eq!(stage.upstream().count(), 0);
    Ok(())
}

#[test]
fn envoy_is_gone_after_the_drop() -> Result<()> {
    let envoy = Envoy::start(&Config::plain()?)?;
    let address = envoy.address()?;
    let folder = envoy.config_file();
    RawConnection::open(address)?;

    drop(envoy);

    assert!(RawConnection::open(address).is_err());
    assert!(!folder.exists());
    Ok(())
}

#[test]
fn envoy_is_gone_after_a_panic() -> Result<()> {
    let envoy = Envoy::start(&Config::plain()?)?;
    let address = envoy.address()?;

    let failing = std::thread::spawn(move || {
        let _held = envoy;
        std::panic::resume_unwind(Box::new("a test that fails"));
    });

    assert!(failing.join().is_err());
    assert!(RawConnection::open(address).is_err());
    Ok(())
}

/// Runs itself again in another process, which starts an Envoy and is killed without a word.
#[cfg(target_os = "linux")]
#[test]
fn envoy_is_gone_after_the_test_process_is_killed() -> Result<()> {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    const MARK: &str = "HARNESS_HOLDS_AN_ENVOY";
    if std::env::var_os(MARK).is_some() {
        let envoy = Envoy::start(&Config::plain()?)?;
        println!("listens on {}", envoy.address()?);
        loop {
            std::thread::park();
        }
    }
    let mut other = Command::new(std::env::current_exe()?)
        .args(["--exact", "--nocapture"])
        .arg("envoy_is_gone_after_the_test_process_is_killed")
        .env(MARK, "")
        .stdout(Stdio::piped())
        .spawn()?;
    let lines = BufReader::new(other.stdout.take().unwrap()).lines();
    let address = lines
        .map_while(Result::ok)
        .find_map(|line| Some(line.split_once("listens on ")?.1.parse().unwrap()))
        .unwrap();
    RawConnection::open(address)?;

    other.kill()?;
    other.wait()?;

    wait_for("Envoy to be gone", DEADLINE, || {
        Ok(RawConnection::open(address).is_err().then_some(()))
    })
}

#[test]
fn a_config_that_envoy_refuses_is_an_error_with_its_log() -> Result<()> {
    let config = Config::plain()?.hcm(&json!({"no_such_field": true}));

    for error in [
        Envoy::start(&config).unwrap_err(),
        Envoy::validate(&config).unwrap_err(),
    ] {
        assert!(error.log().contains("no_such_field"), "{error}");
    }
    Ok(())
}

#[test]
fn a_log_level_is_changed_while_envoy_runs() -> Result<()> {
    let stage = Stage::start(&Config::plain()?)?;
    stage.send(Request::get("/before"))?;
    assert!(!stage.envoy().log().contains("/before"));

    stage.admin().set_log_level("http", "debug")?;
    stage.send(Request::get("/after"))?;

    let entry = stage.envoy().wait_for_log("/after", DEADLINE)?;
    assert_eq!(entry.level, "debug");
    Ok(())
}

#[test]
fn the_report_shows_request_answer_upstream_and_log() -> Result<()> {
    let stage = Stage::start(&Config::plain()?.log_level("warning", "http:debug"))?;
    stage
        .upstream()
        .enqueue(Reply::status(418).header("x-why", "teapot"));

    stage.send(Request::get("/shown").header("x-bytes", b"\xff"))?;

    let report = stage.report();
    for part in [
        "GET /shown",
        "x-bytes: \\xff",
        "418",
        "x-why: teapot",
        "x-request-id",
        "[debug][http]",
    ] {
        assert!(report.contains(part), "no {part:?} in:\n{report}");
    }
    Ok(())
}

#[test]
fn what_a_failed_test_leaves_is_its_whole_log() -> Result<()> {
    let stage = Stage::start(&Config::plain()?.log_level("warning", "http:debug"))?;
    for _ in 0..100 {
        stage.send(Request::get("/kept"))?;
    }
    let log = stage.envoy().log();
    assert!(log.lines().count() > 200, "{log}");
    let report = stage.report();
    assert!(report.lines().count() < 150, "{report}");

    let kept = stage.envoy().keep_log("harness::a test")?;
    drop(stage);

    assert!(kept.ends_with("failed/harness__a_test.log"), "{kept:?}");
    let whole = std::fs::read_to_string(&kept)?;
    assert!(whole.starts_with(&log));
    std::fs::remove_file(kept)?;
    Ok(())
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_and_its_workers_are_known() -> Result<()> {
    let envoy = Envoy::start(&Config::plain()?.concurrency(2))?;

    let workers = envoy.workers()?;

    assert_eq!(workers.len(), 2, "{:?}", envoy.threads()?);
    assert!(workers.iter().all(|worker| worker.id != envoy.pid()));
    Ok(())
}
