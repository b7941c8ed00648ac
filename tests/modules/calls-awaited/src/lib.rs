//! A filter that awaits one of the SDK's services in each request, as often as it is
//! told to. `services.rs` of the module `calls` says which ones are measured.

use deserr::Deserr;
use legation::callout::{CalloutError, GrpcRequest, HttpRequest};
use legation::config::{Bounded, ConfigErrors};
use legation::resilience::{FetchCache, FetchSettings, Fetched};
use legation::{Configure, Error, Flow, HttpFilter, RequestHeaders, Result};

/// Clusters that answer at once.
const HTTP: &str = "upstream";
const GRPC: &str = "upstream-grpc";

/// As much as the requests with a body have.
const BODY: usize = 64 * 1024;

/// Which service, and how often.
#[derive(Debug, Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct Config {
    call: Call,
    times: Bounded<0, 1_000>,
}

/// What of the SDK is awaited.
#[derive(Debug, Clone, Copy, Deserr)]
#[deserr(error = ConfigErrors, rename_all = camelCase)]
pub enum Call {
    /// Nothing.
    Nothing,
    /// The whole body.
    BufferBody,
    /// What was fetched before.
    Fetched,
    /// The answer to an HTTP request.
    Http,
    /// The answer to a gRPC call.
    Grpc,
}

/// The filter.
#[derive(Debug)]
pub struct Awaited {
    call: Call,
    times: i64,
    cache: FetchCache<String, u64>,
}

/// What is asked and what is answered.
#[derive(Clone, PartialEq, prost::Message)]
struct Note {
    #[prost(int32, tag = "1")]
    number: i32,
}

#[legation::filter]
impl HttpFilter for Awaited {
    const NAME: &'static str = "calls-awaited";
    type Config = Config;
    type Stream = ();

    fn configure(config: Config, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self {
            call: config.call,
            times: config.times.get(),
            cache: FetchCache::new(FetchSettings::default()),
        })
    }

    async fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        for _ in 0..self.times {
            match self.call {
                Call::Nothing => {}
                Call::BufferBody => {
                    let body = request.buffer_body(BODY).await?;
                    check(body.len() == BODY)?;
                }
                Call::Fetched => {
                    let fetch = async || Ok::<_, CalloutError>(Fetched::new(7));
                    check(*self.cache.get_or_fetch("key", fetch).await? == 7)?;
                }
                Call::Http => {
                    let answer = HttpRequest::get(HTTP, "/check").send().await?;
                    check(answer.status() == 200)?;
                }
                Call::Grpc => {
                    let note = Note { number: 1 };
                    let request = GrpcRequest::new(GRPC, "legation.Bench", "Check", &note);
                    check(request.send::<Note>().await? == note)?;
                }
            }
        }
        Ok(Flow::Continue)
    }
}

legation::register!(Awaited);

fn check(holds: bool) -> Result<()> {
    if holds {
        Ok(())
    } else {
        Err(Error::other("the answer is another than expected"))
    }
}
