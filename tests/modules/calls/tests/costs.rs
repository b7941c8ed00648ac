//! Which host calls each service makes, counted, and that the table in `sdk/README.md`
//! says the same.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use calls::Calls;
use calls_awaited::Awaited;
use legation::HttpFilter;
use legation_testing::{Callout, Host, Request, Response};
use serde_json::json;

#[expect(dead_code, reason = "some of it is for measuring only")]
#[path = "../services.rs"]
mod services;

use services::{Beside, SERVICES, Service};

/// The names of the host calls that a request makes, in their order. It is the second
/// one: the first fetches what is kept.
fn names<F: HttpFilter>(call: &str, times: u32, service: &Service) -> Vec<&'static str> {
    let host = Host::<F>::new();
    host.set_foreign_function("clear_route_cache", |_| Ok(vec![]));
    host.set_foreign_function("verify_signature", |_| Ok(b"\x08\x01".to_vec()));
    host.set_foreign_function("compress", |_| Ok(b"small".to_vec()));
    host.set_cluster("upstream", |_| Response::ok().body("ok\n"));
    host.set_grpc_cluster("upstream-grpc", |_| Callout::message(*b"\x08\x01"));
    host.load(json!({ "call": call, "times": times })).unwrap();
    let exchange = || {
        let fields = (1..=20).map(|n| (format!("x-field-{n}"), "value"));
        let request = match service.body {
            0 => Request::get("/"),
            size => Request::post("/").body(vec![b'x'; size]),
        };
        host.exchange(request.headers(fields)).run()
    };
    exchange();
    let before = host.calls().len();
    let exchange = exchange();
    assert_eq!(
        exchange.status(),
        service.status,
        "{call}: {:?}",
        exchange.failures
    );
    let calls = host.calls();
    calls.iter().skip(before).map(|made| made.name).collect()
}

/// How often each host call is made, in the order in which they first are.
#[derive(Debug, Default)]
struct Counted {
    order: Vec<&'static str>,
    times: BTreeMap<&'static str, usize>,
}

impl Counted {
    fn of(names: &[&'static str]) -> Self {
        let mut counted = Self::default();
        for name in names {
            if !counted.times.contains_key(name) {
                counted.order.push(name);
            }
            let times = counted.times.entry(name).or_default();
            *times = times.saturating_add(1);
        }
        counted
    }

    fn times(&self, name: &str) -> usize {
        self.times.get(name).copied().unwrap_or_default()
    }

    /// As the table has it, without those that others make too.
    fn without(&self, others: &Self) -> String {
        let mut cell = String::new();
        for name in &self.order {
            let times = self.times(name).saturating_sub(others.times(name));
            let separator = if cell.is_empty() { "" } else { ", " };
            let name = name.trim_start_matches("proxy_");
            let _ = match times {
                0 => Ok(()),
                1 => write!(cell, "{separator}`{name}`"),
                _ => write!(cell, "{separator}{times} × `{name}`"),
            };
        }
        if cell.is_empty() {
            cell.push_str("none");
        }
        cell
    }
}

/// What a service makes once, of what a request makes in all.
fn counted(service: &Service) -> String {
    let call = service.call.unwrap_or("nothing");
    let count = |times| {
        Counted::of(&match service.module {
            "calls" => names::<Calls>(call, times, service),
            // What awaits nothing is the same in all modules.
            _ => names::<Awaited>(call, times, service),
        })
    };
    let fewer = match service.beside {
        Beside::Times(times) => times,
        Beside::Nothing | Beside::Module(_) => 0,
    };
    let without = match service.status {
        200 => count(fewer),
        // Without it there is another answer.
        _ => Counted::default(),
    };
    count(fewer.saturating_add(1)).without(&without)
}

/// The rows of the table: service and host calls.
fn documented() -> Vec<(String, String)> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../sdk/README.md");
    let text = fs::read_to_string(file).unwrap();
    let (_, table) = text.split_once("| service | host calls |").unwrap();
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, service, host_calls, _, _] = cells.as_slice() else {
            panic!("a row that has not three cells: {row}");
        };
        ((*service).to_owned(), (*host_calls).to_owned())
    })
    .collect()
}

#[test]
fn the_readme_tells_the_host_calls_of_each_service() {
    let counted: Vec<_> = SERVICES
        .iter()
        .map(|service| (service.what.to_owned(), counted(service)))
        .collect();

    let documented = documented();

    let mut right = String::new();
    for (service, calls) in &counted {
        let _ = writeln!(right, "| {service} | {calls} | |");
    }
    assert!(counted == documented, "the rows should be\n{right}");
}
