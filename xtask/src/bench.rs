//! `cargo xtask bench`: what each filter costs a request.
//!
//! One Envoy with one worker, pinned to one core, has a listener for each case. A load on
//! the other core sends short slices of requests to one case at a time, and before and
//! after each slice one to a listener without filters. The cost of a slice is the CPU time
//! of Envoy's worker divided by the requests; that of a case is the median over the rounds
//! of its slice less the mean of its two neighbours. Absolute times are those of the
//! machine and its day; the ratios within one run are stable.

mod calm;
mod cases;
mod config;
mod cpu;
mod filters;
mod load;
mod message;
mod modules;
mod report;
mod rounds;
mod statistics;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anstream::{print, println};
use anyhow::{Context, Result, bail, ensure};
use legation_tests::{Client, Config, Envoy, Request};

use self::cases::{Case, FLOOR};
use self::config::{Listener, PROOF, PROOF_PATH, Route, UPSTREAM};
use self::cpu::{Cores, Worker};
use self::load::{Exchange, Load, Upstream};
use self::modules::Modules;
use self::report::{Measured, Run};
use self::rounds::{Rounds, Sample, Subject};
use crate::terminal::{self, Wait};
use crate::workspace::Workspace;

/// How long a run takes when nobody says how many rounds it has.
const USUAL_TIME: Duration = Duration::from_mins(2);
/// Short, so that many slices pass before something else disturbs them.
const SLICE: Duration = Duration::from_millis(25);

/// Enough to see that everything works.
const SMOKE_ROUNDS: usize = 2;
const SMOKE_SLICE: Duration = Duration::from_millis(10);

/// The listener without filters.
const BASELINE: &str = "baseline";
/// What a case without a proof could show.
const ANY_HEADER: &str = "x-any";

/// Measure the CPU that a request costs in Envoy, filter by filter.
///
/// Needs Linux, two cores, and a machine that has little else to do.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Measure so many rounds [default: as many as two minutes have].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Measure only the cases with this in their names, and those they are compared with.
    #[arg(long, value_name = "PATTERN")]
    only: Option<String>,
    /// Write every round to this file [default: legation/bench.json in the target folder].
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
    let cases = select(cases::all(), args.only.as_deref())?;
    let workspace = Workspace::load()?;
    let modules = Modules::build(&workspace, &cases)?;
    let slice = if args.smoke { SMOKE_SLICE } else { SLICE };
    let count = match args.rounds {
        _ if args.smoke => SMOKE_ROUNDS,
        Some(rounds) => usize::try_from(rounds)?,
        None => rounds_in(USUAL_TIME, slice, cases.len()),
    };
    let upstream = Upstream::bind()?;
    let route = if args.upstream {
        Route::Upstream
    } else {
        Route::Direct
    };

    let wait = Wait::begin("starting Envoy");
    let config = config::bootstrap(&listeners(&cases, &modules), route);
    let config = Config::from_value(config, "the benchmark's configuration")
        .add_endpoint(UPSTREAM, upstream.address()?);
    let envoy = Envoy::start(&config)?;
    wait.done();

    let mut rounds = prepare(&envoy, &cases, cores, slice, upstream)?;
    let samples = measure(&mut rounds, count)?;
    if args.smoke {
        println!("{} cases work", cases.len());
        return Ok(());
    }
    let (measured, unrest) = results(cases, samples, &modules);
    let run = Run {
        unrest,
        envoy: version(&envoy)?,
        processor: cpu::model(),
        rounds: count,
        slice_ms: slice.as_millis(),
        route: if args.upstream {
            "an upstream"
        } else {
            "Envoy itself"
        },
    };
    print!("\n{}", report::table(&run, &measured));
    let file = match &args.json {
        Some(file) => file.clone(),
        None => workspace.modules().join("bench.json"),
    };
    write_json(&file, &run, &measured)?;
    println!("Every round: {}", file.display());
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

/// How long a round takes: a slice of each case and of the baseline behind it.
fn round_time(slice: Duration, cases: usize) -> Duration {
    const OVERHEAD: Duration = Duration::from_millis(5);
    (slice + OVERHEAD) * 2 * u32::try_from(cases).unwrap_or(u32::MAX)
}

fn rounds_in(time: Duration, slice: Duration, cases: usize) -> usize {
    const FEWEST: usize = 15;
    let rounds = time.as_millis() / round_time(slice, cases).as_millis().max(1);
    usize::try_from(rounds).unwrap_or(usize::MAX).max(FEWEST)
}

/// All listeners have the same routes, also those that have nothing to prove: the more
/// routes, the dearer a change of headers, after which Envoy chooses one anew.
fn listeners(cases: &[Case], modules: &Modules) -> Vec<Listener> {
    let baseline = Listener {
        name: BASELINE.to_owned(),
        filters: Vec::new(),
        proof: ANY_HEADER.to_owned(),
    };
    let of_cases = cases.iter().map(|case| {
        let filters = case.filters.iter().enumerate().map(|(index, filter)| {
            let id = format!("{}-{index}", case.name);
            filter.to_config(&id, |module| modules.file(module).into())
        });
        Listener {
            name: case.name.to_owned(),
            filters: filters.collect(),
            proof: case
                .proof
                .map_or(ANY_HEADER, |(header, _)| header)
                .to_owned(),
        }
    });
    std::iter::once(baseline).chain(of_cases).collect()
}

