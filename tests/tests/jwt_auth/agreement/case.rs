//! A case, and how it is run.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Result, ensure};
use legation_tests::jwt::now;
use legation_tests::{
    Client, Config, ENVOY_VERSION, Envoy, Received, Request, Response, Upstream, envoy_binary,
    envoy_version,
};
use serde_json::{Value, json};

use super::reasons::{Reason, TEXTS};
use crate::{native, ours, to_ours};

/// Cases that share a configuration, and with it an Envoy.
pub(super) struct Group {
    /// Of both filters, as Envoy's own has it.
    pub(super) configuration: Value,
    /// What only ours has.
    pub(super) ours: Value,
    /// Merged into the connection manager.
    pub(super) hcm: Value,
    pub(super) cases: Vec<Case>,
}

/// One request through both filters.
pub(super) struct Case {
    pub(super) name: String,
    request: Box<dyn Fn() -> Request>,
    /// The outcome depends on the second.
    by_one_clock: bool,
    native: u16,
    pub(super) difference: Option<Difference>,
}

/// What our filter does otherwise.
#[derive(Clone)]
pub(super) struct Difference {
    /// The status where it is another one; else it is what the upstream gets that differs.
    status: Option<u16>,
    /// What each does, in the README's words.
    pub(super) native: String,
    pub(super) ours: String,
    pub(super) reason: &'static Reason,
}

/// A case that sends this request.
pub(super) fn case(name: impl Into<String>, request: Request) -> Case {
    case_of(name, move || request.clone())
}

/// A case whose request is made when it is sent.
pub(super) fn case_of(name: impl Into<String>, request: impl Fn() -> Request + 'static) -> Case {
    Case {
        name: name.into(),
        request: Box::new(request),
        by_one_clock: false,
        native: 0,
        difference: None,
    }
}

impl Case {
    /// Both answer with this status.
    pub(super) fn both(mut self, status: u16) -> Self {
        self.native = status;
        self
    }

    /// Ours answers with this status instead.
    pub(super) fn but(mut self, status: u16, reason: &'static Reason) -> Self {
        self.difference = Some(Difference {
            status: Some(status),
            native: outcome(self.native),
            ours: outcome(status),
            reason,
        });
        self
    }

    /// Both answer alike, but the upstream gets another request from ours.
    pub(super) fn differs(mut self, native: &str, ours: &str, reason: &'static Reason) -> Self {
        self.difference = Some(Difference {
            status: None,
            native: native.to_owned(),
            ours: ours.to_owned(),
            reason,
        });
        self
    }

    /// Sends the request, and gets the answer of both, within one second of the clock.
    pub(super) fn by_one_clock(mut self) -> Self {
        self.by_one_clock = true;
        self
    }
}

fn outcome(status: u16) -> String {
    match status {
        200 => "lets it pass".to_owned(),
        other => other.to_string(),
    }
}

/// What came of a request at one of the two filters.
struct Seen {
    response: Response,
    received: Option<Received>,
}

impl Seen {
    /// The request at the upstream, without what differs between any two requests.
    fn upstream(&self) -> Option<String> {
        self.received.as_ref().map(Received::comparable)
    }
}

impl Group {
    /// Providers and rules for both filters.
    pub(super) fn new(configuration: Value, cases: Vec<Case>) -> Self {
        Self {
            configuration,
            ours: json!({}),
            hcm: json!({}),
            cases,
        }
    }

