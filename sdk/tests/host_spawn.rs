//! What is spawned while a filter is configured, on the mock host.

#![expect(clippy::unwrap_used, reason = "what a test needs has to be there")]

use std::time::Duration;

use legation::callout::HttpRequest;
use legation::clock::sleep;
use legation::config::ConfigErrors;
use legation::{Configure, Flow, HttpFilter, RequestHeaders, Result, spawn};
use legation_testing::{Callback, Callout, Host, HttpCall, Request, Response};
use serde_json::json;

/// Asks for its path again and again, for as long as its configuration lives.
struct Polling;

#[derive(deserr::Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct Config {
    path: String,
    #[deserr(default)]
    refuse: bool,
}

#[legation::filter]
impl HttpFilter for Polling {
    const NAME: &'static str = "polling";
    type Config = Config;
    type Stream = ();

    fn configure(config: Config, _: &mut Configure) -> Result<Self, ConfigErrors> {
        let path = config.path;
        let polling = async move {
            loop {
                let _ = HttpRequest::get("idp", path.as_str()).send().await;
                let _ = sleep(Duration::from_secs(1)).await;
            }
        };
        spawn(polling).map_err(|error| ConfigErrors::of_document(error.to_string()))?;
        if config.refuse {
            return Err(ConfigErrors::of_document("refused"));
        }
        Ok(Self)
    }

    async fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        if request.path()? == Some(b"/sleep") {
            sleep(Duration::from_millis(25)).await?;
        }
        Ok(Flow::Continue)
    }
}

/// What was asked for in the next few seconds.
fn asked(host: &Host<Polling>) -> String {
    let before = host.http_calls().len();
    for _ in 0..3 {
        host.run_for(Duration::from_secs(1));
        host.deliver_all();
    }
    let calls = host.http_calls();
    let mut paths: Vec<&str> = calls.iter().skip(before).map(HttpCall::path).collect();
    paths.sort_unstable();
    paths.dedup();
    paths.join(" ")
}

fn configured(path: &str) -> Host<Polling> {
    let host = Host::configure(json!({ "path": path })).unwrap();
    host.set_cluster("idp", |_: &_| Response::ok());
    host
}

#[test]
fn it_is_the_configurations_own_whoever_ticks_first() {
    for streams in [false, true] {
        let host = configured("/old");
        let old = host.root();
        assert_eq!(asked(&host), "/old");

        host.load(json!({ "path": "/new" })).unwrap();
        if streams {
            host.exchange_on(old, Request::get("/")).run();
        }
        assert_eq!(asked(&host), "/new /old");
        host.unload(old);

        assert_eq!(asked(&host), "/new");
        assert_eq!(
            host.waiting(),
            2,
            "the future, and its sleep or its callout"
        );
    }
}

#[test]
fn it_never_begins_where_the_configuration_is_refused() {
    let host = configured("/old");

    let refused = host.load(json!({ "path": "/new", "refuse": true }));

    assert!(refused.is_err());
    assert_eq!(asked(&host), "/old");
    assert_eq!(host.waiting(), 2);
}

/// How often the filter ticked meanwhile.
fn ticks(host: &Host<Polling>, time: Duration) -> usize {
    let ticks = || {
        let calls = host.calls();
        let ticks = calls.iter().filter(|made| made.callback == Callback::Tick);
        ticks
            .filter(|made| made.name == "proxy_get_current_time_nanoseconds")
            .count()
    };
    let before = ticks();
    host.run_for(time);
    ticks().saturating_sub(before)
}

#[test]
fn a_time_that_is_far_off_is_not_ticked_for() {
    let host = configured("/");
    // It begins, and asks; then it sleeps.
    host.run_for(Duration::from_millis(10));
    host.deliver_all();

    // A few to see how far off it is, and that in which it comes.
    assert!(ticks(&host, Duration::from_millis(999)) <= 2);
    assert_eq!(host.http_calls().len(), 1);
    host.run_for(Duration::from_millis(12));
    assert_eq!(host.http_calls().len(), 2);
    host.deliver_all();

    // Whoever comes meanwhile has its time in time.
    host.run_for(Duration::from_millis(500));
    let mut stream = host.stream(Request::get("/sleep"));
    stream.send_request();
    host.run_for(Duration::from_millis(24));
    assert!(!stream.reached_upstream());
    host.run_for(Duration::from_millis(11));
    assert!(stream.reached_upstream());
    host.run_for(Duration::from_millis(500));
    assert_eq!(host.http_calls().len(), 3);
}

/// The same in a filter that is not told when a configuration goes.
struct Seldom;

#[legation::filter]
impl HttpFilter for Seldom {
    const NAME: &'static str = "seldom";
    type Config = Config;
    type Stream = ();

    fn configure(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
        Polling::configure(config, host).map(|_| Self)
    }

    fn on_request_headers_at_once(
        &self,
        (): &mut (),
        _: &mut RequestHeaders,
    ) -> Option<Result<Flow>> {
        Some(Ok(Flow::Continue))
    }

    async fn on_request_headers(&self, (): &mut (), _: &mut RequestHeaders) -> Result<Flow> {
        Ok(Flow::Continue)
    }
}

#[test]
fn another_configuration_ticks_when_the_one_that_did_is_gone_untold() {
    for newest in [true, false] {
        let host = Host::<Seldom>::configure(json!({ "path": "/first" })).unwrap();
        host.set_cluster("idp", |_: &_| {
            Callout::answer(Response::ok()).after(Duration::from_millis(1))
        });
        let first = host.root();
        let second = host.load(json!({ "path": "/second" })).unwrap();
        host.run_for(Duration::from_secs(3));
        let (gone, left) = if newest {
            (second, "/first")
        } else {
            (first, "/second")
        };

        host.unload(gone);

        host.run_for(Duration::from_secs(2));
        let before = host.http_calls().len();
        host.run_for(Duration::from_secs(10));
        let calls = host.http_calls();
        let later: Vec<&str> = calls.iter().skip(before).map(HttpCall::path).collect();
        assert!((8..=10).contains(&later.len()), "{later:?}");
        assert!(later.iter().all(|path| *path == left), "{later:?}");
    }
}

#[test]
fn configurations_that_wait_for_nothing_near_tick_seldom() {
    let host = configured("/old");
    host.load(json!({ "path": "/new" })).unwrap();
    host.set_cluster("idp", |_: &_| {
        Callout::answer(Response::ok()).after(Duration::from_millis(1))
    });
    host.run_for(Duration::from_secs(2));
    let ticks = ticks(&host, Duration::from_secs(10));
    assert!(ticks < 100, "{ticks}");
}
