//! All filters but `csp`, `oauth2` and `body-guard` in one module, run in the order that the
//! configuration gives.
//!
//! Envoy pays for one Wasm filter instead of several: the request's headers are
//! fetched once, and each callback is entered once. See [`legation::suite`] for how
//! to make a suite of other filters.

use header_tag::HeaderTag;
use jwt_auth::JwtAuth;
use legation::filters;
use rate_limit::RateLimit;

/// The filters there are.
pub type Suite = legation::Suite<filters![HeaderTag, JwtAuth, RateLimit]>;

legation::register!(Suite);
