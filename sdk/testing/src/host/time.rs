//! Time as the host has it go by.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use legation::HttpFilter;

use super::{Host, Root};
use crate::call::Callback;
use crate::guest::Entry;

/// How long an exchange may take: Envoy's default for a stream that is idle.
const PATIENCE: Duration = Duration::from_mins(5);

/// What happens of itself as time goes by.
enum Event {
    Answer(u32),
    Timeout(u32),
    Tick(u32),
}

impl<F: HttpFilter> Host<F> {
    /// Sets the clock. Nothing happens meanwhile.
    pub fn set_time(&self, time: SystemTime) {
        let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.state().now = nanoseconds(since_1970);
    }

    /// What the clock shows. It moves only when told to.
    pub fn time(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.state().now)
    }

    /// Lets time go by. Callouts whose time is over meanwhile are told so; ticks
    /// are not made.
    pub fn advance(&self, by: Duration) {
        self.go_on_until(self.after(by), false);
    }

    /// Lets time go by, with all that happens meanwhile in its order: ticks,
    /// answers that were to take a while ([`Callout::after`]), and callouts
    /// whose time is over.
    ///
    /// [`Callout::after`]: crate::Callout::after
    pub fn run_for(&self, time: Duration) {
        self.go_on_until(self.after(time), true);
    }

    /// Makes a tick, of the configuration loaded last.
    #[track_caller]
    pub fn tick(&self) {
        self.tick_on(self.root());
    }

    /// Makes a tick of a configuration.
    pub fn tick_on(&self, root: Root) {
        self.enter(Entry::new(Callback::Tick, root.0));
        let mut state = self.state();
        let now = state.now;
        if let Some(root) = state.roots.get_mut(&root.0) {
            root.set_timer(now);
        }
    }

    /// The period that a configuration has set for its ticks.
    pub fn tick_period(&self, root: Root) -> Option<Duration> {
        let state = self.state();
        let period = state.roots.get(&root.0)?.tick_period?;
        Some(Duration::from_millis(period.into()))
    }

    fn after(&self, time: Duration) -> u64 {
        self.state().now.saturating_add(nanoseconds(time))
    }

    fn go_on_until(&self, end: u64, ticks: bool) {
        while let Some((at, event)) = self.next_event(ticks)
            && at <= end
        {
            self.happen(at, &event);
        }
        let mut state = self.state();
        state.now = state.now.max(end);
    }

    fn happen(&self, at: u64, event: &Event) {
        {
            let mut state = self.state();
            state.now = state.now.max(at);
        }
        match *event {
            Event::Answer(token) => {
                self.deliver_call(token);
            }
            Event::Tick(root) => self.tick_on(Root(root)),
            Event::Timeout(token) => {
                let pending = {
                    let pending = &mut self.state().callouts.pending;
                    let at = pending.iter().position(|call| call.answer.token == token);
                    at.map(|at| pending.remove(at))
                };
                if let Some(pending) = pending {
                    self.tell(&pending.timed_out());
                }
            }
        }
    }

    /// What happens next of itself.
    fn next_event(&self, ticks: bool) -> Option<(u64, Event)> {
        let state = self.state();
        let pending = state.callouts.pending.iter();
        let answers = pending.clone().filter_map(|call| {
            let due = call.due.filter(|_| ticks && !call.hangs())?;
            Some((due, Event::Answer(call.answer.token)))
        });
        let timeouts =
            pending.filter_map(|call| Some((call.deadline?, Event::Timeout(call.answer.token))));
        let ticks = state.roots.iter().filter(|_| ticks);
        let ticks = ticks.filter_map(|(id, root)| Some((root.next_tick?, Event::Tick(*id))));
        answers
            .chain(timeouts)
            .chain(ticks)
            .min_by_key(|(at, _)| *at)
    }

    /// Tells every answer; and while the filter waits for something all the
    /// same, lets time go by.
    #[track_caller]
    pub(crate) fn wait_while(&self, waits: impl Fn() -> bool) {
        let end = self.after(PATIENCE);
        loop {
            self.deliver_all();
            if !waits() || !self.is_awaiting() {
                return;
            }
            match self.next_event(true) {
                Some((at, event)) if at <= end => self.happen(at, &event),
                _ => return,
            }
        }
    }

    /// Whether something that the filter has asked for may come yet.
    fn is_awaiting(&self) -> bool {
        !self.state().callouts.pending.is_empty() || self.waiting() > 0
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
