//! When a change shows in the answers, and that nothing else does.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::{Answer, Load};
use crate::headers::Headers;
use crate::wait::{DEADLINE, wait_for};

/// The times from a change to what it does.
#[derive(Debug, Default)]
pub struct Effects {
    /// To the first answer by the new version.
    first: Vec<Duration>,
    /// To the first such answer on the last of the connections.
    everywhere: Vec<Duration>,
}

impl Effects {
    /// Makes changes from version 1 to `last`, each once the one before is in effect everywhere. `version`
    /// tells which one an answer was made by: an answer by none, or by neither the one before nor the one
    /// that was just written, fails.
    pub fn of(
        load: &Load,
        last: usize,
        version: impl Fn(&Answer) -> Result<Option<usize>>,
        write: impl Fn(usize) -> Result<()>,
    ) -> Result<Self> {
        let connections = load.senders.len();
        let mut effects = Self::default();
        for now in 1..=last {
            let before = load.look(<[_]>::len);
            let written = Instant::now();
            write(now)?;
            let mut seen = before;
            let mut shown = vec![None; connections];
            wait_for(&format!("version {now} everywhere"), DEADLINE, || {
                load.look(|answers| {
                    for answer in &answers[seen..] {
                        let Some(by) = version(answer)? else { continue };
                        let place = &mut shown[answer.connection];
                        match by {
                            by if by == now => {
                                place.get_or_insert(answer.came.duration_since(written));
                            }
                            by if by + 1 == now && place.is_none() => {}
                            _ => bail!("version {by} while {now} is being put into effect"),
                        }
                    }
                    seen = answers.len();
                    Ok(())
                })?;
                Ok(shown.iter().all(Option::is_some).then_some(()))
            })?;
            let shown = shown.iter().flatten();
            effects.first.extend(shown.clone().min());
            effects.everywhere.extend(shown.max());
        }
        Ok(effects)
    }

    /// How many changes there were.
    pub fn len(&self) -> usize {
        self.first.len()
    }

    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// To the first answer by the new version: the median, and the 99th percentile.
    pub fn first(&self) -> [Duration; 2] {
        percentiles(&self.first)
    }

    /// To the first such answer on the last of the connections, the same.
    pub fn everywhere(&self) -> [Duration; 2] {
        percentiles(&self.everywhere)
    }

    /// The numbers, as a line.
    pub fn summary(&self) -> String {
        let [first, first_99] = self.first();
        let [everywhere, everywhere_99] = self.everywhere();
        format!(
            "{} updates; write to first effect: median {first:.1?}, 99th percentile {first_99:.1?}; to effect on \
             every connection: {everywhere:.1?}, {everywhere_99:.1?}",
            self.len()
        )
    }
}

/// How many requests there were, and how long the slowest took, where none of them failed: by a status of 500 or
/// more, or by its connection.
pub fn none_failed(answers: &[Answer]) -> Result<String> {
    let failed: Vec<_> = answers
        .iter()
        .filter_map(|answer| match &answer.outcome {
            Ok(response) if response.status < 500 => None,
            Ok(response) => Some(response.to_string()),
            Err(error) => Some(error.clone()),
        })
        .collect();
    ensure!(
        failed.is_empty(),
        "{} of {} requests failed, such as: {}",
        failed.len(),
        answers.len(),
        failed[0]
    );
    let times = answers
        .iter()
        .map(|answer| answer.came.duration_since(answer.sent));
    let first = answers.iter().map(|answer| answer.sent).min();
    let last = answers.iter().map(|answer| answer.came).max();
    let took = first.zip(last).map(|(first, last)| last - first);
    Ok(format!(
        "{} requests in {:.1?}, none failed, the slowest took {:.1?}",
        answers.len(),
        took.unwrap_or_default(),
        times.max().unwrap_or_default()
    ))
}

fn percentiles(times: &[Duration]) -> [Duration; 2] {
    let mut times = times.to_vec();
    times.sort();
    [50, 99].map(|part| {
        let at = (times.len() * part).div_ceil(100).saturating_sub(1);
        times.get(at).copied().unwrap_or_default()
    })
}

/// The version that a header says a message was treated by; `None` where it is not there once, as a number.
pub fn version(headers: &Headers, name: &str) -> Option<usize> {
    match headers.all(name)[..] {
        [version] => std::str::from_utf8(version).ok()?.parse().ok(),
        _ => None,
    }
}

/// The version in this header of an answer: an error where there is none, for then no version saw the request.
pub fn version_of(answer: &Answer, name: &str) -> Result<usize> {
    match &answer.outcome {
        Ok(response) => match version(&response.headers, name) {
            Some(version) => Ok(version),
            None => bail!("an answer that no version has seen: {response}"),
        },
        Err(error) => bail!("a request failed: {error}"),
    }
}
