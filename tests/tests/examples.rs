//! The SDK's examples (`sdk/examples`), each run by its own `envoy.yaml`.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use legation_tests::{
    Config, DEADLINE, Envoy, Received, Reply, Request, Stage, Upstream, workspace_root,
};
use serde_json::json;

fn folder() -> PathBuf {
    workspace_root().join("sdk/examples")
}

fn config(example: &str) -> Result<Config> {
    Config::load(&folder().join(example).join("envoy.yaml"))
}

/// Starts an example with this upstream in the place of a cluster.
fn with_cluster(
    example: &str,
    cluster: &str,
    answer: impl Fn(&Received) -> Reply + Send + Sync + 'static,
) -> Result<Stage> {
    let upstream = Upstream::answering(answer)?;
    let config = config(example)?.endpoint(cluster, upstream.address());
    Ok(Stage::with_upstream(&config, upstream)?)
}

#[test]
fn hello_world_logs_the_time_and_a_number_every_five_seconds() -> Result<()> {
    let envoy = Envoy::start(&config("hello_world")?)?;

    envoy.wait_for_log("Hello, World!", DEADLINE)?;
    let line = envoy.wait_for_log("your lucky number is", DEADLINE)?;

    let (_, said) = line.message.split_once("It's ").context("says so")?;
    let (date, rest) = said.split_at(10);
    let number = rest
        .split_once("your lucky number is ")
        .context("says so")?
        .1;
    let number: String = number.chars().take_while(char::is_ascii_digit).collect();
    assert!(
        date.starts_with("20") && date.as_bytes()[4] == b'-',
        "{said}"
    );
    assert!(rest.contains(" UTC, "), "{said}");
    assert!(number.parse::<u8>().is_ok(), "{said}");
    Ok(())
}

