//! What the host that lies answers, and what it holds the filter to.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use fastrand::Rng;
use legation::runtime::Runtime;
use legation::{Callbacks, HttpFilter};

use super::generate::{bytes, mangle};
use super::{Contexts, text_of};
use crate::call::{Answer, Call, Callback, Served};
use crate::guest::{Entry, Guest};
use crate::host::Root;
use crate::machine::{self, Disturb, Machine, Verdict};

/// How deep a host call calls back.
const DEEPEST: u32 = 3;
/// Of 256 calls, how many call back.
const REENTERED: u8 = 6;
const CONTINUE: u32 = 0;

const CALLBACKS: [Callback; 15] = [
    Callback::ContextCreate,
    Callback::Configure,
    Callback::Tick,
    Callback::RequestHeaders,
    Callback::RequestBody,
    Callback::RequestTrailers,
    Callback::ResponseHeaders,
    Callback::ResponseBody,
    Callback::ResponseTrailers,
    Callback::HttpCallResponse,
    Callback::GrpcReceive,
    Callback::GrpcClose,
    Callback::Log,
    Callback::Done,
    Callback::Delete,
];

pub(super) struct Liar<F: HttpFilter> {
    runtime: Rc<Runtime<Guest<F>>>,
    root: Root,
    rng: RefCell<Rng>,
    /// Of 256 answers, how many are lies in this case: from one in a while, so
    /// that the rest of the story unfolds, to nearly all.
    wildness: Cell<u8>,
    depth: Cell<u32>,
    contexts: RefCell<Contexts>,
    /// Streams whose request has failed, or has its answer.
    refused: RefCell<HashSet<u32>>,
    /// How often a context was made or deleted: under its number there may be
    /// a new one when a callback returns.
    lives: RefCell<HashMap<u32, u32>>,
    /// How many contexts were made, and which of them each number's last one was.
    births: Cell<u64>,
    born: RefCell<HashMap<u32, u64>>,
    /// Of the callbacks that are running, the life of their context, and how many were
    /// made before.
    running: RefCell<Vec<(u32, u64)>>,
    broken: RefCell<Option<String>>,
    lies: Cell<u64>,
    reentered: Cell<u64>,
}

impl<F: HttpFilter> Liar<F> {
    pub(super) fn new(runtime: Rc<Runtime<Guest<F>>>, root: Root, rng: Rng) -> Self {
        Self {
            runtime,
            root,
            rng: RefCell::new(rng),
            wildness: Cell::new(0),
            depth: Cell::new(0),
            contexts: RefCell::default(),
            refused: RefCell::default(),
            lives: RefCell::default(),
            births: Cell::new(0),
            born: RefCell::default(),
            running: RefCell::default(),
            broken: RefCell::default(),
            lies: Cell::new(0),
            reentered: Cell::new(0),
        }
    }

    pub(super) fn draw<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut self.rng.borrow_mut())
    }

    pub(super) fn root(&self) -> Root {
        self.root
    }

    /// A new case begins.
    pub(super) fn begin(&self) {
        let wildness = self.draw(|rng| [4, 16, 64, 192][rng.usize(..4)]);
        self.wildness.set(wildness);
        self.depth.set(0);
        self.contexts.borrow_mut().clear();
        self.refused.borrow_mut().clear();
        self.lives.borrow_mut().clear();
        self.born.borrow_mut().clear();
        self.running.borrow_mut().clear();
    }

    /// Lies on, and calls back no more in this case.
    pub(super) fn calm_down(&self) {
        self.depth.set(DEEPEST);
    }

    fn life(&self, context: u32) -> u32 {
        self.lives
            .borrow()
            .get(&context)
            .copied()
            .unwrap_or_default()
    }

    pub(super) fn know(&self, context: u32) {
        self.contexts.borrow_mut().insert(context);
    }

    /// Every context that there may be but the root of all cases.
    pub(super) fn contexts(&self) -> Contexts {
        self.contexts.borrow().clone()
    }

    pub(super) fn counts(&self) -> (u64, u64) {
        (self.lies.get(), self.reentered.get())
    }

    pub(super) fn broken(&self) -> Option<String> {
        self.broken.take()
    }

    fn break_(&self, text: String) {
        self.broken.borrow_mut().get_or_insert(text);
    }

    /// Any callback about any context: one that is there, one that is not, the
    /// running one.
    pub(super) fn any_entry(&self) -> Entry {
        let mut contexts = self.contexts.borrow_mut();
        self.draw(|rng| {
            let context = match rng.u8(..8) {
                0 => self.root.0,
                1 => rng.u32(..),
                _ => rng.choice(contexts.iter().copied()).unwrap_or(self.root.0),
            };
            let callback = CALLBACKS[rng.usize(..CALLBACKS.len())];
            let mut entry = Entry {
                number: rng.usize(..256),
                end: rng.bool(),
                // As tokens are counted, HTTP and gRPC.
                token: rng.u32(..64),
                body: rng.usize(..64),
                trailers: rng.usize(..3),
                ..Entry::new(callback, context)
            };
            match callback {
                Callback::ContextCreate => {
                    if rng.bool() {
                        entry.context = 1_000_000 + rng.u32(..8);
                    }
                    // The root of all cases stays what it is.
                    if entry.context == self.root.0 {
                        entry.context = 1_000_000;
                    }
                    entry.number = match rng.u8(..8) {
                        0 => 0,
                        1 => rng.u32(..) as usize,
                        _ => self.root.0 as usize,
                    };
                    contexts.insert(entry.context);
                }
                Callback::Delete | Callback::Configure if context == self.root.0 => {
                    entry.callback = Callback::Tick;
                }
                Callback::Configure => {
                    contexts.insert(entry.context);
                }
                _ => {}
            }
            entry
        })
    }

    fn reenter(&self) {
        let Some(machine) = machine::current() else {
            return;
        };
        let entry = self.any_entry();
        if !entry.is_exported(Runtime::<Guest<F>>::CALLBACKS) {
            return;
        }
        self.reentered.set(self.reentered.get() + 1);
        self.depth.set(self.depth.get() + 1);
        let runtime = Rc::clone(&self.runtime);
        let made = catch_unwind(AssertUnwindSafe(|| {
            machine.make(entry, || entry.call(&runtime));
        }));
        self.depth.set(self.depth.get() - 1);
        if let Err(panic) = made {
            self.break_(format!("panicked, re-entered: {}", text_of(panic.as_ref())));
        }
    }

    fn lie(&self, machine: &Machine, call: &Call<'_>) -> Served {
        if let Call::SetEffectiveContext { .. } = call {
            // A host that mixes up streams cannot be held to what it says of one.
            return machine.answer(call, Answer::Status(self.draw(|rng| rng.u32(1..=2))));
        }
        let kind = self.draw(|rng| rng.u8(..16));
        let answer = match kind {
            0..3 => Answer::Status(self.draw(|rng| rng.u32(..16))),
            3 => Answer::Status(self.draw(|rng| rng.u32(..))),
            4 => Answer::RealBut(self.draw(|rng| rng.u32(..16))),
            5..8 => {
                let size = self.draw(|rng| if rng.u8(..) < 8 { 4096 } else { 64 });
                Answer::Bytes(self.draw(|rng| bytes(rng, size)))
            }
            8 => Answer::Null,
            9 => Answer::NullOfSize(self.draw(|rng| rng.usize(..))),
            10 => Answer::BlockOfNothing,
            11 => Answer::Number(self.draw(|rng| rng.u64(..))),
            _ => {
                let mut served = machine.answer(call, Answer::Real);
                self.draw(|rng| mangle(rng, &mut served.bytes));
                return served;
            }
        };
        machine.answer(call, answer)
    }
}

