//! The native mock host, and scenarios.

#[macro_use]
pub mod allocations;
mod abi;
mod call;
pub mod chaos;
mod exchange;
mod guest;
mod headers;
mod host;
mod local_reply;
mod log;
mod machine;
mod message;
pub mod scenario;
mod stream;

pub use allocations::Allocations;
pub use call::{Answer, Call, Callback, HOST_CALLS, Made};
pub use exchange::{Calls, Exchange, Outcome, Upstream};
pub use guest::{Door, Guest};
pub use headers::HeaderList;
pub use host::{Configuration, Host, Pending, Refused, Root};
pub use log::LogLine;
pub use machine::HttpCall;
pub use message::{AttributeValue, Message, Request, Response};
pub use stream::{Progress, Stream};
