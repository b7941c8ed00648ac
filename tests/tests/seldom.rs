//! A filter that answers most requests at once, in the real Envoy, by the module `seldom`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Result, ensure};
use legation_tests::{Config, DEADLINE, Envoy, Reply, Request, Stage, Upstream, wait_for};
use serde_json::json;

fn stage(other: std::net::SocketAddr) -> Result<Stage> {
    let config = Config::with_filter("seldom", json!({}))?
        .add_endpoint("other", other)
        .http1_trailers();
    Ok(Stage::start(&config)?)
}

fn wait_until_nobody_waits(stage: &Stage) -> Result<()> {
    let waiting = "wasmcustom.seldom.waiting";
    stage
        .admin()
        .wait_for_stat(waiting, DEADLINE, |count| count == 0)?;
    Ok(())
}

#[test]
fn requests_pass_at_once_or_wait_or_are_refused() -> Result<()> {
    let other =
        Upstream::answering(|_| Reply::ok().body("heard").delay(Duration::from_millis(20)))?;
    let stage = stage(other.address())?;
    for http2 in [false, true] {
        let send = |request: Request| {
            let request = request.trailer("x-client", "1");
            if http2 {
                stage.exchange_http2(request)
            } else {
                stage.exchange(request)
            }
        };
        for request in [
            Request::post("/", "a body"),
            Request::post("/", "a body").header("x-wait", "/a"),
        ] {
            let exchange = send(request)?;
            assert_eq!(exchange.response.status, 200);
            assert_eq!(exchange.arrived()?.body, b"a body");
        }

        let request = Request::post("/", "a body").header("x-wait", "/a");
        let exchange = send(request.header("x-refuse", "1"))?;

        assert_eq!(exchange.response.status, 403);
        assert_eq!(exchange.response.text(), "heard");
        assert!(exchange.received.is_none());
    }
    wait_until_nobody_waits(&stage)
}

/// Envoy hears of both in one turn of its loop: the streams are over, and not yet gone, when
/// what they waited for comes.
#[test]
fn answers_that_come_as_their_clients_leave_are_for_nobody() -> Result<()> {
    const CLIENTS: usize = 20;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut stage = stage(listener.local_addr()?)?;
    for round in 0..5 {
        let mut clients = Vec::new();
        let mut asked = Vec::new();
        for client in 0..CLIENTS {
            let mut stream = TcpStream::connect(stage.envoy().address()?)?;
            let refuse = if client % 2 == 0 {
                "x-refuse: 1\r\n"
            } else {
                ""
            };
            let request = format!("GET / HTTP/1.1\r\nhost: a\r\nx-wait: /a\r\n{refuse}\r\n");
            stream.write_all(request.as_bytes())?;
            clients.push(stream);
            let (mut callout, _) = listener.accept()?;
            read_head(&mut callout)?;
            asked.push(callout);
        }

        let stopped = Stopped::stop(stage.envoy())?;
        drop(clients);
        for callout in &mut asked {
            callout.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nheard")?;
        }
        drop(stopped);

        wait_until_nobody_waits(&stage)?;
        assert_eq!(stage.send(Request::get("/"))?.status, 200, "{round}");
    }
    assert!(stage.envoy_mut().is_running());
    let refused = stage.admin().stat("http.ingress.downstream_rq_4xx")?;
    assert_eq!(
        refused.unwrap_or_default(),
        0,
        "nobody is there to be refused"
    );
    let upstream = stage.upstream().requests();
    assert_eq!(upstream.len(), 5, "no request goes on without its client");
    Ok(())
}

fn read_head(stream: &mut TcpStream) -> Result<()> {
    stream.set_read_timeout(Some(DEADLINE))?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(())
}

/// Envoy, while it takes nothing up.
struct Stopped(u32);

impl Stopped {
    fn stop(envoy: &Envoy) -> Result<Self> {
        let stopped = Self(envoy.pid());
        signal(stopped.0, "-STOP")?;
        let status = format!("/proc/{}/stat", stopped.0);
        wait_for("Envoy to stop", DEADLINE, || {
            let status = std::fs::read_to_string(&status)?;
            let state = status.rsplit_once(") ").map_or("", |(_, state)| state);
            Ok(state.starts_with('T').then_some(()))
        })?;
        Ok(stopped)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        signal(self.0, "-CONT").expect("Envoy goes on");
    }
}

fn signal(process: u32, signal: &str) -> Result<()> {
    let status = std::process::Command::new("kill")
        .args([signal, &process.to_string()])
        .status()?;
    ensure!(status.success(), "kill {signal} {process}: {status}");
    Ok(())
}
