//! What the workers of one Envoy know together: values, a bounded map, a
//! leader, queues.
//!
//! Each worker has a VM of its own, with memory of its own. Envoy keeps *shared
//! data* beside them: keys and values of bytes that every VM of one `vm_id`
//! sees, on all workers of the process. Filters with one `vm_id` share them too,
//! so begin each name with your filter's.
//!
//! - [`SharedValue`] is one typed value. Its [`update`](SharedValue::update)
//!   loses nothing when workers race.
//! - [`SharedMap`] is a table for keys that clients choose, of bounded size.
//! - [`Leader`] picks one worker of many for work that is to be done once.
//! - [`SharedQueue`] hands items from one VM to another.
//!
//! ```
//! use legation::shared::{SharedError, SharedValue};
//!
//! /// Counts one, whatever the other workers count meanwhile.
//! fn count(requests: &SharedValue<u64>) -> Result<u64, SharedError> {
//!     let updated = requests.update(|old| Some(old.unwrap_or(0).saturating_add(1)))?;
//!     Ok(updated.value.unwrap_or(0))
//! }
//!
//! let requests = SharedValue::<u64>::new("my-filter.requests");
//! # let _ = (count as fn(&SharedValue<u64>) -> _, requests);
//! ```
//!
//! # What it costs
//!
//! A read is one host call that carries bytes, about 0.7 µs; a write about
//! 0.17 µs; a read and a write that nobody disturbs about 0.82 µs. One lock in
//! Envoy guards all shared data of the process, so what every request writes is
//! where workers meet.
//!
//! # What it does not do
//!
//! - Nothing expires, and **nothing can be removed**: ABI 0.2.1 has no call for
//!   it. A key stays until the last VM of its `vm_id` is gone. So never make a
//!   key of what a client sends: that is what [`SharedMap`] is for.
//! - Nothing is shared with another Envoy, and nothing outlives the process.

mod bucket;
mod codec;
mod error;
mod leader;
mod map;
mod queue;
mod store;
mod value;

pub use bucket::Geometry;
pub use codec::{Json, Malformed, Shared};
pub use error::SharedError;
pub use leader::{Leader, LeaderId};
pub use map::{Block, MapUpdated, MapValue, SharedMap};
pub use queue::{QueueSender, SharedQueue};
pub use value::{SharedValue, Updated};
