//! Compares what was seen with what is expected, and tells the difference, for
//! every stage alike.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::format::{Arrival, ExpectRequest, ExpectResponse, Scenario, Step};
use super::stage::{Observed, Stage, Started};
use super::value::{Bytes, Expected, ExpectedHeaders};
use crate::headers::{HeaderList, Text};
use crate::message::Message;

/// How often counters and the log are looked at while patience lasts.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Shows a scenario on a stage. The error tells which step went otherwise than
/// expected, and all that was seen of it.
pub fn run<S: Stage>(scenario: &Scenario) -> Result<()> {
    let place = S::PLACE;
    let mut stage = match S::start(scenario).with_context(|| format!("cannot start {place}"))? {
        Started::Refused(lines) => return refused(scenario, &lines, place),
        Started::Ready(_) if !scenario.refused.is_empty() => {
            bail!("{place}: the configuration was accepted; it should be refused");
        }
        Started::Ready(stage) => stage,
    };
    let mut counters = Counters::new(&mut stage, scenario)?;
    for step in &scenario.steps {
        let name = &step.name;
        let lines = stage.log()?.len();
        let played = stage.play(step);
        let seen = match played {
            Ok(seen) => seen,
            Err(error) => {
                let story = stage.story();
                return Err(error).with_context(|| format!("step `{name}` {place}\n{story}"));
            }
        };
        let mut differences = compare(step, &seen);
        differences.extend(aside(&mut stage, step, &mut counters, lines)?);
        if !differences.is_empty() {
            let log = stage.log()?.split_off(lines);
            let told = tell(step, &seen, &differences, &log);
            bail!("step `{name}` {place}:\n{told}{}", stage.story());
        }
    }
    Ok(())
}

/// Each expected piece is in a line of its own, and no line is left over.
fn refused(scenario: &Scenario, lines: &[String], place: &str) -> Result<()> {
    let written = || lines.join("\n  ");
    if scenario.refused.is_empty() {
        bail!("{place}: the configuration was refused:\n  {}", written());
    }
    let mut left: Vec<_> = lines.iter().collect();
    let mut missing = Vec::new();
    for piece in &scenario.refused {
        match left.iter().position(|line| line.contains(piece.as_str())) {
            Some(at) => drop(left.remove(at)),
            None => missing.push(piece.as_str()),
        }
    }
    if missing.is_empty() && left.is_empty() {
        return Ok(());
    }
    let mut told = String::new();
    for piece in missing {
        writeln!(told, "expected a line with `{piece}` in it")?;
    }
    for line in left {
        writeln!(told, "did not expect the line `{line}`")?;
    }
    bail!(
        "{place}: the configuration was refused otherwise than expected\n{told}all lines:\n  {}",
        written()
    );
}

/// What the counters showed when a step last looked at them: some filters add
/// up in the module and tell the host later.
struct Counters(BTreeMap<String, u64>);

impl Counters {
    fn new<S: Stage>(stage: &mut S, scenario: &Scenario) -> Result<Self> {
        let mut seen = BTreeMap::new();
        for name in scenario
            .steps
            .iter()
            .flat_map(|step| step.expect.stats.keys())
        {
            if !seen.contains_key(name) {
                seen.insert(name.clone(), stage.counter(name)?);
            }
        }
        Ok(Self(seen))
    }
}

/// What differs in counters and log once the stage's patience is over.
fn aside<S: Stage>(
    stage: &mut S,
    step: &Step,
    counters: &mut Counters,
    lines: usize,
) -> Result<Vec<String>> {
    let deadline = Instant::now() + S::PATIENCE;
    loop {
        let mut differences = Vec::new();
        let mut now = BTreeMap::new();
        for (name, growth) in &step.expect.stats {
            let value = stage.counter(name)?;
            let before = counters.0.get(name).copied().unwrap_or_default();
            let grown = value.saturating_sub(before);
            if grown != *growth {
                differences.push(format!(
                    "stat `{name}`: expected to grow by {growth}, grew by {grown}"
                ));
            }
            now.insert(name.clone(), value);
        }
        let lines = stage.log()?.split_off(lines);
        let written = |piece: &String| lines.iter().any(|line| line.contains(piece.as_str()));
        for piece in step.expect.log.iter().filter(|piece| !written(piece)) {
            differences.push(format!("log: expected a line with `{piece}` in it"));
        }
        for piece in step.expect.no_log.iter().filter(|piece| written(piece)) {
            differences.push(format!("log: expected no line with `{piece}` in it"));
        }
        if differences.is_empty() || Instant::now() >= deadline {
            counters.0.extend(now);
            return Ok(differences);
        }
        thread::sleep(LOOK_AGAIN);
    }
}

