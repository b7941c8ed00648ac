//! `cargo xtask bench`: what each filter costs a request.
//!
//! One Envoy with one worker, pinned to one core, has a listener for each case. A load on
//! the other core sends short slices of requests to one case at a time, and before and
//! after each slice one to a listener without filters. The cost of a slice is the CPU time
//! of Envoy's worker divided by the requests; that of a case is the median over the rounds
//! of its slice less the mean of its two neighbours. The rounds are spread over several Envoys, one
//! after another: where code and data happen to lie in one makes a tenth of a difference.
//! Absolute times are those of the machine and its day; the ratios within one run are stable.
//!
//! A service of the SDK is a case too, beside a filter that does the same without it, and
//! divided by how often a request uses it.

mod body_guard;
mod calm;
mod cases;
mod config;
mod cpu;
mod csp;
mod filters;
mod http2;
mod jwt;
mod load;
mod message;
mod modules;
mod oauth2;
mod page;
mod rate_limit;
mod readme;
mod report;
mod rounds;
mod services;
mod stand;
mod statistics;
mod tokens;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anstream::{print, println};
use anyhow::{Context, Result, bail};

use self::calm::Judged;
use self::cases::{Case, FLOOR};
use self::config::Route;
use self::cpu::Cores;
use self::modules::Modules;
use self::report::{Measured, Run};
use self::rounds::Sample;
use self::stand::{Plan, Stand};
use self::tokens::Pools;
use crate::terminal::{self, Wait};
use crate::workspace::Workspace;

/// How long a run takes when nobody says how many rounds it has.
const USUAL_TIME: Duration = Duration::from_mins(2);
/// The same of the services, of which there are more.
const USUAL_TIME_OF_SERVICES: Duration = Duration::from_mins(6);
/// Short, so that many slices pass before something else disturbs them.
const SLICE: Duration = Duration::from_millis(25);

/// How many Envoys the rounds are spread over.
const ENVOYS: usize = 5;

/// Enough to see that everything works.
const SMOKE_ROUNDS: usize = 1;
const SMOKE_SLICE: Duration = Duration::from_millis(10);

/// Measure the CPU that a request costs in Envoy, filter by filter.
///
/// Needs Linux, two cores, and a machine that has little else to do.
#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct Args {
    /// Measure so many rounds [default: as many as two minutes have; six with --services].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Measure only the cases with this in their names, and those they are compared with.
    #[arg(long, value_name = "PATTERN")]
    only: Option<String>,
    /// Measure what a call of each of the SDK's services costs, rather than chains of filters.
    #[arg(long)]
    services: bool,
    /// Write the services' times into the table in sdk/README.md, unless the machine was too busy.
    #[arg(long, requires = "services", conflicts_with_all = ["only", "smoke", "upstream"])]
    write: bool,
    /// Write every round to this file [default: legation/bench.json in the target folder;
    /// bench-services.json with --services].
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Send requests on to an upstream, rather than have Envoy answer them.
    #[arg(long)]
    upstream: bool,
    /// Only show that every case works: the numbers of so few rounds mean nothing.
    #[arg(long, conflicts_with_all = ["rounds", "json"])]
    smoke: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if !cfg!(target_os = "linux") {
        bail!("the benchmark reads a thread's CPU time as only Linux tells it: run it on Linux");
    }
    let cores = Cores::choose()?;
    let all = if args.services {
        services::cases()
    } else {
        cases::chains()
    };
    let cases = select(all, args.only.as_deref())?;
    let workspace = Workspace::load()?;
    let modules = Modules::build(&workspace, &cases)?;
    let pools = Pools::mint(cases.iter().filter_map(|case| case.tokens));
    let slice = if args.smoke { SMOKE_SLICE } else { SLICE };
    let round = round_time(slice, &cases);
    let count = match args.rounds {
        _ if args.smoke => SMOKE_ROUNDS,
        Some(rounds) => usize::try_from(rounds)?,
        None if args.services => rounds_in(USUAL_TIME_OF_SERVICES, round),
        None => rounds_in(USUAL_TIME, round),
    };
    let plan = Plan {
        cases: &cases,
        modules: &modules,
        pools: &pools,
        cores,
        slice,
        route: if args.upstream {
            Route::Upstream
        } else {
            Route::Direct
        },
    };

    let time = terminal::duration(round * u32::try_from(count)?);
    let wait = Wait::begin(format!(
        "measuring {} cases in {count} rounds, about {time}",
        cases.len()
    ));
    let mut samples = vec![Vec::with_capacity(count); cases.len()];
    let mut envoy = String::new();
    for rounds in shares(count, ENVOYS) {
        let mut stand = Stand::set_up(&plan)?;
        let measured = measure(&mut stand, rounds, cases.len())?;
        for (all, new) in samples.iter_mut().zip(judge(&cases, &measured)) {
            all.extend(new);
        }
        envoy = stand.envoy_version()?;
    }
    wait.done();
    if args.smoke {
        println!("{} cases work", cases.len());
        return Ok(());
    }

    let limit = calm::limit(samples.iter().map(Vec::as_slice));
    let run = Run {
        envoy,
        processor: cpu::model(),
        architecture: std::env::consts::ARCH,
        rounds: count,
        unrest: limit,
        slice_ms: slice.as_millis(),
        route: match (args.upstream, args.services) {
            (true, _) => "an upstream",
            (false, true) => "Envoy itself, those with a body by an upstream",
            (false, false) => "Envoy itself",
        },
    };
    let measured = cases
        .into_iter()
        .zip(samples)
        .map(|(case, samples)| Measured {
            modules: modules.size_of(&case),
            case,
            samples,
            limit,
        });
    let measured: Vec<_> = measured.collect();
    if args.services {
        print!("\n{}", report::services(&run, &measured));
    } else {
        print!("\n{}", report::table(&run, &measured));
    }
    let file = match &args.json {
        Some(file) => file.clone(),
        None if args.services => workspace.modules().join("bench-services.json"),
        None => workspace.modules().join("bench.json"),
    };
    write_json(&file, &run, &measured)?;
    println!("Every round: {}", file.display());
    if args.write {
        write_times(&workspace, &run, &measured)?;
    }
    Ok(())
}

