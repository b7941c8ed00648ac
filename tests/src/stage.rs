//! Everything that a test needs, in one: Envoy, the server behind it, clients before it.

use std::fmt;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, anyhow, ensure};

use crate::admin::Admin;
use crate::client::Client;
use crate::config::Config;
use crate::envoy::{Envoy, SHOWN_LOG_LINES, StartError};
use crate::message::{Received, Request, Response};
use crate::upstream::Upstream;
use crate::wait::DEADLINE;

/// The cluster that the requests of every shipped file go to.
pub const UPSTREAM_CLUSTER: &str = "upstream";

/// How much a report shows.
const SHOWN_EXCHANGES: usize = 3;

/// An Envoy with a server behind it, and clients before it.
///
/// When a test panics with a stage in its hands, the last requests, what came back, what the upstream
/// saw and the end of Envoy's log are printed, and where the whole of it is kept.
#[derive(Debug)]
pub struct Stage {
    envoy: Envoy,
    upstream: Upstream,
    http1: Client,
    http2: Client,
    sent: Mutex<Vec<Sent>>,
}

/// A request, its answer, and what the upstream saw of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The answer.
    pub response: Response,
    /// The request as it arrived; none where Envoy answered by itself.
    pub received: Option<Received>,
}

impl Exchange {
    /// The request as it arrived, or an error where it did not.
    pub fn arrived(&self) -> Result<&Received> {
        let received = self.received.as_ref();
        received.ok_or_else(|| {
            anyhow!(
                "the request did not arrive at the upstream; the answer:\n{}",
                self.response
            )
        })
    }
}

#[derive(Debug)]
struct Sent {
    request: String,
    outcome: String,
}

impl Stage {
    /// Starts Envoy with this configuration, and an upstream that answers 200.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        Self::with_upstream(config, Upstream::start()?)
    }

    /// Starts Envoy with an upstream of one's own behind it. Further servers are
    /// given by [`Config::endpoint`].
    pub fn with_upstream(config: &Config, upstream: Upstream) -> Result<Self, StartError> {
        let mut config = config.clone();
        if config.has_cluster(UPSTREAM_CLUSTER) && !config.has_endpoint(UPSTREAM_CLUSTER) {
            config = config.endpoint(UPSTREAM_CLUSTER, upstream.address());
        }
        let envoy = Envoy::start(&config)?;
        Ok(Self {
            http1: envoy.client()?,
            http2: envoy.http2_client()?,
            envoy,
            upstream,
            sent: Mutex::default(),
        })
    }

    /// Sends a request by HTTP/1.1 and gives the answer. What goes wrong is told with
    /// everything that a report has.
    pub fn send(&self, request: Request) -> Result<Response> {
        self.send_by(&self.http1, request)
    }

    /// The same by HTTP/2.
    pub fn send_http2(&self, request: Request) -> Result<Response> {
        self.send_by(&self.http2, request)
    }

    /// Sends a request by HTTP/1.1, and finds what the upstream saw of it by the mark of [`Request::id`],
    /// which it gives to the request where it has none.
    pub fn exchange(&self, request: Request) -> Result<Exchange> {
        self.exchange_by(&self.http1, request)
    }

    /// The same by HTTP/2.
    pub fn exchange_http2(&self, request: Request) -> Result<Exchange> {
        self.exchange_by(&self.http2, request)
    }

    /// The Envoy.
    pub fn envoy(&self) -> &Envoy {
        &self.envoy
    }

    /// The Envoy, to stop it or to ask whether it still runs.
    pub fn envoy_mut(&mut self) -> &mut Envoy {
        &mut self.envoy
    }

    /// Envoy's admin interface.
    pub fn admin(&self) -> &Admin {
        self.envoy.admin()
    }

    /// Waits until a module's counter has come to that, without `wasmcustom.`: an error where
    /// it went beyond.
    pub fn wait_for_count(&self, counter: &str, count: u64) -> Result<()> {
        let counter = format!("wasmcustom.{counter}");
        let reached = |now| now >= count;
        let counted = self.admin().wait_for_stat(&counter, DEADLINE, reached)?;
        ensure!(counted == count, "{counter} is {counted}, not {count}");
        Ok(())
    }

    /// The server behind Envoy.
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// The client that [`Stage::send`] uses. What is sent by it does not stand in the report.
    pub fn client(&self) -> &Client {
        &self.http1
    }

    /// The client that [`Stage::send_http2`] uses.
    pub fn http2_client(&self) -> &Client {
        &self.http2
    }

    /// Prints the report if the test panics while it holds this: for a stage that tests
    /// share, which is not dropped when one of them fails.
    pub fn report_on_panic(&self) -> ReportOnPanic<'_> {
        ReportOnPanic(self)
    }

    /// The last requests and answers, what the upstream saw, and the end of Envoy's log.
    pub fn report(&self) -> String {
        Report(self).to_string()
    }

    fn send_by(&self, client: &Client, request: Request) -> Result<Response> {
        let shown = request.to_string();
        let outcome = client.send(request);
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.push(Sent {
            request: shown,
            outcome: match &outcome {
                Ok(response) => response.to_string(),
                Err(error) => format!("{error:#}"),
            },
        });
        drop(sent);
        // First what it is about: the report may be long.
        outcome.map_err(|error| {
            let report = format!("{error:#}\n{}", self.report());
            error.context(report)
        })
    }

    fn exchange_by(&self, client: &Client, mut request: Request) -> Result<Exchange> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let id = request
            .id_value()
            .unwrap_or_else(|| format!("auto-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        if request.id_value().is_none() {
            request = request.id(&id);
        }
        let response = self.send_by(client, request)?;
        let received = self.upstream.with_id(&id);
        Ok(Exchange { response, received })
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        print_if_panicking(self);
    }
}

/// See [`Stage::report_on_panic`].
#[derive(Debug)]
pub struct ReportOnPanic<'a>(&'a Stage);

impl Drop for ReportOnPanic<'_> {
    fn drop(&mut self) {
        print_if_panicking(self.0);
    }
}

fn print_if_panicking(stage: &Stage) {
    if std::thread::panicking() {
        eprintln!("{}", Report(stage));
        // Tests run in threads that are called as they are.
        let test = std::thread::current();
        match stage.envoy.keep_log(test.name().unwrap_or("unnamed")) {
            Ok(file) => eprintln!("── the whole of it: {}", file.display()),
            Err(error) => eprintln!("── the whole of it is not kept: {error:#}"),
        }
    }
}

struct Report<'a>(&'a Stage);

impl fmt::Display for Report<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sent = self.0.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let from = sent.len().saturating_sub(SHOWN_EXCHANGES);
        for (at, one) in sent.iter().enumerate().skip(from) {
            writeln!(out, "── request {} of {}", at + 1, sent.len())?;
            writeln!(out, "{}", one.request.trim_end())?;
            writeln!(out, "── came back")?;
            writeln!(out, "{}", one.outcome.trim_end())?;
        }
        let seen = self.0.upstream.requests();
        let from = seen.len().saturating_sub(SHOWN_EXCHANGES);
        for (at, one) in seen.iter().enumerate().skip(from) {
            writeln!(out, "── the upstream saw, {} of {}", at + 1, seen.len())?;
            writeln!(out, "{}", one.to_string().trim_end())?;
        }
        if seen.is_empty() {
            writeln!(out, "── the upstream saw nothing")?;
        }
        writeln!(out, "── the end of Envoy's log")?;
        write!(out, "{}", self.0.envoy.log_tail(SHOWN_LOG_LINES))
    }
}
