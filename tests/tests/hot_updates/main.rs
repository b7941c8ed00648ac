//! What a filter is to do changes while Envoy runs, under load: by Envoy's own discovery services, and
//! by a document that the filter fetches itself.

mod discovery;
mod remote;

use anyhow::{Result, ensure};
use legation_tests::{Headers, Stage, load};

/// By so many connections, which Envoy's two workers share.
const CONNECTIONS: usize = 8;

/// Which version an answer was made by.
const VERSION: &str = "x-version";

fn version(headers: &Headers) -> Option<usize> {
    load::version(headers, VERSION)
}

/// That both workers had connections: what is seen on all of these is seen on both.
fn ensure_both_workers(stage: &Stage) -> Result<()> {
    let stats = stage.admin().stats_with_prefix("listener.")?;
    for worker in ["worker_0", "worker_1"] {
        let name = format!("{worker}.downstream_cx_total");
        let mut counts = stats.iter().filter(|(stat, _)| stat.ends_with(&name));
        ensure!(
            counts.any(|(stat, count)| *count > 0 && !stat.contains("admin")),
            "no connection on {worker}"
        );
    }
    Ok(())
}