/// The cases whose names contain the pattern, the floor, and those they are compared with.
fn select(cases: Vec<Case>, pattern: Option<&str>) -> Result<Vec<Case>> {
    let Some(pattern) = pattern else {
        return Ok(cases);
    };
    let is_chosen = |case: &&Case| case.name.contains(pattern);
    let chosen: Vec<_> = cases.iter().filter(is_chosen).collect();
    if chosen.is_empty() {
        let names: Vec<_> = cases.iter().map(|case| case.name).collect();
        bail!(
            "--only {pattern}: no case has this in its name; there are {}",
            names.join(", ")
        );
    }
    let names = chosen.iter().flat_map(|case| [Some(case.name), case.peer]);
    let wanted: BTreeSet<_> = names.flatten().chain([FLOOR]).collect();
    let is_wanted = |case: &Case| wanted.contains(case.name);
    Ok(cases.into_iter().filter(is_wanted).collect())
}

/// How long a round takes: a slice of each case and of the baseline behind it, and of that
/// before it where it is another than behind the last one.
fn round_time(slice: Duration, cases: &[Case]) -> Duration {
    const OVERHEAD: Duration = Duration::from_millis(5);
    let neighbours = cases.windows(2);
    let others = neighbours.filter(|two| !two[0].is_measured_as(&two[1]));
    let slices = cases.len() * 2 + others.count();
    (slice + OVERHEAD) * u32::try_from(slices).unwrap_or(u32::MAX)
}

fn rounds_in(time: Duration, round: Duration) -> usize {
    const FEWEST: usize = 15;
    let rounds = time.as_millis() / round.as_millis().max(1);
    usize::try_from(rounds).unwrap_or(usize::MAX).max(FEWEST)
}

/// A number of rounds in shares that are as equal as can be.
fn shares(rounds: usize, most: usize) -> impl Iterator<Item = usize> {
    let shares = most.min(rounds).max(1);
    (0..shares).map(move |share| (rounds * (share + 1) / shares) - (rounds * share / shares))
}

/// Each case's samples, one a round.
fn measure(stand: &mut Stand, rounds: usize, cases: usize) -> Result<Vec<Vec<Sample>>> {
    let mut samples = vec![Vec::with_capacity(rounds); cases];
    for round in 0..rounds {
        for (case, sample) in stand.rounds.measure(round)? {
            samples[case].push(sample);
        }
    }
    Ok(samples)
}

/// How calm the samples from one Envoy are, case by case.
fn judge(cases: &[Case], samples: &[Vec<Sample>]) -> Vec<Vec<Judged>> {
    let all = || cases.iter().zip(samples);
    let judged = all().map(|(case, own)| {
        // The baseline costs more with larger requests.
        let alike = all().filter(|(other, _)| case.is_measured_as(other));
        let best = calm::best(alike.flat_map(|(_, samples)| samples));
        own.iter()
            .map(|sample| calm::judge(*sample, best))
            .collect()
    });
    judged.collect()
}

fn write_times(workspace: &Workspace, run: &Run, measured: &[Measured]) -> Result<()> {
    if run.was_disturbed() {
        bail!(
            "{} is left as it is: the machine was too busy",
            readme::FILE
        );
    }
    let file = workspace.root().join(readme::FILE);
    let text =
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let text = readme::with_times(&text, run, measured).context(readme::FILE)?;
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    println!("The table: {}", file.display());
    Ok(())
}

fn write_json(file: &Path, run: &Run, measured: &[Measured]) -> Result<()> {
    let json = serde_json::to_string_pretty(&report::json(run, measured))?;
    fs::write(file, json + "\n").with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_takes_along_what_a_case_is_compared_with() {
        let cases = select(cases::chains(), Some("header-tag-plain")).expect("there is one");

        let names: Vec<_> = cases.iter().map(|case| case.name).collect();
        assert_eq!(names, [FLOOR, "header-tag-plain", "lua-set-header"]);
    }

    #[test]
    fn a_pattern_of_no_case_lists_the_cases() {
        let error = select(cases::chains(), Some("nothing-of-the-kind"))
            .expect_err("is unknown")
            .to_string();

        assert!(error.contains("--only nothing-of-the-kind"), "{error}");
        assert!(error.contains("lua-set-header"), "{error}");
    }

    #[test]
    fn the_usual_time_is_filled_with_rounds_but_never_with_too_few() {
        let round = |cases| round_time(SLICE, &vec![Case::default(); cases]);

        assert_eq!(rounds_in(USUAL_TIME, round(12)), 166);
        assert_eq!(rounds_in(USUAL_TIME, round(500)), 15);
    }

    #[test]
    fn a_baseline_of_its_own_takes_a_slice_more() {
        let other = Case {
            request_body: 1,
            ..Case::default()
        };

        assert_eq!(
            round_time(SLICE, &[Case::default(), other]),
            Duration::from_millis(150)
        );
    }

    #[test]
    fn rounds_are_shared_out_evenly() {
        assert_eq!(shares(12, 5).collect::<Vec<_>>(), [2, 2, 3, 2, 3]);
        assert_eq!(shares(2, 5).collect::<Vec<_>>(), [1, 1]);
    }
}
