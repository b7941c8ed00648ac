//! A host that lies.
//!
//! Every host call answers at random: the truth, any status, any bytes, the
//! truth mangled; and calls back into the filter in the midst of it, with any
//! callback, about any stream, also the one that is running. Clusters of every
//! name are there, and say anything to a callout, at any time or never. Whatever
//! a filter meets there,
//!
//! - nothing panics;
//! - no stream is left behind when all are deleted (of a filter that is told), nor
//!   a future or what it waits for;
//! - it fails closed: once a callback of a request has failed, or answered with
//!   a local reply, no callback of that request says that it may go on; nor
//!   does a callback for a stream that the filter does not know.
//!
//! ```
//! # use legation::config::{ConfigErrors, NoConfig};
//! # use legation::{Configure, HttpFilter};
//! # struct MyFilter;
//! # #[legation::filter]
//! # impl HttpFilter for MyFilter {
//! #     const NAME: &'static str = "mine";
//! #     type Config = NoConfig;
//! #     type Stream = ();
//! #     fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
//! #         Ok(Self)
//! #     }
//! # }
//! use legation_testing::chaos;
//!
//! chaos::run::<MyFilter>("{}", 1_000, 1);
//! ```

mod cases;
mod generate;
mod lies;

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use legation::runtime::Runtime;
use legation::{Callbacks, HttpFilter};

use crate::call::Callback;
use crate::callout::Callout;
use crate::exchange::Outcome;
use crate::guest::{Entry, Guest};
use crate::host::{Configuration, Host};
pub use cases::{Spoiler, answer, case, configure, spoil};
use generate::Generator;
use lies::Liar;

/// Cases that share one VM. A failure is found again by running its VM again.
const CASES_A_VM: u64 = 100;

/// What the cases met.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Cases run.
    pub cases: u64,
    /// Host calls made.
    pub calls: u64,
    /// Of those, answered otherwise than Envoy does.
    pub lies: u64,
    /// Callbacks made from within a host call.
    pub reentered: u64,
    /// Requests whose headers went on to the upstream.
    pub let_through: u64,
    /// Requests that ended in a local reply or a reset.
    pub refused: u64,
    /// Callbacks that returned an error.
    pub failures: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cases, {} host calls, {} lies, {} re-entered, {} let through, {} refused, {} failures",
            self.cases,
            self.calls,
            self.lies,
            self.reentered,
            self.let_through,
            self.refused,
            self.failures
        )
    }
}

/// Runs so many random exchanges against a host that lies. The same seed gives
/// the same run.
///
/// The strings in the configuration are used in requests too, so that what it
/// asks for occurs.
///
/// # Panics
///
/// Where one of the promises is broken, with the seed that shows it again.
pub fn run<F: HttpFilter>(
    configuration: impl Into<Configuration>,
    cases: u64,
    seed: u64,
) -> Report {
    let configuration = configuration.into();
    let generator = Rc::new(Generator::new(&configuration));
    let mut report = Report::default();
    let mut vm_seed = seed;
    while report.cases < cases {
        let run = cases.saturating_sub(report.cases).min(CASES_A_VM);
        if let Err(broken) = vm::<F>(&configuration, &generator, run, vm_seed, &mut report) {
            panic!(
                "{}: {broken}\nshown again by chaos::run::<_>(.., {CASES_A_VM}, {vm_seed})",
                F::NAME
            );
        }
        vm_seed = vm_seed.wrapping_add(1);
    }
    report
}

