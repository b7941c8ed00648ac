//! `cargo xtask demo`: every filter at work in the real Envoy.

mod print;
mod shows;

use std::process::ExitCode;
use std::time::Duration;

use anstream::println;
use anyhow::{Context, Result, bail};
use legation_tests::jwt::jwks;
use legation_tests::{Config, Stage, StartError, Upstream};
use serde_json::Value;

use self::shows::Show;
use crate::build::{self, Which};
use crate::run::{check_free, listen_on};
use crate::stop::Stop;
use crate::terminal::{self, BAD, BOLD, DIM, GOOD, Wait, styled};
use crate::workspace::Workspace;

/// The chain that is shown: the file that users begin with, as it stands.
const CHAIN: &str = "envoy.yaml";

/// Show every filter at work: real requests through the real Envoy.
///
/// Builds the filters, gets Envoy, starts the whole chain of envoy-config/envoy.yaml on
/// loopback, and prints what was sent, what arrived and what came back. Fails when a
/// filter does not do what is promised.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Stay up afterwards, and print the URLs to try.
    #[arg(long)]
    serve: bool,
    /// The port to listen on; a free one unless given.
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    port: u16,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    check_free(args.port)?;
    let workspace = Workspace::load()?;
    terminal::heading("Building the filters");
    build::modules(&workspace, Which::Filters)?;

    terminal::heading("Starting Envoy");
    let envoy = legation_tests::envoy_binary()?;
    let version = legation_tests::envoy_version(&envoy)?;
    let config = with_key(Config::file(CHAIN)?);
    let filters = config.module_names();
    let stop = Stop::listen()?;
    let wait = Wait::begin(format!(
        "starting Envoy {version} with {}",
        filters.join(", ")
    ));
    let stage = start(&listen_on(config, args.port))?;
    wait.done();

    let (kept, broken) = show_all(&stage, &filters, &stop)?;
    if broken > 0 {
        println!(
            "\n{BAD}✗ {broken} of {} promises broken{BAD:#}",
            kept + broken
        );
        println!(
            "\n{DIM}The end of Envoy's log:{DIM:#}\n{}",
            stage.envoy().log_tail(20)
        );
        return Ok(ExitCode::FAILURE);
    }
    println!("\n{GOOD}✓ all {kept} promises kept{GOOD:#}");
    if args.serve {
        serve(&stage, &stop)?;
    } else {
        println!("{DIM}To try more yourself: cargo xtask demo --serve{DIM:#}");
    }
    Ok(ExitCode::SUCCESS)
}

/// The chain as it stands, but for the issuer's key: with that one nobody can sign.
fn with_key(config: Config) -> Config {
    config.edit_plugin("jwt-auth", |plugin| {
        let text = &mut plugin["configuration"]["value"];
        let read = serde_json::from_str::<Value>(text.as_str().unwrap_or_default());
        // What cannot be read, Envoy refuses.
        if let Ok(mut configuration) = read {
            let keys = jwks(&[&shows::key()]).to_string();
            configuration["providers"]["issuer"]["local_jwks"]["inline_string"] = keys.into();
            *text = configuration.to_string().into();
        }
    })
}

fn start(config: &Config) -> Result<Stage> {
    let upstream = Upstream::answering(shows::upstream_reply)?;
    Stage::with_upstream(config, upstream).map_err(|error| match error {
        StartError::Setup(error) => error,
        refused => refused.into(),
    })
}

/// Shows every filter of the chain; gives how many promises were kept and broken.
fn show_all(stage: &Stage, filters: &[String], stop: &Stop) -> Result<(usize, usize)> {
    let shows = shows::all();
    if let Some(filter) = filters
        .iter()
        .find(|f| shows.iter().all(|s| s.filter != **f))
    {
        bail!("{CHAIN} has the filter `{filter}`, but the demo has nothing to show of it");
    }
    let (mut kept, mut broken) = (0, 0);
    for filter in filters {
        terminal::heading(filter);
        for show in shows.iter().filter(|show| show.filter == filter) {
            if stop.wait(Duration::ZERO) {
                bail!("stopped");
            }
            let (good, bad) = show_one(stage, show)?;
            kept += good;
            broken += bad;
        }
    }
    Ok((kept, broken))
}

fn show_one(stage: &Stage, show: &Show) -> Result<(usize, usize)> {
    for _ in 0..show.after {
        stage.exchange((show.request)())?;
    }
    let request = (show.request)();
    let sent = request.to_string();
    let exchange = stage
        .exchange(request)
        .with_context(|| format!("the request for “{}” got no answer", show.title))?;
    println!("\n{BOLD}{}{BOLD:#}", show.title);
    if show.after > 0 {
        println!("    {DIM}after {} of the like{DIM:#}", show.after);
    }
    print::exchange(show, &sent, &exchange);
    let (mut kept, mut broken) = (0, 0);
    for promise in &show.promises {
        if promise.holds(&exchange, |counter, count| {
            stage.wait_for_count(counter, count).is_ok()
        }) {
            kept += 1;
            println!("  {GOOD}✓{GOOD:#} {promise}");
        } else {
            broken += 1;
            println!("  {BAD}✗{BAD:#} {promise}");
        }
    }
    Ok((kept, broken))
}

fn serve(stage: &Stage, stop: &Stop) -> Result<()> {
    let url = format!("http://{}", stage.envoy().address()?);
    terminal::heading("Try it yourself");
    println!();
    println!("  {} {url}", styled(BOLD, "Envoy   "));
    println!(
        "  {} http://{}",
        styled(BOLD, "admin   "),
        stage.admin().address()
    );
    println!(
        "  {} http://{} answers what it received",
        styled(BOLD, "upstream"),
        stage.upstream().address()
    );
    println!(
        "  {} {}",
        styled(BOLD, "log     "),
        stage.envoy().log_file().display()
    );
    println!("\n  curl -i {url}/hello\n\nCtrl-C stops everything.");
    while !stop.wait(Duration::from_mins(1)) {}
    println!("stopped");
    Ok(())
}