impl<F: HttpFilter> Disturb for Liar<F> {
    fn answer(&self, machine: &Machine, call: &Call<'_>) -> Served {
        if matches!(call, Call::ContinueStream { stream: 0 }) {
            let context = machine.state.borrow().context();
            if self.refused.borrow().contains(&context) {
                self.break_("refused before, and now resumed".to_owned());
            }
        }
        let (lies, reenters) = self.draw(|rng| (rng.u8(..), rng.u8(..)));
        if reenters < REENTERED && self.depth.get() < DEEPEST {
            self.reenter();
        }
        if lies < self.wildness.get() {
            self.lies.set(self.lies.get() + 1);
            return self.lie(machine, call);
        }
        machine.answer(call, Answer::Real)
    }

    fn entered(&self, entry: &Entry) {
        let id = entry.context;
        if matches!(entry.callback, Callback::ContextCreate | Callback::Delete) {
            *self.lives.borrow_mut().entry(id).or_default() += 1;
            self.refused.borrow_mut().remove(&id);
        }
        if entry.callback == Callback::ContextCreate {
            self.births.set(self.births.get() + 1);
            self.born.borrow_mut().insert(id, self.births.get());
        }
        let running = (self.life(id), self.births.get());
        self.running.borrow_mut().push(running);
    }

    fn returned(&self, entry: &Entry, mut verdicts: Vec<(u32, Verdict)>, action: u32) {
        let remembers = Runtime::<Guest<F>>::CALLBACKS.contains(Callbacks::CREATE);
        // One that is not told of ends lets the bodies of streams that it does not know pass.
        let told = Runtime::<Guest<F>>::CALLBACKS.contains(Callbacks::DELETE);
        let id = entry.context;
        let (life, births) = self.running.borrow_mut().pop().unwrap_or_default();
        let same_life = life == self.life(id);
        // What was said of a stream says nothing of one that was made since under its
        // number.
        let born = self.born.borrow();
        verdicts.retain(|(context, _)| born.get(context).is_none_or(|birth| *birth <= births));
        drop(born);
        let is_of_request = matches!(
            entry.callback,
            Callback::RequestHeaders | Callback::RequestBody | Callback::RequestTrailers
        );
        if is_of_request && action == CONTINUE {
            let verdict = verdicts.iter().find(|(context, _)| *context == id);
            if let Some((_, verdict)) = verdict {
                self.break_(format!(
                    "{}: {verdict:?}, and yet continued",
                    entry.callback
                ));
            } else if same_life && self.refused.borrow().contains(&id) {
                self.break_(format!(
                    "{}: refused before, and now continued",
                    entry.callback
                ));
            } else if told && !self.contexts.borrow().contains(&id) {
                self.break_(format!("{}: unknown, and yet continued", entry.callback));
            }
        }
        if remembers && (same_life || !is_of_request) {
            let refused = verdicts.into_iter().map(|(context, _)| context);
            self.refused.borrow_mut().extend(refused);
        }
    }
}
