//! Code that runs as a filter's does: in a callback, where a host answers.

use std::cell::RefCell;

use legation::config::{ConfigErrors, NoConfig};
use legation::{Configure, Flow, HttpFilter, RequestHeaders, Result};
use legation_testing::{Host, Request};

type Work = Box<dyn FnOnce()>;

thread_local! {
    static WORK: RefCell<Option<Work>> = const { RefCell::new(None) };
}

/// A filter that does what a test says.
pub(crate) struct Working;

#[legation::filter]
impl HttpFilter for Working {
    const NAME: &'static str = "working";
    type Config = NoConfig;
    type Stream = ();

    fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }

    fn on_request_headers(&self, (): &mut (), _: &mut RequestHeaders) -> Result<Flow> {
        if let Some(work) = WORK.take() {
            work();
        }
        Ok(Flow::Continue)
    }
}

/// Does this in the callback of a request, and says how often the host verified.
pub(crate) fn calls(host: &Host<Working>, work: impl FnOnce() + 'static) -> usize {
    WORK.set(Some(Box::new(work)));
    let exchange = host.exchange(Request::get("/")).run();
    assert!(WORK.take().is_none(), "not done");
    exchange.calls().count("proxy_call_foreign_function")
}

/// A host that verifies.
pub(crate) fn host() -> Host<Working> {
    Host::configure("").unwrap()
}

/// A host that was built without the function.
pub(crate) fn host_without() -> Host<Working> {
    let host = host();
    host.remove_foreign_function("verify_signature");
    host
}
