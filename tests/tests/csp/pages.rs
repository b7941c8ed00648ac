//! Pages that are rewritten on their way.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use legation_tests::{DEADLINE, Reply, Request, Response, Stage};
use serde_json::{Value, json};

use super::{POLICY, assert_unharmed, nonce, page, start, start_alone};

const PLACEHOLDER: &str = "{{csp-nonce-8f3b1c}}";

fn rewriting() -> Value {
    json!({"rules": [{
        "policy": "script-src 'nonce-{nonce}' 'strict-dynamic'",
        "nonce": {
            "placeholder": PLACEHOLDER,
            "elements": ["script[src^=\"/static/\"]", "script[data-trusted=\"8f3b1c\"]"]
        }
    }]})
}

const PAGE: &str = r#"<!doctype html><title>A page</title>
<script nonce="{{csp-nonce-8f3b1c}}">one()</script>
<script src="/static/app.js"></script>
<script data-trusted="8f3b1c">two()</script>
<script>injected()</script><!-- <script src="/static/app.js"></script> -->
<textarea><script src="/static/app.js"></script></textarea>
"#;

/// The page as it should come out.
fn expected(nonce: &str) -> String {
    let page = PAGE.replace(PLACEHOLDER, nonce);
    page.replacen(
        r#"<script src="/static/app.js">"#,
        &format!(r#"<script nonce={nonce} src="/static/app.js">"#),
        1,
    )
    .replace(
        r#"<script data-trusted="8f3b1c">"#,
        &format!(r#"<script nonce={nonce} data-trusted="8f3b1c">"#),
    )
}

fn assert_rewritten(response: &Response) -> Result<()> {
    let nonce = nonce(&response.headers).context("a nonce")?;
    assert_eq!(
        response.text().replace('"', ""),
        expected(&nonce).replace('"', "")
    );
    for name in [
        "content-encoding",
        "etag",
        "accept-ranges",
        "content-digest",
    ] {
        assert!(!response.headers.contains(name), "{name}");
    }
    Ok(())
}

#[test]
fn the_trusted_elements_get_the_nonce_and_no_other() -> Result<()> {
    let mut configuration = rewriting();
    configuration["stat_prefix"] = json!("trusted");
    let stage = start(&configuration)?;
    stage.upstream().answer(|_| {
        page(PAGE)
            .header("etag", "\"1\"")
            .header("accept-ranges", "bytes")
            .header("content-digest", "x")
    });
    for _ in 0..3 {
        assert_rewritten(&stage.send(Request::get("/"))?)?;
    }
    stage
        .admin()
        .wait_for_stat("wasmcustom.trusted.nonces_written", DEADLINE, |count| {
            count == 9
        })?;
    assert_unharmed(&stage)
}

#[test]
fn a_page_cut_anywhere_and_compressed_anyhow_comes_out_the_same() -> Result<()> {
    let stage = start(&rewriting())?;
    let bodies = [
        (None, PAGE.as_bytes().to_vec()),
        (Some("gzip"), gzip(PAGE.as_bytes())?),
        (Some("deflate"), zlib(PAGE.as_bytes())?),
        (Some("deflate"), raw_deflate(PAGE.as_bytes())?),
    ];
    for (coding, body) in bodies {
        // Envoy joins pieces that come together: the pauses have some come alone.
        let cuts = (1..body.len()).step_by(37);
        let pieces: Vec<Vec<u8>> = cuts
            .clone()
            .zip(cuts.skip(1).chain([body.len()]))
            .map(|(from, to)| body[from..to].to_vec())
            .collect();
        let first = body[..1].to_vec();
        stage.upstream().answer(move |_| {
            let mut reply = page(&first);
            if let Some(coding) = coding {
                reply = reply.header("content-encoding", coding);
            }
            for piece in &pieces {
                reply = reply.pause(Duration::from_millis(2)).body(piece);
            }
            reply
        });
        let response =
            stage.send(Request::get("/").header("accept-encoding", "gzip, deflate, br"))?;
        assert_rewritten(&response)?;
    }
    assert_unharmed(&stage)
}

#[test]
fn the_upstream_is_asked_for_what_can_be_rewritten() -> Result<()> {
    let stage = start(&rewriting())?;
    let asked = |headers: &[(&str, &str)]| -> Result<Vec<Option<String>>> {
        stage.upstream().enqueue(page(PAGE));
        let exchange = stage.exchange(Request::get("/").headers(headers.iter().copied()))?;
        let arrived = &exchange.arrived()?.headers;
        let names = [
            "accept-encoding",
            "if-none-match",
            "if-modified-since",
            "range",
            "if-range",
        ];
        Ok(names.iter().map(|name| arrived.text(name)).collect())
    };
    let conditional = [
        ("if-none-match", "\"1\""),
        ("if-modified-since", "Sat, 21 Nov 2026 00:00:00 GMT"),
        ("range", "bytes=0-9"),
        ("if-range", "\"1\""),
    ];
    let with = |more: &[(&'static str, &'static str)]| {
        let mut headers = conditional.to_vec();
        headers.extend(more);
        headers
    };
    let gzip = Some("gzip".to_owned());
    let browser = ("accept-encoding", "gzip, deflate, br, zstd");
    assert_eq!(
        asked(&with(&[browser, ("sec-fetch-dest", "document")]))?,
        [gzip.clone(), None, None, None, None]
    );
    assert_eq!(
        asked(&with(&[browser, ("accept", "text/html,*/*")]))?,
        [gzip.clone(), None, None, None, None]
    );
    // A script keeps its coding and its cache.
    let script = asked(&with(&[browser, ("sec-fetch-dest", "script")]))?;
    assert_eq!(script[0].as_deref(), Some("gzip, deflate, br, zstd"));
    assert!(script[1..].iter().all(Option::is_some), "{script:?}");
    // Nothing is taken from what may be an API's, but its coding is one that is known here.
    let fetched = asked(&with(&[browser, ("sec-fetch-dest", "empty")]))?;
    assert_eq!(fetched[0], gzip);
    assert!(fetched[1..].iter().all(Option::is_some), "{fetched:?}");
    for (accepted, coding) in [
        ("br", "identity"),
        ("gzip;q=0, br", "identity"),
        ("*", "gzip"),
    ] {
        assert_eq!(
            asked(&[("accept-encoding", accepted)])?[0].as_deref(),
            Some(coding)
        );
    }
    assert_eq!(asked(&[])?[0], None);
    assert_unharmed(&stage)
}

#[test]
fn what_is_no_whole_page_passes_as_it_is() -> Result<()> {
    let stage = start(&rewriting())?;
    let body = r#"<script src="/static/app.js"></script>"#;
    for (reply, method) in [
        (Reply::json(&json!(body)), "GET"),
        (
            Reply::ok().header("content-type", "text/plain").body(body),
            "GET",
        ),
        (
            Reply::status(206)
                .header("content-type", "text/html")
                .header("content-range", "bytes 0-37/99")
                .body(body),
            "GET",
        ),
        (
            page(body).header("cache-control", "public, no-transform"),
            "GET",
        ),
        (page(body).header("content-encoding", "br"), "GET"),
        (page(body).header("content-encoding", "gzip, br"), "GET"),
        (
            Reply::ok()
                .header("content-type", "text/html; charset=utf-16le")
                .body(body),
            "GET",
        ),
        (
            Reply::ok()
                .header("content-type", "text/event-stream")
                .body("data: <script src=\"/static/app.js\">\n\n"),
            "GET",
        ),
    ] {
        let shown = format!("{reply:?}");
        stage.upstream().enqueue(reply);
        let response = stage.send(Request::new(method, "/"))?;
        assert!(!response.text().contains("nonce="), "{shown}");
        assert!(response.text().contains("/static/app.js"), "{shown}");
    }
    for status in [204, 304] {
        stage.upstream().enqueue(Reply::status(status));
        assert_eq!(stage.send(Request::get("/"))?.status, status);
    }
    // Its headers are those of the page that a GET would have.
    stage
        .upstream()
        .enqueue(page("").header("content-length", "99"));
    let head = stage.send(Request::new("HEAD", "/"))?;
    assert!(head.headers.contains(POLICY));
    assert!(!head.headers.contains("content-length"), "{head}");
    assert_unharmed(&stage)
}

#[test]
fn a_damaged_page_is_cut_off_and_the_next_one_is_not() -> Result<()> {
    let stage = start_alone(&rewriting())?;
    let whole = gzip(PAGE.as_bytes())?;
    let mut damaged = whole.clone();
    damaged[20] ^= 0xff;
    let bomb = gzip(&vec![b' '; 50_000_000])?;
    for body in [
        b"no gzip at all".to_vec(),
        whole[..whole.len() - 9].to_vec(),
        damaged,
        bomb,
    ] {
        stage
            .upstream()
            .enqueue(page(&body).header("content-encoding", "gzip"));
        let sent = stage.send(Request::get("/"));
        if let Ok(response) = &sent
            && response.status == 200
        {
            bail!("a damaged page came whole: {response}");
        }
        stage.upstream().enqueue(page(PAGE));
        assert_rewritten(&stage.send(Request::get("/"))?)?;
    }
    stage
        .admin()
        .wait_for_stat("wasmcustom.csp.pages_failed", DEADLINE, |count| count == 4)?;
    assert_eq!(stage.admin().stat("wasm.csp.vm_reload")?.unwrap_or(0), 0);
    Ok(())
}

#[test]
fn trailers_follow_a_rewritten_page() -> Result<()> {
    let stage = Stage::start(
        &legation_tests::Config::with_filter(super::FILTER, rewriting())?
            .http1_trailers()
            .shared(),
    )?;
    stage.upstream().answer(|_| page(PAGE).trailer("x-t", "1"));
    assert_rewritten(&stage.send(Request::get("/").header("te", "trailers"))?)?;
    assert_unharmed(&stage)
}

#[test]
fn fifty_megabytes_pass_in_bounded_memory() -> Result<()> {
    let stage = start_alone(&rewriting())?;
    let line = format!("<p>{}</p>\n", "x".repeat(1_000));
    let piece = line.repeat(500);
    let pieces = 100;
    let sent = piece.len() * pieces;
    stage.upstream().answer(move |_| {
        let mut reply = page(PAGE);
        for _ in 0..pieces {
            reply = reply.body(&piece);
        }
        reply
    });
    let before = stage.admin().stat("server.memory_allocated")?;
    let response = stage.send(Request::get("/").header("accept-encoding", "identity"))?;
    assert!(response.body.len() > sent);
    let nonce = nonce(&response.headers).context("a nonce")?;
    assert!(response.text().starts_with(&expected(&nonce)[..60]));
    let after = stage.admin().stat("server.memory_allocated")?;
    if let (Some(before), Some(after)) = (before, after) {
        assert!(
            after < before + 30_000_000,
            "{before} bytes before, {after} after"
        );
    }
    assert_unharmed(&stage)
}

#[test]
fn a_connection_that_becomes_another_protocols_is_left_alone() -> Result<()> {
    let upstream = TcpListener::bind("127.0.0.1:0")?;
    let address = upstream.local_addr()?;
    let server = thread::spawn(move || -> Result<()> {
        let (mut connection, _) = upstream.accept()?;
        connection.set_read_timeout(Some(DEADLINE))?;
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            connection.read_exact(&mut byte)?;
            asked.push(byte[0]);
        }
        connection.write_all(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n<script src=\"/static/app.js\">")?;
        let mut echo = [0; 4];
        connection.read_exact(&mut echo)?;
        connection.write_all(&echo)?;
        Ok(())
    });
    let config = legation_tests::Config::with_filter(super::FILTER, rewriting())?
        .hcm(&json!({"upgrade_configs": [{"upgrade_type": "websocket"}]}))
        .endpoint("upstream", address)
        .shared();
    let envoy = legation_tests::Envoy::start(&config)?;
    let mut client = TcpStream::connect(envoy.address()?)?;
    client.set_read_timeout(Some(DEADLINE))?;
    client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nping")?;

    let mut got = Vec::new();
    while !got.ends_with(b"ping") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        got.push(byte[0]);
    }

    let got = String::from_utf8(got)?;
    assert!(got.starts_with("HTTP/1.1 101 "), "{got}");
    assert!(!got.contains(POLICY), "{got}");
    assert!(
        got.ends_with("\r\n\r\n<script src=\"/static/app.js\">ping"),
        "{got}"
    );
    server.join().expect("the upstream")?;
    Ok(())
}

fn gzip(data: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data)?;
    Ok(encoder.finish()?)
}

fn zlib(data: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data)?;
    Ok(encoder.finish()?)
}

fn raw_deflate(data: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data)?;
    Ok(encoder.finish()?)
}