fn compare(step: &Step, seen: &Observed) -> Vec<String> {
    let mut found = Differences(Vec::new());
    match (&step.expect.upstream, &seen.upstream) {
        (None, _) | (Some(Arrival::None), None) => {}
        (Some(Arrival::None), Some(_)) => found.add("upstream: expected no request, got one"),
        (Some(Arrival::Message(_)), None) => found.add("upstream: expected a request, got none"),
        (Some(Arrival::Message(expected)), Some(message)) => found.request(expected, message),
    }
    match (&step.expect.response, &seen.response) {
        (None, _) | (Some(Arrival::None), None) => {}
        (Some(Arrival::None), Some(_)) => found.add("response: expected none, got one"),
        (Some(Arrival::Message(_)), None) => found.add("response: expected one, got none"),
        (Some(Arrival::Message(expected)), Some(message)) => found.response(expected, message),
    }
    found.0
}

struct Differences(Vec<String>);

impl Differences {
    fn add(&mut self, difference: impl Into<String>) {
        self.0.push(difference.into());
    }

    fn request(&mut self, expected: &ExpectRequest, message: &Message) {
        for (name, value) in [
            (":method", &expected.method),
            (":path", &expected.path),
            (":authority", &expected.authority),
        ] {
            if let Some(value) = value {
                let values = std::slice::from_ref(value);
                self.header("upstream", &message.headers, name, values);
            }
        }
        self.headers(
            "upstream",
            &message.headers,
            &expected.headers,
            &expected.absent,
        );
        self.body("upstream", &message.body, expected.body.as_ref());
        self.headers(
            "upstream trailers",
            &message.trailers,
            &expected.trailers,
            &[],
        );
    }

    fn response(&mut self, expected: &ExpectResponse, message: &Message) {
        let status = message.status();
        if let Some(expected) = expected.status.filter(|expected| *expected != status) {
            self.add(format!(
                "response: expected status {expected}, got {status}"
            ));
        }
        self.headers(
            "response",
            &message.headers,
            &expected.headers,
            &expected.absent,
        );
        self.body("response", &message.body, expected.body.as_ref());
        self.headers(
            "response trailers",
            &message.trailers,
            &expected.trailers,
            &[],
        );
        if let Some(expected) = expected.grpc_status {
            let in_trailers = message.trailers.get("grpc-status");
            let status = in_trailers.or_else(|| message.headers.get("grpc-status"));
            if status != Some(expected.to_string().as_bytes()) {
                let status = status.map(|status| Text(status).to_string());
                self.add(format!(
                    "response: expected grpc-status {expected}, got {status:?}"
                ));
            }
        }
    }

    fn headers(
        &mut self,
        place: &str,
        headers: &HeaderList,
        expected: &ExpectedHeaders,
        absent: &[String],
    ) {
        for (name, values) in &expected.0 {
            self.header(place, headers, name, values);
        }
        for name in absent {
            if headers.contains(name) {
                let got = shown(headers.all(name));
                self.add(format!(
                    "{place}: header `{name}`: expected none, got {got}"
                ));
            }
        }
    }

    fn header(&mut self, place: &str, headers: &HeaderList, name: &str, expected: &[Expected]) {
        let got: Vec<_> = headers.all(name).collect();
        let fits = got.len() == expected.len()
            && got
                .iter()
                .zip(expected)
                .all(|(value, expected)| expected.fits(value));
        if !fits {
            let wanted: Vec<_> = expected.iter().map(ToString::to_string).collect();
            let wanted = wanted.join(", ");
            let got = shown(got.into_iter());
            self.add(format!(
                "{place}: header `{name}`: expected {wanted}, got {got}"
            ));
        }
    }

    fn body(&mut self, place: &str, body: &[u8], expected: Option<&Expected>) {
        if let Some(expected) = expected.filter(|expected| !expected.fits(body)) {
            let got = Bytes(body.to_vec());
            self.add(format!("{place}: body: expected {expected}, got {got}"));
        }
    }
}

fn shown<'a>(values: impl Iterator<Item = &'a [u8]>) -> String {
    let values: Vec<_> = values
        .map(|value| Bytes(value.to_vec()).to_string())
        .collect();
    if values.is_empty() {
        return "none".to_owned();
    }
    values.join(", ")
}

/// All that there is to know of a step that went otherwise than expected.
fn tell(step: &Step, seen: &Observed, differences: &[String], log: &[String]) -> String {
    let request = &step.request;
    let mut lines: Vec<_> = differences
        .iter()
        .map(|difference| format!("- {difference}"))
        .collect();
    lines.push("request:".to_owned());
    lines.push(format!(
        "  {} {} {}",
        request.method(),
        request.authority(),
        request.path()
    ));
    for (name, value) in &request.headers.0 {
        lines.push(format!("  {name}: {value}"));
    }
    for (what, message) in [
        ("the upstream got", &seen.upstream),
        ("the client got", &seen.response),
    ] {
        let text = message.as_ref().map(Message::to_string);
        let text = text.as_deref().unwrap_or("  nothing");
        lines.push(format!("{what}:\n{}", text.trim_end()));
    }
    if log.is_empty() {
        lines.push("the filter logged nothing".to_owned());
    } else {
        lines.push(format!("the filter logged:\n  {}", log.join("\n  ")));
    }
    lines.push(String::new());
    lines.join("\n")
}
