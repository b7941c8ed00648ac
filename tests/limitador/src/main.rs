//! limitador as a rate limit service, started as `limitador-server` is:
//!
//!     legation-limitador [--rate-limit-headers NONE|DRAFT_VERSION_03] [--rls-port PORT] LIMITS memory
//!     legation-limitador […] LIMITS redis URL
//!
//! `LIMITS` is its file of limits, as JSON. It listens on 127.0.0.1, on a free port unless told otherwise,
//! and writes the address as the first line of its output.
//!
//! What is counted, and whether a request is beyond a limit, is limitador's. What is here is what
//! its server has around it: the questions and answers of `envoy.service.ratelimit.v3`, which say
//! the same as its server's `envoy_rls/server.rs`.

mod arguments;
mod limiter;
mod messages;
mod server;

use anyhow::Result;

use arguments::Arguments;
use limiter::Limiter;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::read(std::env::args().skip(1))?;
    let limiter = Limiter::open(&arguments).await?;
    server::serve(limiter, arguments.port).await
}
