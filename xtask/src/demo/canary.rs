//! A release for some of the users, each of whom stays where he is.

use anstream::println;
use anyhow::{Context, Result, ensure};
use legation_tests::{Client, Config, Reply, Request, Stage, Upstream, wasm_filter};
use serde_json::{Value, json};

use super::print;
use crate::terminal::{self, BOLD, DIM, Wait};

const FILTER: &str = "header-tag";
/// The header that the route goes by, and the one that tells who answered.
const RELEASE: &str = "x-release";
const ANSWERED_BY: &str = "x-answered-by";
const CANARY: &str = "canary";
const STABLE: &str = "stable";
/// The listener at which the canary has grown.
const GROWN: &str = "grown";

const USERS: usize = 300;

/// Users divided by weights: percents, of the canary first.
fn division(canary: u32) -> Value {
    json!({
        "strip": [RELEASE],
        "weighted_buckets": {
            "name": "release",
            "hash_key": "%COOKIE(user)%",
            "default_bucket": STABLE,
            "buckets": [
                {"name": CANARY, "weight": canary},
                {"name": STABLE, "weight": 100 - canary},
            ],
        },
        "rules": [{"request": {"set": {RELEASE: "%BUCKET(release)%"}}}],
    })
}

fn routes() -> Value {
    json!({"route_config": {"virtual_hosts": [{
        "name": "everything",
        "domains": ["*"],
        "routes": [
            {
                "match": {"prefix": "/", "headers": [
                    {"name": RELEASE, "string_match": {"exact": CANARY}}
                ]},
                "route": {"cluster": CANARY},
            },
            {"match": {"prefix": "/"}, "route": {"cluster": "upstream"}},
        ],
    }]}})
}

fn release(name: &'static str) -> Result<Upstream> {
    Upstream::answering(move |_| Reply::ok().header(ANSWERED_BY, name))
}

/// Shows it; gives how many promises were kept and broken.
pub(super) fn show() -> Result<(usize, usize)> {
    terminal::heading("A release for one user in ten");
    let canary = release(CANARY)?;
    let config = Config::plain()?
        .insert_filter(wasm_filter(FILTER, division(10)))
        .add_chain(GROWN, &[wasm_filter(FILTER, division(30))])
        .hcm(&routes())
        .add_endpoint(CANARY, canary.address());
    let wait = Wait::begin("starting another Envoy, before two releases".to_owned());
    let stage = Stage::with_upstream(&config, release(STABLE)?)?;
    wait.done();

    println!("\n{BOLD}header-tag divides users by a cookie, and the route goes by its tag{BOLD:#}");
    let first = answered(stage.client(), None)?;
    let again = answered(stage.client(), Some(CANARY))?;
    let grown = answered(&Client::http1(stage.envoy().listener(GROWN)?), None)?;
    println!(
        "    {DIM}{USERS} users: {} reach the canary; when it grows to three in ten, {} do{DIM:#}",
        canaries(&first),
        canaries(&grown)
    );
    Ok(print::outcomes([
        about(&first, 10),
        stay(&first, &again),
        about(&grown, 30),
        remain(&first, &grown),
    ]))
}

/// The release that answers each of the users, who may ask for one.
fn answered(client: &Client, asked_for: Option<&str>) -> Result<Vec<String>> {
    let ask = |user| {
        let mut request = Request::get("/").header("cookie", format!("user={user}"));
        if let Some(release) = asked_for {
            request = request.header(RELEASE, release);
        }
        let response = client.send(request)?;
        let release = response.headers.text(ANSWERED_BY);
        release.with_context(|| format!("no release has answered:\n{response}"))
    };
    (0..USERS).map(ask).collect()
}

fn canaries(answered: &[String]) -> usize {
    answered.iter().filter(|release| *release == CANARY).count()
}

/// Whether the canary has its share, give or take half of it: users are few.
fn about(answered: &[String], percent: usize) -> Result<String> {
    let (share, found) = (USERS * percent / 100, canaries(answered));
    ensure!(
        (share / 2..=share + share / 2).contains(&found),
        "the canary answers {found} users of {USERS}, not about {share}"
    );
    Ok(format!("the canary answers about {percent} users in 100"))
}

fn stay(first: &[String], again: &[String]) -> Result<String> {
    ensure!(first == again, "somebody was moved");
    Ok("whoever comes again is answered by the same release, whichever he asks for".to_owned())
}

fn remain(first: &[String], grown: &[String]) -> Result<String> {
    let mut pairs = first.iter().zip(grown);
    ensure!(
        pairs.all(|(was, is)| was == STABLE || is == CANARY),
        "somebody left the canary when it grew"
    );
    Ok("nobody leaves the canary when it grows".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(canaries: usize) -> Vec<String> {
        let release = |user| if user < canaries { CANARY } else { STABLE };
        (0..USERS).map(|user| release(user).to_owned()).collect()
    }

    #[test]
    fn a_share_that_is_far_off_breaks_the_promise() {
        assert!(about(&users(30), 10).is_ok());
        assert!(about(&users(0), 10).is_err());
        assert!(about(&users(60), 10).is_err());
    }

    #[test]
    fn whoever_moves_or_leaves_breaks_the_promise() {
        assert!(stay(&users(30), &users(30)).is_ok());
        assert!(stay(&users(30), &users(31)).is_err());
        assert!(remain(&users(30), &users(90)).is_ok());
        assert!(remain(&users(30), &users(29)).is_err());
    }
}
