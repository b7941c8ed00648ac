//! As many requests as Envoy answers.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use legation_tests::{Config, RawConnection};
use serde_json::json;

/// Connections at once, which Envoy spreads over its workers.
const CONNECTIONS: usize = 16;

/// What came of a flood.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flood {
    pub(crate) admitted: u64,
    pub(crate) refused: u64,
    /// From before the first request to after the last answer.
    pub(crate) took: Duration,
}

/// Has Envoy answer what is let through, so that no upstream slows it down.
pub(crate) fn answered_by_envoy(config: Config) -> Config {
    let route = json!({"match": {"prefix": "/"}, "direct_response": {"status": 200}});
    let host = json!({"name": "all", "domains": ["*"], "routes": [route]});
    config.hcm(&json!({"route_config": {"name": "flood", "virtual_hosts": [host]}}))
}

/// Sends so many requests, with what headers each is to have, and counts the answers.
pub(crate) fn flood(
    address: SocketAddr,
    requests: u64,
    headers: impl Fn(u64) -> String + Sync,
) -> Result<Flood> {
    let next = AtomicU64::new(0);
    let began = Instant::now();
    let work = || -> Result<(u64, u64)> {
        let mut connection = RawConnection::open(address)?;
        let (mut admitted, mut refused) = (0, 0);
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= requests {
                return Ok((admitted, refused));
            }
            let headers = headers(number);
            let request = format!("GET / HTTP/1.1\r\nhost: flood\r\n{headers}\r\n");
            connection.send(request.as_bytes())?;
            match answer(&mut connection)? {
                200 => admitted += 1,
                429 => refused += 1,
                status => anyhow::bail!("a request is answered with {status}"),
            }
        }
    };
    let counts = thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(work)).collect();
        let joined = threads
            .into_iter()
            .map(|thread| thread.join().expect("it ran"));
        joined.collect::<Result<Vec<_>>>()
    })?;
    let flood = Flood {
        admitted: counts.iter().map(|(admitted, _)| admitted).sum(),
        refused: counts.iter().map(|(_, refused)| refused).sum(),
        took: began.elapsed(),
    };
    ensure!(flood.admitted + flood.refused == requests, "{flood:?}");
    Ok(flood)
}

/// The status of the next answer, whose body is read over.
fn answer(connection: &mut RawConnection) -> Result<u16> {
    let head = connection.read_until(b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let length = head
        .split("\r\n")
        .find_map(|line| line.strip_prefix("content-length: "));
    let length = length.with_context(|| format!("an answer without its length: {head}"))?;
    connection.read_exact(length.trim().parse()?)?;
    status.with_context(|| format!("an answer without a status: {head}"))
}
