//! Shared data and shared queues.

use std::collections::{HashMap, VecDeque};

use crate::call::{Served, status};

/// Shared data with compare-and-swap.
#[derive(Default)]
pub(crate) struct SharedData {
    values: HashMap<Vec<u8>, (Vec<u8>, u32)>,
    last_cas: u32,
}

impl SharedData {
    pub(super) fn get(&self, key: &[u8]) -> Served {
        match self.values.get(key) {
            Some((value, cas)) => Served {
                bytes: value.clone(),
                ..Served::number(*cas)
            },
            None => Served::status(status::NOT_FOUND),
        }
    }

    /// With a `cas` of 0 the value is set whatever it was.
    pub(super) fn set(&mut self, key: &[u8], value: &[u8], cas: u32) -> u32 {
        if let Some((_, current)) = self.values.get(key)
            && cas != 0
            && cas != *current
        {
            return status::CAS_MISMATCH;
        }
        self.last_cas = self.last_cas.wrapping_add(1).max(1);
        self.values
            .insert(key.to_vec(), (value.to_vec(), self.last_cas));
        status::OK
    }
}

/// Shared queues.
#[derive(Default)]
pub(crate) struct Queues {
    names: Vec<Vec<u8>>,
    values: HashMap<u32, VecDeque<Vec<u8>>>,
}

impl Queues {
    pub(super) fn register(&mut self, name: &[u8]) -> u32 {
        if let Some(queue) = self.resolve(name) {
            return queue;
        }
        self.names.push(name.to_vec());
        let queue = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.values.insert(queue, VecDeque::new());
        queue
    }

    pub(super) fn resolve(&self, name: &[u8]) -> Option<u32> {
        let at = self.names.iter().position(|known| known == name)?;
        u32::try_from(at + 1).ok()
    }

    pub(super) fn dequeue(&mut self, queue: u32) -> Served {
        match self.values.get_mut(&queue) {
            None => Served::status(status::NOT_FOUND),
            Some(values) => match values.pop_front() {
                None => Served::status(status::EMPTY),
                Some(value) => Served::bytes(value),
            },
        }
    }

    pub(super) fn enqueue(&mut self, queue: u32, value: &[u8]) -> u32 {
        match self.values.get_mut(&queue) {
            None => status::NOT_FOUND,
            Some(values) => {
                values.push_back(value.to_vec());
                status::OK
            }
        }
    }
}
