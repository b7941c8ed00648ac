//! What the shipped chain tells those who operate it: its access log, its metrics as Prometheus gets them, the
//! dashboard and the alerts.
//!
//! Where the machine has no Prometheus the tests with it are skipped, which is told.

mod access_log;
mod metrics;
mod scraped;
mod traffic;

use anyhow::Result;
use legation_tests::prometheus::prometheus_is_missing;
use libtest_mimic::{Arguments, Trial};

type Test = (&'static str, fn() -> Result<()>);

fn main() {
    let arguments = Arguments::from_args();
    let missing = prometheus_is_missing();
    if let Some(why) = missing.filter(|_| !arguments.list) {
        eprintln!("skipped: the tests with the real Prometheus, as {why}");
    }
    let trial = |(name, test): Test| {
        Trial::test(name, move || {
            test().map_err(|error| format!("{error:#}").into())
        })
    };
    let own = [access_log::TESTS, metrics::TESTS].concat();
    let mut trials: Vec<_> = own.into_iter().map(trial).collect();
    trials.extend(scraped::TESTS.iter().map(|test| {
        let trial = trial(*test).with_ignored_flag(missing.is_some());
        trial.with_kind(missing.map_or("", |_| "needs prometheus"))
    }));
    libtest_mimic::run(&arguments, trials).exit();
}