/// Runs cases in one VM. The first thing that is wrong ends it.
fn vm<F: HttpFilter>(
    configuration: &Configuration,
    generator: &Rc<Generator>,
    cases: u64,
    seed: u64,
    report: &mut Report,
) -> Result<(), String> {
    let host = Host::<F>::new();
    host.load(configuration.clone())
        .map_err(|refused| refused.to_string())?;
    let liar = Rc::new(Liar::new(
        Rc::clone(&host.runtime),
        host.root(),
        Rng::with_seed(seed),
    ));
    let told = Runtime::<Guest<F>>::CALLBACKS.contains(Callbacks::DELETE);
    let (sayer, sayings) = (Rc::downgrade(&liar), generator.clone());
    host.state().callouts.any_cluster = Some(Rc::new(move || match sayer.upgrade() {
        Some(liar) => liar.draw(|rng| sayings.callout(rng)),
        None => Callout::hang(),
    }));
    for case in 0..cases {
        let ran = catch_unwind(AssertUnwindSafe(|| {
            exchange(&host, &liar, generator, report);
        }));
        let broken = match ran {
            Err(panic) => Some(format!("panicked: {}", text_of(panic.as_ref()))),
            Ok(()) => liar.broken(),
        };
        if let Some(broken) = broken {
            return Err(format!("case {case}: {broken}"));
        }
        // A filter that is not told of ends finds out by and by.
        if told && host.streams() > 0 {
            return Err(format!(
                "case {case}: {} streams left behind",
                host.streams()
            ));
        }
        report.cases += 1;
        report.failures += host.machine.failures.take().len() as u64;
        let mut state = host.state();
        report.calls += state.calls.len() as u64;
        state.calls.clear();
        state.log.clear();
        state.allocations.clear();
        state.streams.clear();
        state.callouts.http.clear();
        state.callouts.grpc.clear();
        state.callouts.pending.clear();
    }
    host.machine.set_disturb(None);
    host.unload(host.root());
    if told && host.waiting() > 0 {
        return Err(format!(
            "{} futures and answers left behind",
            host.waiting()
        ));
    }
    let (lies, reentered) = liar.counts();
    report.lies += lies;
    report.reentered += reentered;
    Ok(())
}

fn exchange<F: HttpFilter>(
    host: &Host<F>,
    liar: &Rc<Liar<F>>,
    generator: &Generator,
    report: &mut Report,
) {
    let (request, response, in_order, steps) = liar.draw(|rng| {
        (
            generator.request(rng),
            generator.response(rng),
            rng.u8(..) < 200,
            rng.u8(1..12),
        )
    });
    liar.begin();
    host.machine.set_disturb(Some(Rc::clone(liar) as Rc<_>));
    let mut extra = None;
    if liar.draw(|rng| rng.u8(..) == 0) {
        extra = host
            .load(liar.draw(|rng| generator.configuration(rng)))
            .ok();
    }
    let root = extra.unwrap_or_else(|| liar.root());
    let mut stream = host.stream_on(root, request);
    liar.know(stream.id());
    if in_order {
        stream.send_request();
        time_goes_by(host, liar);
        if stream.reached_upstream() && stream.outcome().is_none() {
            stream.send_response(response);
            time_goes_by(host, liar);
        }
    } else {
        for _ in 0..steps {
            let entry = liar.any_entry();
            host.enter(entry);
        }
    }
    if host.tick_period(root).is_some() {
        host.tick_on(root);
    }
    let exchange = stream.end();
    if let Some(root) = extra {
        host.unload(root);
    }
    // From here on nothing makes new contexts.
    liar.calm_down();
    for context in liar.contexts() {
        host.enter(Entry::new(Callback::Delete, context));
    }
    host.machine.set_disturb(None);
    report.let_through += u64::from(exchange.upstream_began);
    let refused = matches!(exchange.outcome, Outcome::Replied | Outcome::Reset);
    report.refused += u64::from(refused);
}

/// Some of what was asked for comes, in any order; some never does.
fn time_goes_by<F: HttpFilter>(host: &Host<F>, liar: &Liar<F>) {
    for _ in 0..liar.draw(|rng| rng.u8(..6)) {
        let pending = host.pending_callouts();
        let call = liar.draw(|rng| rng.choice(pending).map(|call| call.token));
        match (liar.draw(|rng| rng.u8(..8)), call) {
            (0, _) => host.run_for(Duration::from_millis(liar.draw(|rng| rng.u64(..200)))),
            (_, Some(token)) => {
                host.deliver_call(token);
            }
            (_, None) => {
                host.enter(liar.any_entry());
            }
        }
    }
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a text".to_owned())
}

/// The contexts that the filter may know in a case.
type Contexts = BTreeSet<u32>;