/// Gives Envoy and the load a core each, and connects to every case.
fn prepare(
    envoy: &Envoy,
    cases: &[Case],
    cores: Cores,
    slice: Duration,
    upstream: Upstream,
) -> Result<Rounds> {
    for case in cases {
        prove(envoy, case)
            .with_context(|| format!("the case `{}` does not do its work", case.name))?;
    }
    for thread in envoy.threads()? {
        cpu::pin_thread(thread.id, cores.envoy)?;
    }
    cpu::pin_this_thread(cores.load)?;
    let workers = envoy.workers()?;
    let worker = workers.first().context("Envoy has no worker")?;
    let subjects = cases.iter().map(|case| {
        Ok(Subject {
            load: Load::connect(envoy.listener(case.name)?)?,
            exchange: Exchange {
                request: request(case),
                status: case.status,
            },
        })
    });
    Ok(Rounds {
        worker: Worker::new(envoy.pid(), worker.id),
        slice,
        baseline: Load::connect(envoy.listener(BASELINE)?)?,
        subjects: subjects.collect::<Result<_>>()?,
        upstream,
    })
}

/// Has a case show that its filters do their work.
fn prove(envoy: &Envoy, case: &Case) -> Result<()> {
    let Some((header, value)) = case.proof else {
        return Ok(());
    };
    let mut request = Request::get(PROOF_PATH);
    for (name, value) in &case.request_headers {
        request = request.header(name, value);
    }
    let response = Client::http1(envoy.listener(case.name)?).send(request)?;
    ensure!(
        response.headers.get(PROOF) == Some(value.as_bytes()),
        "the header `{header}: {value}` should leave its filters, and the answer is\n{response}"
    );
    Ok(())
}

/// A plain request with a case's headers.
fn request(case: &Case) -> Vec<u8> {
    let mut request = "GET /api/items?page=2 HTTP/1.1\r\n\
         host: shop.example\r\n\
         user-agent: Mozilla/5.0 (X11; Linux x86_64)\r\n\
         accept: application/json\r\n\
         accept-language: en\r\n"
        .to_owned();
    for (name, value) in &case.request_headers {
        // Writing to a string does not fail.
        let _ = write!(request, "{name}: {value}\r\n");
    }
    request.push_str("\r\n");
    request.into_bytes()
}

/// Each case's samples, one a round.
fn measure(rounds: &mut Rounds, count: usize) -> Result<Vec<Vec<Sample>>> {
    let cases = rounds.subjects.len();
    let time = round_time(rounds.slice, cases) * u32::try_from(count)?;
    let time = terminal::duration(time);
    let wait = Wait::begin(format!(
        "measuring {cases} cases in {count} rounds, about {time}"
    ));
    let mut samples = vec![Vec::with_capacity(count); cases];
    for round in 0..count {
        for (case, sample) in rounds.measure(round)? {
            samples[case].push(sample);
        }
    }
    wait.done();
    Ok(samples)
}

/// Each case with the samples that count, and how restless those may be.
fn results(cases: Vec<Case>, samples: Vec<Vec<Sample>>, modules: &Modules) -> (Vec<Measured>, f64) {
    let all: Vec<_> = cases.into_iter().zip(samples).collect();
    // The baseline costs more with larger requests.
    let best = |headers: &[(&str, &str)]| {
        let alike = all
            .iter()
            .filter(|(case, _)| case.request_headers == headers);
        calm::best(alike.flat_map(|(_, samples)| samples))
    };
    let bests: Vec<_> = all
        .iter()
        .map(|(case, _)| best(&case.request_headers))
        .collect();
    let samples = all.iter().map(|(_, samples)| samples.as_slice());
    let limit = calm::limit(samples.zip(bests.iter().copied()));
    let measured = all
        .into_iter()
        .zip(bests)
        .map(|((case, samples), best)| Measured {
            modules: modules.size_of(&case),
            calm: calm::calm(&samples, best, limit),
            case,
            samples,
        });
    (measured.collect(), limit)
}

/// Envoy's version, as it tells it: `REVISION/1.40.0/Clean/RELEASE/BoringSSL`.
fn version(envoy: &Envoy) -> Result<String> {
    let info: serde_json::Value = serde_json::from_str(&envoy.admin().get("/server_info")?)?;
    let version = info["version"].as_str().unwrap_or_default();
    Ok(version.split('/').nth(1).unwrap_or(version).to_owned())
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
        let cases = select(cases::all(), Some("header-tag-plain")).expect("there is one");

        let names: Vec<_> = cases.iter().map(|case| case.name).collect();
        assert_eq!(names, [FLOOR, "header-tag-plain", "lua-set-header"]);
    }

    #[test]
    fn a_pattern_of_no_case_lists_the_cases() {
        let error = select(cases::all(), Some("nothing-of-the-kind"))
            .expect_err("is unknown")
            .to_string();

        assert!(error.contains("--only nothing-of-the-kind"), "{error}");
        assert!(error.contains("lua-set-header"), "{error}");
    }

    #[test]
    fn the_usual_time_is_filled_with_rounds_but_never_with_too_few() {
        assert_eq!(rounds_in(USUAL_TIME, SLICE, 12), 58);
        assert_eq!(rounds_in(USUAL_TIME, SLICE, 500), 15);
    }

    #[test]
    fn a_request_has_its_cases_headers() {
        let case = Case {
            request_headers: vec![("authorization", "Bearer x")],
            ..Case::default()
        };

        let request = String::from_utf8(request(&case)).expect("is text");

        assert!(request.contains("\r\nhost: "), "{request}");
        assert!(
            request.ends_with("\r\nauthorization: Bearer x\r\n\r\n"),
            "{request}"
        );
    }
}
