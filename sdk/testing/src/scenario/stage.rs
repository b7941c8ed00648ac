//! Where a scenario is shown.

use std::time::Duration;

use anyhow::Result;

use super::format::{Scenario, Step};
use crate::message::Message;

/// A place where scenarios are shown: the mock host, or Envoy.
pub trait Stage: Sized {
    /// Where it is, as in "… on the mock host".
    const PLACE: &'static str;

    /// How long counters and log lines may take to show after an answer.
    const PATIENCE: Duration;

    /// Starts the filter as the scenario configures it.
    fn start(scenario: &Scenario) -> Result<Started<Self>>;

    /// Sends a step's request and answers it as the upstream.
    fn play(&mut self, step: &Step) -> Result<Observed>;

    /// The value of a counter, by the name that the filter gave it.
    fn counter(&mut self, name: &str) -> Result<u64>;

    /// Every line that the filter has written to the log so far.
    fn log(&mut self) -> Result<Vec<String>>;

    /// What else there is to see where a step failed.
    fn story(&mut self) -> String {
        String::new()
    }
}

/// What became of the start.
#[derive(Debug)]
pub enum Started<S> {
    /// The filter is ready.
    Ready(S),
    /// The configuration was refused, with these lines.
    Refused(Vec<String>),
}

/// What was seen in a step.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// The request as it arrived at the upstream, whole, with its
    /// pseudo-headers.
    pub upstream: Option<Message>,
    /// The response as it arrived at the client, whole, with `:status`.
    pub response: Option<Message>,
}
