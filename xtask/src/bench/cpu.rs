//! Which core a thread runs on, and the CPU time that it has taken. Linux only.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// How long the kernel needs to put a thread to sleep that has nothing to do.
const SETTLE: Duration = Duration::from_micros(50);

/// One core for Envoy and one for the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cores {
    pub(super) envoy: usize,
    pub(super) load: usize,
}

impl Cores {
    /// Two of the cores that this process may use.
    pub(super) fn choose() -> Result<Self> {
        Self::of(&affinity::allowed()?)
    }

    fn of(allowed: &[usize]) -> Result<Self> {
        match allowed {
            [envoy, .., load] => Ok(Self {
                envoy: *envoy,
                load: *load,
            }),
            _ => bail!(
                "the benchmark needs two cores, one for Envoy and one for the load, \
                 and this process may use {}",
                allowed.len()
            ),
        }
    }
}

/// Has the calling thread run on one core.
pub(super) fn pin_this_thread(core: usize) -> Result<()> {
    affinity::pin(None, core)
}

/// Has a thread run on one core.
pub(super) fn pin_thread(id: u32, core: usize) -> Result<()> {
    affinity::pin(Some(id), core)
}

/// The CPU time of one of Envoy's workers.
pub(super) struct Worker {
    schedstat: PathBuf,
}

impl Worker {
    pub(super) fn new(process: u32, thread: u32) -> Self {
        let schedstat = format!("/proc/{process}/task/{thread}/schedstat");
        Self {
            schedstat: schedstat.into(),
        }
    }

    /// What the worker has taken so far. The kernel adds a thread's time up when the
    /// thread goes to sleep: this waits until it has.
    pub(super) fn cpu_time(&self) -> Result<Duration> {
        let mut before = self.read()?;
        loop {
            thread::sleep(SETTLE);
            let after = self.read()?;
            if after == before {
                return Ok(after);
            }
            before = after;
        }
    }

    fn read(&self) -> Result<Duration> {
        let text = fs::read_to_string(&self.schedstat)
            .with_context(|| format!("cannot read {}", self.schedstat.display()))?;
        on_cpu(&text).with_context(|| format!("{}: {text:?}", self.schedstat.display()))
    }
}

/// The first number of a `schedstat`: nanoseconds on the CPU.
fn on_cpu(schedstat: &str) -> Option<Duration> {
    let nanoseconds = schedstat.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// The processor's name.
pub(super) fn model() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    model_in(&cpuinfo)
        .unwrap_or("an unknown processor")
        .to_owned()
}

fn model_in(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo
        .lines()
        .find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim())
}

#[cfg(target_os = "linux")]
mod affinity {
    use anyhow::{Context, Result};
    use rustix::process::Pid;
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    /// The cores that this thread may use, in order.
    pub(super) fn allowed() -> Result<Vec<usize>> {
        let set = sched_getaffinity(None).context("cannot see which cores may be used")?;
        let cores = 0..CpuSet::MAX_CPU;
        Ok(cores.filter(|core| set.is_set(*core)).collect())
    }

    /// Has a thread, or the calling one, run on one core.
    pub(super) fn pin(thread: Option<u32>, core: usize) -> Result<()> {
        let thread = thread.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let mut set = CpuSet::new();
        set.set(core);
        sched_setaffinity(thread, &set)
            .with_context(|| format!("cannot have a thread run on core {core} alone"))
    }
}

#[cfg(not(target_os = "linux"))]
mod affinity {
    use anyhow::{Result, bail};

    pub(super) fn allowed() -> Result<Vec<usize>> {
        bail!("only Linux says which cores may be used")
    }

    pub(super) fn pin(_thread: Option<u32>, _core: usize) -> Result<()> {
        bail!("only Linux has a thread run on one core")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envoy_and_the_load_get_a_core_each() {
        let cores = Cores::of(&[1, 2, 3]).expect("there are enough");

        assert_eq!(cores, Cores { envoy: 1, load: 3 });
    }

    #[test]
    fn one_core_is_not_enough() {
        let error = Cores::of(&[0]).expect_err("is one").to_string();

        assert!(error.contains("needs two cores"), "{error}");
        assert!(error.ends_with("may use 1"), "{error}");
    }

    #[test]
    fn the_time_on_the_cpu_is_the_first_number_of_a_schedstat() {
        assert_eq!(
            on_cpu("1234567 89 10\n"),
            Some(Duration::from_nanos(1_234_567))
        );
        assert_eq!(on_cpu(""), None);
    }

    #[test]
    fn the_processor_is_known_by_its_model_name() {
        let cpuinfo = "processor\t: 0\nmodel\t\t: 207\nmodel name\t: A Processor\n";

        assert_eq!(model_in(cpuinfo), Some("A Processor"));
        assert_eq!(model_in("processor : 0\n"), None);
    }
}
