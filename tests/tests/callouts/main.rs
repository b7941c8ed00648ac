//! Callbacks that wait, in the real Envoy, by the module `callouts`.

mod background;
mod ends;
mod errors;
mod grpc;
mod load;
mod trace;
mod waiting;

use std::net::{SocketAddr, TcpListener};
use std::sync::{Barrier, OnceLock};
use std::time::Duration;

use anyhow::{Result, ensure};
use legation_tests::{Config, Received, Reply, Request, Response, Stage, Upstream};
use serde_json::{Value, json};

/// Envoy with the module, and the service that its callouts go to: the cluster
/// `other`, and by HTTP/2 the cluster `other-http2`.
struct World {
    stage: Stage,
    other: Upstream,
}

impl World {
    fn new() -> Result<Self> {
        Self::with(json!({}), |config| config)
    }

    fn with(configuration: Value, edit: impl FnOnce(Config) -> Config) -> Result<Self> {
        let other = Upstream::answering(answer)?;
        let config = Config::with_filter("callouts", configuration)?
            .add_endpoint("other", other.address())
            .add_endpoint("other-http2", other.address())
            .http2_upstream("other-http2")
            .add_endpoint("refused", closed_port()?)
            .add_endpoint("refused-http2", closed_port()?)
            .http2_upstream("refused-http2")
            .add_cluster(json!({
                "name": "empty",
                "type": "STATIC",
                "load_assignment": {"cluster_name": "empty", "endpoints": []},
            }))
            // With trailers both ways.
            .http2_upstream("upstream")
            .http1_trailers();
        let stage = Stage::start(&edit(config))?;
        Ok(Self { stage, other })
    }

    /// The one that tests share whose streams come to an end by themselves.
    fn shared() -> &'static Self {
        static SHARED: OnceLock<World> = OnceLock::new();
        SHARED.get_or_init(|| Self::new().expect("Envoy starts"))
    }

    /// What came of steps in the callback of a request's headers.
    fn outcomes(&self, steps: &str) -> Result<Vec<String>> {
        let request = Request::get("/").header("x-request-headers", steps);
        let response = self.stage.send(request)?;
        ensure!(response.status == 200, "{response}");
        Ok(outcomes(&response))
    }

    /// What came of one step there.
    fn outcome(&self, step: &str) -> Result<String> {
        let outcomes = self.outcomes(step)?;
        let [outcome] = outcomes.as_slice() else {
            anyhow::bail!("{outcomes:?}");
        };
        Ok(outcome.clone())
    }

    /// Waits until the module knows of no stream and no callback that waits.
    fn wait_until_idle(&self) -> Result<()> {
        for gauge in ["streams", "waiting"] {
            let name = format!("wasmcustom.callouts.{gauge}");
            let admin = self.stage.admin();
            admin.wait_for_stat(&name, legation_tests::DEADLINE, |value| value == 0)?;
        }
        Ok(())
    }
}

fn outcomes(response: &Response) -> Vec<String> {
    let outcomes = response.headers.all("x-outcome").into_iter();
    outcomes.map(text).collect()
}

/// Bytes as text; those that are none as escapes.
fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap_or_else(|_| bytes.escape_ascii().to_string())
}

/// What the other service answers to a path.
fn answer(received: &Received) -> Reply {
    let path = received.path.split('/').skip(1).collect::<Vec<_>>();
    let number = |text: &str| text.parse().expect("a test's path holds a number");
    match path.as_slice() {
        ["hello"] => Reply::ok().body("hello"),
        ["say", word] => Reply::ok().body(word),
        // One that comes alone waits for ever.
        ["meet", word] => {
            static BOTH: Barrier = Barrier::new(2);
            BOTH.wait();
            Reply::ok().body(word)
        }
        ["late", time, word] => Reply::ok().body(word).delay(milliseconds(number(time))),
        ["nothing"] => Reply::status(204),
        ["bytes"] => Reply::ok().header("x-answer", b"\xfe\xff").body("bytes"),
        ["trailer"] => Reply::ok().body("body").trailer("x-trailer", b"t\xfd"),
        ["large", size] => Reply::ok().body(vec![b'x'; number(size) as usize]),
        ["status", status, words] => {
            let status = u16::try_from(number(status)).expect("a status");
            Reply::status(status).body(words.replace('_', " "))
        }
        ["reset"] => Reply::reset(),
        ["broken"] => Reply::ok()
            .header("content-length", "100")
            .body("beginning")
            .pause(milliseconds(20))
            .cut(),
        ["stuck"] => Reply::ok()
            .header("content-length", "100")
            .body("beginning")
            .pause(Duration::from_secs(60)),
        ["hang"] => Reply::hang(),
        ["test.Service", method] => grpc::answer(method, received),
        _ => Reply::status(404).body("no such path"),
    }
}

fn milliseconds(number: u64) -> Duration {
    Duration::from_millis(number)
}

/// An address where nobody listens.
fn closed_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