    /// Runs every case and tells all that are not as they say.
    pub(super) fn run(&self) -> Result<()> {
        let names: BTreeSet<_> = self.cases.iter().map(|case| &case.name).collect();
        ensure!(names.len() == self.cases.len(), "two cases have one name");

        let mut configuration = to_ours(&self.configuration);
        if let (Some(all), Some(more)) = (configuration.as_object_mut(), self.ours.as_object()) {
            all.extend(more.clone());
        }
        // Envoy's filter is another one in each of its versions.
        let compares = envoy_version(&envoy_binary()?)? == ENVOY_VERSION;
        let upstream = Upstream::start()?;
        let mut config = Config::plain()?
            .header_limits(200, 256)
            .add_chain("ours", &[ours(&configuration)]);
        if compares {
            config = config.add_chain("native", &[native(&self.configuration)]);
        }
        let config = config
            .hcm(&self.hcm)
            .endpoint("upstream", upstream.address())
            .shared();
        let envoy = Envoy::start(&config)?;
        let by_ours = Client::http1(envoy.listener("ours")?);
        let by_native = match compares {
            true => Some(Client::http1(envoy.listener("native")?)),
            false => None,
        };

        let mut wrong = String::new();
        for (at, case) in self.cases.iter().enumerate() {
            let send = |client: &Client, who: &str, request: Request| -> Result<Seen> {
                let id = format!("{who}-{at}");
                let response = client.send(request.id(&id))?;
                let received = upstream.with_id(&id);
                Ok(Seen { response, received })
            };
            let both = || -> Result<(Option<Seen>, Seen)> {
                let request = (case.request)();
                let native = match &by_native {
                    Some(client) => Some(send(client, "native", request.clone())?),
                    None => None,
                };
                Ok((native, send(&by_ours, "ours", request)?))
            };
            let (native, ours) = if case.by_one_clock {
                within_a_second(both)?
            } else {
                both()?
            };
            if let Err(problem) = case.judge(native.as_ref(), &ours) {
                writeln!(wrong, "── {}: {problem:#}", case.name)?;
            }
        }
        ensure!(
            wrong.is_empty(),
            "{wrong}\n{}",
            envoy.module_log().join("\n")
        );
        Ok(())
    }
}

/// Begins when a second begins, and again when it ended before.
fn within_a_second<T>(attempt: impl Fn() -> Result<T>) -> Result<T> {
    loop {
        let before = now();
        while now() == before {
            std::thread::yield_now();
        }
        let second = now();
        let outcome = attempt()?;
        if now() == second {
            return Ok(outcome);
        }
    }
}

impl Case {
    fn judge(&self, native: Option<&Seen>, ours: &Seen) -> Result<()> {
        let theirs = native.map_or_else(String::new, |seen| {
            format!("{} ({})", seen.response.status, seen.response.text())
        });
        let expected = self.difference.as_ref().and_then(|it| it.status);
        let expected = expected.unwrap_or(self.native);
        let got = ours.response.status;
        ensure!(
            got == expected,
            "ours answers {got} ({}), not {expected}; Envoy's {theirs}",
            ours.response.text(),
        );
        ensure!(
            ours.received.is_some() == (expected == 200),
            "ours answers {got}, and the upstream got: {:?}",
            ours.upstream()
        );
        native.map_or(Ok(()), |native| self.compare(native, ours))
    }

    fn compare(&self, native: &Seen, ours: &Seen) -> Result<()> {
        let got = native.response.status;
        ensure!(
            got == self.native,
            "Envoy's filter answers {got} ({}), not {}; ours {} ({})",
            native.response.text(),
            self.native,
            ours.response.status,
            ours.response.text()
        );
        if ours.response.status != got {
            return Ok(());
        }
        let texts = (native.response.text(), ours.response.text());
        let known = TEXTS.contains(&(&texts.0, &texts.1));
        ensure!(
            texts.0 == texts.1 || known,
            "both answer {got}, and say {texts:?}"
        );
        let same = native.upstream() == ours.upstream();
        match self.difference.as_ref().filter(|it| it.status.is_none()) {
            None => ensure!(
                same,
                "the upstream gets\n{}from Envoy's and\n{}from ours",
                native.upstream().unwrap_or_default(),
                ours.upstream().unwrap_or_default()
            ),
            Some(_) => ensure!(
                !same,
                "the upstream gets the same from both: {:?}",
                ours.upstream()
            ),
        }
        Ok(())
    }
}
