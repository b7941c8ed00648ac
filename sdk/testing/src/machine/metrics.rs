//! Counters, gauges and histograms.

use std::collections::{BTreeMap, HashMap};

use crate::call::{Served, status};

const COUNTER: u32 = 0;
const GAUGE: u32 = 1;
const HISTOGRAM: u32 = 2;

/// The low bits of an id are the metric's kind.
const KIND: u32 = 0b11;
const STEP: u32 = 4;

/// The metrics of a host. Each definition gives an id of its own; ids of one
/// kind and name are one metric.
#[derive(Default)]
pub(crate) struct Metrics {
    ids: HashMap<u32, String>,
    defined: u32,
    pub(crate) counters: BTreeMap<String, u64>,
    pub(crate) gauges: BTreeMap<String, u64>,
    pub(crate) histograms: BTreeMap<String, Vec<u64>>,
}

impl Metrics {
    pub(super) fn define(&mut self, kind: u32, name: &[u8]) -> Served {
        let name = String::from_utf8_lossy(name).into_owned();
        match kind {
            COUNTER => drop(self.counters.entry(name.clone()).or_default()),
            GAUGE => drop(self.gauges.entry(name.clone()).or_default()),
            HISTOGRAM => drop(self.histograms.entry(name.clone()).or_default()),
            _ => return Served::status(status::BAD_ARGUMENT),
        }
        self.defined += STEP;
        let id = self.defined | kind;
        self.ids.insert(id, name);
        Served::number(id)
    }

    pub(super) fn get(&self, id: u32) -> Served {
        let values = match id & KIND {
            COUNTER => &self.counters,
            GAUGE => &self.gauges,
            _ => return Served::status(status::BAD_ARGUMENT),
        };
        let value = self.ids.get(&id).and_then(|name| values.get(name));
        value.map_or(Served::status(status::NOT_FOUND), |value| {
            Served::number(*value)
        })
    }

    pub(super) fn record(&mut self, id: u32, value: u64) -> u32 {
        let Some(name) = self.ids.get(&id) else {
            return status::NOT_FOUND;
        };
        match id & KIND {
            COUNTER => add(&mut self.counters, name, value),
            GAUGE => set(&mut self.gauges, name, value),
            _ => self.histograms.entry(name.clone()).or_default().push(value),
        }
        status::OK
    }

    pub(super) fn increment(&mut self, id: u32, offset: i64) -> u32 {
        let name = self.ids.get(&id);
        match (id & KIND, name) {
            (COUNTER, Some(_)) if offset <= 0 => status::BAD_ARGUMENT,
            (COUNTER, Some(name)) => {
                add(&mut self.counters, name, offset.unsigned_abs());
                status::OK
            }
            (GAUGE, Some(name)) => {
                let value = self.gauges.get(name).copied().unwrap_or_default();
                set(&mut self.gauges, name, value.wrapping_add_signed(offset));
                status::OK
            }
            (COUNTER | GAUGE, None) => status::NOT_FOUND,
            _ => status::BAD_ARGUMENT,
        }
    }
}

fn add(values: &mut BTreeMap<String, u64>, name: &str, amount: u64) {
    let value = values.get(name).copied().unwrap_or_default();
    set(values, name, value.wrapping_add(amount));
}

fn set(values: &mut BTreeMap<String, u64>, name: &str, value: u64) {
    values.insert(name.to_owned(), value);
}
