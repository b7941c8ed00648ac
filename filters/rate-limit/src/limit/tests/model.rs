//! The limits once more, slow and plain: all that was taken is remembered, and
//! everything is worked out from it anew each time.

use super::*;

#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Bucket {
        max_tokens: u32,
        tokens_per_fill: u32,
        interval: u64,
    },
    Fixed {
        requests: u32,
        window: u64,
    },
    Sliding {
        requests: u32,
        window: u64,
    },
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Taken { time: u64, hits: u32 },
    GivenBack { time: u64, hits: u32, taken: u64 },
}

#[derive(Debug)]
pub(super) struct Model {
    kind: Kind,
    /// In order of time.
    events: Vec<Event>,
}

impl Kind {
    pub(super) fn limit(self) -> Limit {
        match self {
            Self::Bucket {
                max_tokens,
                tokens_per_fill,
                interval,
            } => bucket(max_tokens, tokens_per_fill, interval),
            Self::Fixed { requests, window } => fixed(requests, window),
            Self::Sliding { requests, window } => sliding(requests, window),
        }
    }
}

impl Model {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            events: Vec::new(),
        }
    }

    /// Whether so many would pass, after all that was taken before.
    pub(super) fn admits(&self, now: u64, hits: u32) -> bool {
        let hits = u128::from(hits);
        if hits == 0 {
            return true;
        }
        match self.kind {
            // A token is as many units as the interval has nanoseconds.
            Kind::Bucket { interval, .. } => hits * u128::from(interval) <= self.level(now),
            Kind::Fixed { requests, window } => {
                self.counted(now / window, window) + hits <= u128::from(requests)
            }
            // Everything times the window's length.
            Kind::Sliding { requests, window } => {
                let (number, length) = (now / window, u128::from(window));
                let overlap = length - u128::from(now % window);
                let before = match number {
                    0 => 0,
                    _ => self.counted(number - 1, window),
                };
                let now = self.counted(number, window);
                before * overlap + (now + hits) * length <= u128::from(requests) * length
            }
        }
    }

    pub(super) fn take(&mut self, time: u64, hits: u32) {
        self.events.push(Event::Taken { time, hits });
    }

    pub(super) fn give_back(&mut self, time: u64, hits: u32, taken: u64) {
        self.events.push(Event::GivenBack { time, hits, taken });
    }

    /// What was taken in a window and not given back.
    fn counted(&self, number: u64, window: u64) -> u128 {
        let (mut taken, mut back) = (0, 0);
        for event in &self.events {
            match *event {
                Event::Taken { time, hits } if time / window == number => {
                    taken += u128::from(hits);
                }
                Event::GivenBack { hits, taken, .. } if taken / window == number => {
                    back += u128::from(hits);
                }
                _ => {}
            }
        }
        taken - back
    }

    /// What is in the bucket, which was full when time began.
    fn level(&self, now: u64) -> u128 {
        let Kind::Bucket {
            max_tokens,
            tokens_per_fill,
            interval,
        } = self.kind
        else {
            panic!("no bucket")
        };
        let units = |tokens: u32| u128::from(tokens) * u128::from(interval);
        let full = units(max_tokens);
        let (mut level, mut then) = (full, 0);
        for event in &self.events {
            let (time, back, taken) = match *event {
                Event::Taken { time, hits } => (time, 0, hits),
                Event::GivenBack { time, hits, .. } => (time, hits, 0),
            };
            let filled = u128::from(time - then) * u128::from(tokens_per_fill);
            level = full.min(level + filled + units(back)) - units(taken);
            then = time;
        }
        full.min(level + u128::from(now - then) * u128::from(tokens_per_fill))
    }
}