#[test]
fn http_headers_logs_headers_and_answers_hello() -> Result<()> {
    let stage = Stage::start(&config("http_headers")?)?;

    let other = stage.send(Request::get("/other").header("x-bytes", b"\xff"))?;
    let hello = stage.send(Request::get("/hello"))?;

    assert_eq!(other.text(), "Say /hello.\n");
    assert_eq!(
        (hello.status, hello.text()),
        (200, "Hello, World!\n".into())
    );
    assert_eq!(hello.headers.text("hello").as_deref(), Some("World"));
    assert_eq!(
        hello.headers.text("powered-by").as_deref(),
        Some("proxy-wasm")
    );
    for line in [
        "-> :path: /other",
        r"-> x-bytes: \\xff",
        "<- :status: 200",
        "<- hello: World",
        "completed.",
    ] {
        stage
            .envoy()
            .wait_for_log(&format!(r#""message":"{line}""#), DEADLINE)?;
    }
    Ok(())
}

#[test]
fn http_body_redacts_what_holds_a_secret() -> Result<()> {
    let stage = Stage::start(&config("http_body")?)?;

    let open = stage.send(Request::get("/"))?;
    let secret = stage.send(Request::get("/secret"))?;

    assert_eq!(open.text(), "Nothing to hide here.\n");
    assert_eq!(
        secret.text(),
        "Original message body (19 bytes) redacted.\n"
    );
    for answer in [open, secret] {
        assert_eq!(answer.status, 200);
        assert!(!answer.headers.contains("content-length"), "{answer}");
    }
    Ok(())
}

#[test]
fn http_body_waits_for_the_whole_of_it() -> Result<()> {
    let pause = Duration::from_millis(50);
    let in_pieces = move |_: &Received| Reply::ok().body("a sec").pause(pause).body("ret!");
    let upstream = Upstream::answering(in_pieces)?;
    let route = json!({"match": {"prefix": "/"}, "route": {"cluster": "upstream"}});
    let hosts = json!([{"name": "all", "domains": ["*"], "routes": [route]}]);
    let config = config("http_body")?
        .hcm(&json!({"route_config": {"virtual_hosts": hosts}}))
        .add_endpoint("upstream", upstream.address());
    let stage = Stage::with_upstream(&config, upstream)?;

    let answer = stage.send(Request::get("/"))?;

    assert_eq!(answer.text(), "Original message body (9 bytes) redacted.\n");
    Ok(())
}

#[test]
fn http_config_adds_the_configured_header() -> Result<()> {
    let stage = Stage::start(&config("http_config")?)?;

    let answer = stage.send(Request::get("/"))?;

    let value = answer.headers.all("custom-header");
    assert_eq!(value, [b"Configured, not compiled in"]);
    assert_eq!(answer.text(), "Look at custom-header.\n");
    Ok(())
}

#[test]
fn envoy_filter_metadata_answers_with_what_lua_set() -> Result<()> {
    let stage = Stage::start(&config("envoy_filter_metadata")?)?;

    let with = stage.send(Request::get("/").header("x-custom-metadata", "Some-value"))?;
    let without = stage.send(Request::get("/"))?;

    assert_eq!(
        with.text(),
        "Custom response with Envoy metadata: \"SOME-VALUE\"\n"
    );
    let header = with.headers.text("uppercased-metadata");
    assert_eq!(header.as_deref(), Some("SOME-VALUE"));
    assert_eq!(
        with.headers.text("powered-by").as_deref(),
        Some("proxy-wasm")
    );
    assert_eq!(
        without.text(),
        "Send x-custom-metadata for another answer.\n"
    );
    assert!(!without.headers.contains("uppercased-metadata"));
    Ok(())
}

/// httpbin, as far as it is needed: the path of `/bytes/1` answers what is given.
fn httpbin(bytes: impl Fn() -> Reply + Send + Sync + 'static) -> Result<Stage> {
    with_cluster("http_auth_random", "httpbin", move |received| {
        if received.path == "/bytes/1" {
            bytes()
        } else {
            Reply::ok().body("through")
        }
    })
}

#[test]
fn http_auth_random_lets_an_even_byte_through() -> Result<()> {
    for (byte, granted) in [(0, true), (1, false), (254, true), (255, false)] {
        let stage = httpbin(move || Reply::ok().body([byte]))?;

        let answer = stage.send(Request::post("/post", "data"))?;

        let callout = &stage.upstream().requests()[0];
        assert_eq!((&*callout.method, &*callout.path), ("GET", "/bytes/1"));
        assert_eq!(callout.authority, "httpbin.org");
        assert_eq!(answer.headers.all("powered-by"), [b"proxy-wasm"]);
        if granted {
            assert_eq!((answer.status, answer.text()), (200, "through".into()));
            let arrived = stage.upstream().last().context("it arrived")?;
            assert_eq!((&*arrived.path, arrived.text()), ("/post", "data".into()));
            stage.envoy().wait_for_log("Access granted.", DEADLINE)?;
        } else {
            assert_eq!(
                (answer.status, answer.text()),
                (403, "Access forbidden.\n".into())
            );
            assert_eq!(stage.upstream().count(), 1);
            stage.envoy().wait_for_log("Access forbidden.", DEADLINE)?;
        }
    }
    Ok(())
}

#[test]
fn http_auth_random_lets_nothing_through_without_an_answer() -> Result<()> {
    for answer in [Reply::ok(), Reply::reset(), Reply::hang()] {
        let stage = httpbin(move || answer.clone())?;

        let refused = stage.send(Request::get("/get"))?;

        assert_eq!(
            (refused.status, refused.text()),
            (403, "Access forbidden.\n".into())
        );
        assert!(
            stage
                .upstream()
                .requests()
                .iter()
                .all(|it| it.path == "/bytes/1")
        );
    }
    Ok(())
}

const CALL: &str = "/hello.HelloService/SayHello";
const RANDOM_ERROR: &str = "/grpcbin.GRPCBin/RandomError";
/// A message of gRPC's without a field.
const EMPTY: [u8; 5] = [0; 5];

/// grpcbin, as far as it is needed: `RandomError` ends with this status.
fn grpcbin(status: u32) -> Result<Stage> {
    with_cluster("grpc_auth_random", "grpcbin", move |received| {
        let reply = Reply::ok().header("content-type", "application/grpc");
        match (received.path.as_str(), status) {
            (RANDOM_ERROR, 1..) => reply.header("grpc-status", status.to_string()),
            _ => reply.body(EMPTY).trailer("grpc-status", "0"),
        }
    })
}

fn call(path: &str) -> Request {
    Request::post(path, EMPTY)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
}

#[test]
fn grpc_auth_random_lets_an_even_status_through() -> Result<()> {
    for (status, granted) in [(0, true), (1, false), (2, true), (13, false)] {
        let stage = grpcbin(status)?;

        let answer = stage.send_http2(call(CALL))?;

        let callout = &stage.upstream().requests()[0];
        assert_eq!(callout.path, RANDOM_ERROR);
        assert_eq!(callout.body, EMPTY);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers.all("powered-by"), [b"proxy-wasm"]);
        if granted {
            assert_eq!(answer.trailers.text("grpc-status").as_deref(), Some("0"));
            let arrived = stage.upstream().last().context("it arrived")?;
            assert_eq!((&*arrived.path, &*arrived.body), (CALL, &EMPTY[..]));
            stage.envoy().wait_for_log("Access granted.", DEADLINE)?;
        } else {
            assert_eq!(answer.headers.text("grpc-status").as_deref(), Some("10"));
            let message = answer.headers.text("grpc-message");
            assert_eq!(message.as_deref(), Some("Aborted by Proxy-Wasm!"));
            assert_eq!(stage.upstream().count(), 1);
            stage.envoy().wait_for_log("Access forbidden.", DEADLINE)?;
        }
    }
    Ok(())
}

#[test]
fn grpc_auth_random_lets_nothing_through_without_an_answer() -> Result<()> {
    let stage = with_cluster("grpc_auth_random", "grpcbin", |_| Reply::hang())?;

    let answer = stage.send_http2(call(CALL))?;

    assert_eq!(answer.headers.text("grpc-status").as_deref(), Some("10"));
    assert!(
        stage
            .upstream()
            .requests()
            .iter()
            .all(|it| it.path == RANDOM_ERROR)
    );
    Ok(())
}

#[test]
fn grpc_auth_random_lets_reflection_through_and_no_other_clients_in() -> Result<()> {
    let stage = grpcbin(1)?;

    let reflection = stage.send_http2(call("/grpc.reflection.v1.ServerReflection/Info"))?;
    let browser = stage.send_http2(Request::get("/"))?;

    assert_eq!(
        reflection.trailers.text("grpc-status").as_deref(),
        Some("0")
    );
    assert_eq!(browser.status, 503);
    assert_eq!(browser.text(), "Service accessible only to gRPC clients.\n");
    assert_eq!(browser.headers.all("powered-by"), [b"proxy-wasm"]);
    // Neither was asked about.
    assert_eq!(stage.upstream().count(), 1);
    Ok(())
}

/// What is neither blank nor a comment.
fn lines_of_code(text: &str) -> usize {
    let lines = text.lines().map(str::trim_start);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .count()
}

#[test]
fn each_example_is_as_short_as_the_readme_says_and_shorter_than_its_original() -> Result<()> {
    let readme = fs::read_to_string(folder().join("README.md"))?;
    let mut described = Vec::new();
    for row in readme.lines().filter(|line| line.starts_with("| [`")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, name, _, original, own, _] = cells.as_slice() else {
            panic!("a row of other columns: {row}");
        };
        let name = name.split('`').nth(1).context("a name")?;
        let (original, own): (usize, usize) = (original.parse()?, own.parse()?);
        let source = fs::read_to_string(folder().join(name).join("src/lib.rs"))?;
        assert_eq!(lines_of_code(&source), own, "{name}");
        assert!(own < original, "{name}");
        described.push(name.to_owned());
    }
    let mut there = Vec::new();
    for entry in fs::read_dir(folder())? {
        let entry = entry?;
        if entry.path().is_dir() {
            there.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    there.sort();
    described.sort();
    assert_eq!(described, there);
    Ok(())
}
