//! jwt-auth, and behind it a filter that answers `/memory` with the number of pages of
//! 64 KiB that the module's memory has.

use legation::config::{ConfigErrors, NoConfig};
use legation::{Configure, Flow, HttpFilter, LocalReply, RequestHeaders, Result, Suite, filters};

/// The filter that tells.
#[derive(Debug)]
pub struct Memory;

#[legation::filter]
impl HttpFilter for Memory {
    const NAME: &'static str = "memory";
    type Config = NoConfig;
    type Stream = ();

    fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }

    fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        if request.path()? == Some(b"/memory") {
            let reply = LocalReply::new(200).body(pages().to_string());
            return Ok(reply.into());
        }
        Ok(Flow::Continue)
    }
}

#[cfg(target_arch = "wasm32")]
fn pages() -> usize {
    core::arch::wasm32::memory_size::<0>()
}

#[cfg(not(target_arch = "wasm32"))]
fn pages() -> usize {
    0
}

/// Both.
pub type Both = Suite<filters![jwt_auth::JwtAuth, Memory]>;

legation::register!(Both);
