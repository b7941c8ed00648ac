//! What the shipped chain tells those who operate it: its access log, its metrics as Prometheus gets them, the
//! dashboard and the alerts.
//!
//! Where the machine has no Prometheus the tests with it are skipped, which is told.

mod access_log;
mod dashboard;
mod metrics;
mod scraped;
mod traffic;

use legation_tests::trials::Trials;
use legation_tests::{npm, prometheus};

fn main() {
    Trials::new()
        .with(access_log::TESTS)
        .with(metrics::TESTS)
        .with_needing(&npm::NEED, dashboard::TESTS)
        .with_needing(&prometheus::NEED, scraped::TESTS)
        .run()
}
