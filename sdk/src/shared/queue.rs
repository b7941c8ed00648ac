//! Queues between VMs.

use std::marker::PhantomData;

use super::codec::Shared;
use super::error::SharedError;
use super::store::{self, Host, Store, TRIES, Versioned};
use crate::abi;

/// A queue that all workers share: what one pushes, one of them pops.
///
/// Envoy can tell a filter that its queue has something; this SDK does not pass
/// that on. Ask for items in a tick.
///
/// **Memory.** Envoy bounds no queue, neither its items' number nor their size.
/// Here `limit` bounds the number, with a count in shared data beside the queue
/// (under its name and `#length`), which a worker that dies at the wrong moment
/// or a race can leave wrong: it may be short by at most one for each push under
/// way while the queue runs empty, and one too high until it is empty next. What
/// comes through [`QueueSender`] is not counted. A queue stays, with all that is
/// in it, until the last VM of its `vm_id` is gone.
#[derive(Debug)]
pub struct SharedQueue<T> {
    id: u32,
    name: Box<[u8]>,
    count: Box<[u8]>,
    limit: u64,
    item: PhantomData<fn(T) -> T>,
}

impl<T: Shared> SharedQueue<T> {
    /// The queue of this name, made if it is not there, for at most `limit`
    /// items: all who register it state the same. For `configure`: one host
    /// call.
    pub fn register(name: impl AsRef<[u8]>, limit: u64) -> Result<Self, SharedError> {
        let name: Box<[u8]> = name.as_ref().into();
        Ok(Self {
            id: abi::register_shared_queue(&name)?,
            count: [&name, b"#length".as_slice()].concat().into(),
            name,
            limit,
            item: PhantomData,
        })
    }

    /// Puts an item at the queue's end, or fails with [`SharedError::Full`].
    /// Three host calls, about 1 µs.
    pub fn push(&self, item: &T) -> Result<(), SharedError> {
        let bytes = encode(&self.name, item)?;
        self.reserve()?;
        abi::enqueue_shared_queue(self.id, &bytes).map_err(|error| {
            // A count that stays too high is put right when the queue is empty.
            let _ = self.release();
            error.into()
        })
    }

    /// Takes the item at the queue's front; `None` where it is empty. One that is
    /// malformed is taken off as well, and is an error.
    ///
    /// Three host calls, about 2 µs; two where the queue is empty.
    pub fn pop(&self) -> Result<Option<T>, SharedError> {
        // Read before the queue is: a push that begins after this changes the
        // version, and an empty queue then says nothing about its item.
        let count = Host.get(&self.count)?;
        let Some(bytes) = abi::dequeue_shared_queue(self.id)? else {
            if let Some((count, version)) = count
                && count != NONE
            {
                Host.set(&self.count, &NONE, version)?;
            }
            return Ok(None);
        };
        // The item is here: that it could not be counted is not its fault.
        let _ = self.release_from(count);
        T::decode(bytes)
            .map(Some)
            .map_err(|why| SharedError::malformed(&self.name, why))
    }

    /// As [`release`](Self::release), where the count has just been read.
    fn release_from(&self, count: Option<Versioned>) -> Result<bool, SharedError> {
        let Some((bytes, version)) = count else {
            return Ok(false);
        };
        let less = u64::decode(bytes)
            .ok()
            .and_then(|count| count.checked_sub(1));
        match less {
            Some(less) if Host.set(&self.count, &less.to_le_bytes(), version)? => Ok(true),
            _ => self.release(),
        }
    }

    fn reserve(&self) -> Result<(), SharedError> {
        self.recount(|count| (count < self.limit).then(|| count.saturating_add(1)))?
            .then_some(())
            .ok_or_else(|| SharedError::Full {
                name: self.name.escape_ascii().to_string(),
                limit: self.limit,
            })
    }

    fn release(&self) -> Result<bool, SharedError> {
        self.recount(|count| count.checked_sub(1))
    }

    /// Whether the count was changed.
    fn recount(&self, change: impl Fn(u64) -> Option<u64>) -> Result<bool, SharedError> {
        let (changed, _) = store::update(&Host, &self.count, TRIES, |stored| {
            let count = match stored {
                Some(bytes) => {
                    u64::decode(bytes).map_err(|why| SharedError::malformed(&self.count, why))?
                }
                None => 0,
            };
            let new = change(count).map(|new| new.to_le_bytes().to_vec());
            let changed = new.is_some();
            Ok((new, changed))
        })?;
        Ok(changed)
    }
}

/// A count of nothing.
const NONE: [u8; 8] = [0; 8];

/// The end of another VM's queue to push to.
#[derive(Debug, Clone)]
pub struct QueueSender<T> {
    id: u32,
    name: Box<[u8]>,
    item: PhantomData<fn(T)>,
}

impl<T: Shared> QueueSender<T> {
    /// The queue of this name that a VM of this `vm_id` has registered; `None`
    /// as long as it has not. One host call.
    pub fn resolve(
        vm_id: impl AsRef<[u8]>,
        name: impl AsRef<[u8]>,
    ) -> Result<Option<Self>, SharedError> {
        let name = name.as_ref();
        let id = abi::resolve_shared_queue(vm_id.as_ref(), name)?;
        Ok(id.map(|id| Self {
            id,
            name: name.into(),
            item: PhantomData,
        }))
    }

    /// Puts an item at the queue's end. One host call.
    ///
    /// **Nothing bounds the queue** from here: if nobody pops, it grows. Never
    /// push something for each request.
    pub fn push(&self, item: &T) -> Result<(), SharedError> {
        let bytes = encode(&self.name, item)?;
        Ok(abi::enqueue_shared_queue(self.id, &bytes)?)
    }
}

fn encode<T: Shared>(name: &[u8], item: &T) -> Result<Vec<u8>, SharedError> {
    item.encode()
        .map_err(|why| SharedError::malformed(name, why))
}
