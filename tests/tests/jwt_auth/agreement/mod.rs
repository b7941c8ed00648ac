//! The same tokens and requests through Envoy's own `jwt_authn` and through this filter, in one Envoy.
//!
//! Each case says what Envoy's filter does. Ours must do the same: the same status, the same text, the
//! same request at the upstream. Where it does otherwise, the case says so and why, and the table of those
//! differences is the one of the filter's README. With another Envoy than the pinned one, only ours is
//! looked at.

mod algorithms;
mod case;
mod claims;
mod keys;
mod outputs;
mod paths;
mod places;
mod reasons;
mod requirements;
mod shape;
mod table;

use case::{Case, Group, case, case_of};
