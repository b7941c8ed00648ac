//! A filter's configuration, fetched from a URL and kept fresh, without any change of Envoy's.
//!
//! A filter that says so ([`HttpFilter::REMOTE_CONFIG`](crate::HttpFilter::REMOTE_CONFIG)) takes, instead of its
//! own options, where they are to be fetched:
//!
//! ```json
//! {
//!   "remote_config": {
//!     "http_uri": { "uri": "https://policies.example/header-tag.json", "cluster": "policies", "timeout": "5s" },
//!     "refresh_delay": "30s",
//!     "initial": { "rules": [ { "request": { "remove": ["x-debug"] } } ] }
//!   }
//! }
//! ```
//!
//! [`RemoteConfig`] has the fields. The document is JSON: the filter's options as they would stand in Envoy's
//! configuration, of a suite those of the suite.
//!
//! # What holds
//!
//! - **Validated.** A document is read as the configuration is, with the same checks. Of one that is refused each
//!   error is a line in the log, and the last good one stays in effect. So it is when the server is down, slow,
//!   answers anything but 200 or 304, with more than `max_response_bytes`, or with what is no JSON object.
//! - **Swapped as a whole.** A request begins and ends by one document; those that come later go by the next.
//!   Counters go on. What the former filter runs in the background ends with the last of its requests, its ticks
//!   at once.
//! - **Fetched once for all workers.** One of them fetches, the others find it in shared data within 0.2 s. A worker
//!   that begins later, or a configuration of Envoy's that names the same URL and cluster again, begins with the
//!   last good one.
//! - **Fails closed.** Without a good document, and without `initial`, requests are answered 503 (gRPC:
//!   `UNAVAILABLE`), with `legation_not_configured` as response code details, until the first one is there.
//! - **Spared.** The answer's `ETag` goes into the next request's `If-None-Match`. 304, and the same bytes again,
//!   change nothing.
//!
//! What is not: the document is as trustworthy as the cluster that it comes from. Speak TLS with it, and check its
//! certificate, in the cluster's `transport_socket`. No redirect is followed. A document changes nothing of the plugin
//! around it: options that need `allow_on_headers_stop_iteration`, or variables of the VM's environment, need them
//! there beforehand.
//!
//! # Statistics
//!
//! Under `PREFIX.remote_config`, PREFIX being the filter's name with `_` for `-`:
//!
//! | name | |
//! |---|---|
//! | `updated` | fetches that brought a new document, which is in effect |
//! | `unchanged` | fetches that brought the one that is in effect |
//! | `rejected` | fetches that brought a document that is refused |
//! | `failed` | fetches that brought nothing |
//! | `refused` | requests answered 503 because there is no document yet |
//! | `update_time` | when a fetch last brought a good document, in milliseconds since 1970 (a gauge; Envoy's name) |
//! | `version` | a hash of the document in effect (a gauge; Envoy's name); 0 while there is none |
//!
//! Plugins of one filter count together; of their gauges, the one that was set last is seen.
//!
//! The last good document has no end: alert on `update_time` standing still, and on `rejected` and `failed` growing.
//! There are also those of [`HttpService`](crate::resilience::HttpService) for the cluster.
//!
//! # Cost
//!
//! For a request, nothing. On each worker and on Envoy's main thread, five ticks a second with one read of
//! shared data each, about 10 µs a second. Without `remote_config` nothing of it runs.
//!
//! Where Envoy's own discovery services can deliver the configuration (ECDS, `config_discovery`), they need none of
//! this. This is for those whose control plane cannot, or who want rules to change by themselves.

mod config;
#[cfg(not(target_family = "wasm"))]
mod schema;
mod shared;
mod work;

pub use config::RemoteConfig;
pub(crate) use config::Written;
pub(crate) use work::{Install, Statistics, Work};
