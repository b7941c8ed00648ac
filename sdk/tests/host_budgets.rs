//! What a request costs on the mock host: host calls, and allocations of the
//! guest's own.

use http::HeaderName;
use legation::config::{ConfigErrors, NoConfig};
use legation::{
    Configure, Error, Flow, HttpFilter, LocalReply, RequestHeaders, ResponseHeaders, Result,
};
use legation_testing::{Allocations, Callback, Host, Request, Response};

legation_testing::count_allocations!();

const NOTHING: Allocations = Allocations {
    count: 0,
    bytes: 0,
    answers: 0,
    answer_bytes: 0,
};

macro_rules! filter {
    ($(#[$doc:meta])* $type:ident = $name:literal, $($callback:tt)*) => {
        $(#[$doc])*
        struct $type;

        #[legation::filter]
        impl HttpFilter for $type {
            const NAME: &'static str = $name;
            type Config = NoConfig;
            type Stream = ();

            fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
                Ok(Self)
            }

            $($callback)*
        }
    };
}

filter! {
    /// Adds one static header.
    Adding = "adding",
    fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        const NAME: HeaderName = HeaderName::from_static("x-envoy-plugin");
        request.headers().set(&NAME, "adding")?;
        log::trace!(size = 3; "not formatted: {:?}", request.is_end_of_stream());
        Ok(Flow::Continue)
    }
}

#[test]
fn one_static_header_costs_one_host_call_and_no_allocation() {
    let host = Host::<Adding>::configure("").unwrap();

    let exchange = host.exchange(Request::get("/").header("x-a", "1")).run();

    assert_eq!(exchange.upstream().header("x-envoy-plugin"), Some("adding"));
    assert_eq!(exchange.calls().names(), ["proxy_replace_header_map_value"]);
    assert_eq!(exchange.allocations(), NOTHING);
}

filter! {
    /// Reads twenty headers.
    Reading = "reading",
    fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        let names = ["x-0", "x-1", "x-2", "x-3", "x-missing"];
        for name in names.into_iter().cycle().take(20) {
            if request.headers().contains(name)? == (name == "x-missing") {
                return Ok(LocalReply::new(400).into());
            }
        }
        Ok(Flow::Continue)
    }
}

#[test]
fn twenty_headers_read_cost_one_host_call_and_its_answer() {
    let host = Host::<Reading>::configure("").unwrap();
    let headers = (0..30).map(|n| (format!("x-{n}"), "value"));

    let exchange = host.exchange(Request::get("/").headers(headers)).run();

    assert_eq!(exchange.status(), 200);
    assert_eq!(exchange.calls().names(), ["proxy_get_header_map_pairs"]);
    let spent = exchange.allocations_in(Callback::RequestHeaders);
    assert_eq!((spent.count, spent.answers), (0, 1));
}

filter! {
    /// Logs, where that is wanted.
    Logging = "logging",
    fn on_request_headers(&self, (): &mut (), _: &mut RequestHeaders) -> Result<Flow> {
        log::debug!(a = 1, b = "two"; "three {}", vec![4; 100].len());
        Ok(Flow::Continue)
    }
}

#[test]
fn a_log_line_below_the_level_costs_no_host_call() {
    let host = Host::<Logging>::configure("").unwrap();
    let quiet = host.exchange(Request::get("/")).run();
    assert_eq!(quiet.calls().total(), 0);

    host.set_log_level(1);
    host.load("").unwrap();
    let loud = host.exchange(Request::get("/")).run();
    assert_eq!(loud.calls().count("proxy_log"), 1);
    assert_eq!(loud.log[0].message(), "three 100");
}

/// Remembers something of each stream.
struct Remembering;

#[legation::filter]
impl HttpFilter for Remembering {
    const NAME: &'static str = "remembering";
    type Config = NoConfig;
    type Stream = u64;

    fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }

    fn on_request_headers(&self, seen: &mut u64, _: &mut RequestHeaders) -> Result<Flow> {
        *seen = 1;
        Ok(Flow::Continue)
    }

    fn on_response_headers(&self, seen: &mut u64, _: &mut ResponseHeaders) -> Result<Flow> {
        match *seen {
            1 => Ok(Flow::Continue),
            _ => Err(Error::other("nothing is remembered")),
        }
    }
}

#[test]
fn a_stream_that_is_remembered_costs_no_host_call_and_no_allocation_once_warm() {
    let host = Host::<Remembering>::configure("").unwrap();
    let exchange = || {
        host.exchange(Request::get("/"))
            .upstream(Response::ok().body("x"))
    };
    exchange();

    let warm = exchange();

    assert_eq!(warm.status(), 200);
    assert_eq!(warm.calls().total(), 0);
    assert_eq!(warm.allocations(), NOTHING);
}

#[test]
fn the_counting_allocator_sees_what_a_guest_allocates() {
    let host = Host::<Logging>::new();
    host.set_log_level(0);
    host.load("").unwrap();

    let exchange = host
        .exchange(Request::get("/").header("x-request-id", "1"))
        .run();

    let spent = exchange.allocations_in(Callback::RequestHeaders);
    assert!(spent.count > 0 && spent.bytes >= 100, "{spent}");
    assert!(spent.answers > 0, "{spent}");
}
