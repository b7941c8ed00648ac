//! `cargo xtask demo`: every filter at work in the real Envoy.

mod canary;
mod changes;
mod print;
mod shows;

use std::process::ExitCode;
use std::time::Duration;

use anstream::println;
use anyhow::{Context, Result, bail};
use legation_tests::idp::{self, Idp};
use legation_tests::jwt::jwks;
use legation_tests::visitor::{Url, Visitor};
use legation_tests::{Config, Stage, StartError, Upstream};
use serde_json::json;

use self::shows::Show;
use crate::build::{self, Which};
use crate::run::{check_free, listen_on};
use crate::stop::Stop;
use crate::terminal::{self, BAD, BOLD, DIM, GOOD, Wait, styled};
use crate::workspace::Workspace;

/// The chain that is shown: the file that users begin with, as it stands.
const CHAIN: &str = "envoy.yaml";

/// A host that browsers keep `Secure` cookies of without TLS.
const HOST: &str = "localhost";
/// What the identity provider knows the gateway by.
const CLIENT: &str = "gateway-of-the-demo";

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
    let provider = provider()?;
    let config = with_provider(with_key(Config::file(CHAIN)?), &provider);
    let filters = config.module_names();
    let stop = Stop::listen()?;
    let wait = Wait::begin(format!(
        "starting Envoy {version} with {}",
        filters.join(", ")
    ));
    let stage = start(&listen_on(config, args.port))?;
    wait.done();
    register(&provider, &stage)?;

    let (kept, broken) = show_all(&stage, &provider, &filters, &stop)?;
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
        serve(&stage, &provider, &stop)?;
    } else {
        println!("{DIM}To try more yourself: cargo xtask demo --serve{DIM:#}");
    }
    Ok(ExitCode::SUCCESS)
}

/// The chain as it stands, but for the issuer's key: with that one nobody can sign.
fn with_key(config: Config) -> Config {
    config.edit_configuration("jwt-auth", |configuration| {
        let keys = jwks(&[&shows::key()]).to_string();
        configuration["providers"]["issuer"]["local_jwks"]["inline_string"] = keys.into();
    })
}

/// The identity provider that people sign in at.
fn provider() -> Result<Idp> {
    let wait = Wait::begin("starting an identity provider (oidc-provider)".to_owned());
    let provider = Idp::start()?;
    wait.done();
    Ok(provider)
}

/// The chain as it stands, but for the provider.
fn with_provider(config: Config, provider: &Idp) -> Config {
    config
        .edit_configuration("oauth2", |configuration| {
            configuration["issuer"] = provider.issuer().into();
            configuration["credentials"]["client_id"] = CLIENT.into();
        })
        .endpoint_without_tls("login", provider.address())
        .process_environment("OAUTH2_CLIENT_SECRET", idp::SECRET)
}

/// Tells the provider of the gateway, by whatever name it is visited.
fn register(provider: &Idp, stage: &Stage) -> Result<()> {
    let port = stage.envoy().address()?.port();
    let origins = [
        HOST.to_owned(),
        format!("{HOST}:{port}"),
        format!("127.0.0.1:{port}"),
    ];
    let callbacks = origins.map(|origin| format!("http://{origin}/oauth2/callback"));
    provider.register(&json!({
        "client_id": CLIENT,
        "redirect_uris": callbacks,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "client_secret_post",
    }))
}

/// The cookies of a browser that has signed in.
fn sign_in(stage: &Stage, provider: &Idp) -> Result<String> {
    let mut visitor = Visitor::new().knows(HOST, stage.envoy().address()?);
    let asked = Url::parse(&format!("http://{HOST}{}", shows::MEMBERS))?;
    let sent = visitor.go(&asked)?.location()?;
    let back = provider.sign_in(&mut visitor, sent, "alice")?;
    let arrived = visitor.visit(back)?;
    let cookies = arrived.request_header("cookie");
    cookies.with_context(|| format!("nobody is signed in:\n{arrived}"))
}

fn start(config: &Config) -> Result<Stage> {
    let upstream = Upstream::answering(shows::upstream_reply)?;
    Stage::with_upstream(config, upstream).map_err(|error| match error {
        StartError::Setup(error) => error,
        refused => refused.into(),
    })
}

/// Shows every filter of the chain; gives how many promises were kept and broken.
fn show_all(
    stage: &Stage,
    provider: &Idp,
    filters: &[String],
    stop: &Stop,
) -> Result<(usize, usize)> {
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
            let (good, bad) = show_one(stage, provider, show)?;
            kept += good;
            broken += bad;
        }
    }
    if stop.wait(Duration::ZERO) {
        bail!("stopped");
    }
    for (good, bad) in [canary::show()?, changes::show()?] {
        kept += good;
        broken += bad;
    }
    Ok((kept, broken))
}

fn show_one(stage: &Stage, provider: &Idp, show: &Show) -> Result<(usize, usize)> {
    for _ in 0..show.after {
        stage.exchange((show.request)())?;
    }
    let mut request = (show.request)();
    if show.signed_in {
        request = request.header("cookie", sign_in(stage, provider)?);
    }
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

fn serve(stage: &Stage, provider: &Idp, stop: &Stop) -> Result<()> {
    let address = stage.envoy().address()?;
    let url = format!("http://{address}");
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
    println!(
        "  {} {} takes any name and any password",
        styled(BOLD, "login   "),
        provider.issuer()
    );
    let members = shows::MEMBERS;
    println!("\n  curl -i {url}/hello");
    println!(
        "  and in a browser, to sign in: http://{HOST}:{}{members}",
        address.port()
    );
    println!("\nCtrl-C stops everything.");
    while !stop.wait(Duration::from_mins(1)) {}
    println!("stopped");
    Ok(())
}
