//! Scenarios: what a filter does to requests, written once as YAML, and shown
//! on the mock host and in Envoy alike.
//!
//! ```yaml
//! filter: header-tag
//! configuration:
//!   rules:
//!   - request:
//!       set: { x-envoy-plugin: header-tag }
//! environment: { POD: blue-1 }            # what %ENVIRONMENT(POD)% finds
//!
//! steps:
//! - name: tags every request
//!   request:
//!     method: POST                        # GET; POST where there is a body
//!     path: /x?tag=1                      # /
//!     authority: example.com
//!     headers: { x-a: "1", x-b: [one, two], x-c: { hex: ff } }
//!     body: hello                         # or a list: a piece each
//!   upstream:                             # what the upstream answers; 200 and nothing
//!     status: 404
//!     headers: [[set-cookie, a=1], [set-cookie, b=2]]
//!     body: { repeat: x, times: 100000 }
//!   expect:
//!     upstream:                           # the request as it arrives, or `none`
//!       path: /x?tag=1
//!       headers: { x-envoy-plugin: header-tag, x-b: [one, two] }
//!       absent: [x-secret]
//!       body: hello
//!     response:                           # what the client gets, or `none`
//!       status: 404
//!       headers: { set-cookie: [a=1, b=2], date: { any: true } }
//!     stats: { header_tag.requests_tagged: 1 }   # growth since a step last looked
//!     log: [text in one of the filter's lines]
//! ```
//!
//! A scenario of a configuration that must be refused has no steps; it lists a
//! piece of each line that the filter is to write:
//!
//! ```yaml
//! filter: header-tag
//! configuration: { rulez: [] }
//! refused:
//! - "rulez: unknown field; did you mean `rules`?"
//! ```
//!
//! Values are text in quotes where YAML would take them for something else, or
//! `{hex: …}`, or `{repeat: …, times: …}`. What is expected may also be
//! `{contains: …}`, `{prefix: …}`, `{suffix: …}` or `{any: true}`. A list of
//! values stands for a header that is there so many times, in this order.
//!
//! A filter's crate shows its scenarios on the mock host by a test of its own,
//! `tests/scenarios.rs`, declared with `harness = false`:
//!
//! ```text
//! legation_testing::scenarios!(header_tag::HeaderTag, "tests/scenarios");
//! ```

mod check;
mod format;
mod mock;
mod stage;
mod suite;
#[cfg(test)]
mod tests;
mod value;

pub use check::run;
pub use format::{
    Arrival, Expect, ExpectRequest, ExpectResponse, RequestSpec, ResponseSpec, Scenario, Step,
};
pub use mock::MockStage;
pub use stage::{Observed, Stage, Started};
pub use suite::{Suite, show_on_mock};
pub use value::{Body, Bytes, Expected, ExpectedHeaders, Pairs};

/// The `main` of a filter's `tests/scenarios.rs`: one test for each file of the
/// folder, which is named from the crate's own.
#[macro_export]
macro_rules! scenarios {
    ($filter:ty, $folder:literal) => {
        fn main() {
            $crate::scenario::show_on_mock::<$filter>(::core::concat!(
                ::core::env!("CARGO_MANIFEST_DIR"),
                "/",
                $folder
            ));
        }
    };
}
