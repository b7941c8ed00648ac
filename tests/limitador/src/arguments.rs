//! What it is started with: as much of `limitador-server`'s arguments as the tests and the filter's
//! README use.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// Where it counts.
pub(crate) enum Storage {
    Memory,
    /// By the address of a Redis.
    Redis(String),
}

pub(crate) struct Arguments {
    /// Whether its answers tell how the limits stand.
    pub(crate) headers: bool,
    /// 0 is any free one.
    pub(crate) port: u16,
    pub(crate) limits: PathBuf,
    pub(crate) storage: Storage,
}

impl Arguments {
    pub(crate) fn read(arguments: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut headers = false;
        let mut port = 0;
        let mut words = Vec::new();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .with_context(|| format!("{argument}: which?"))
            };
            match argument.as_str() {
                "--rate-limit-headers" => {
                    headers = match value()?.as_str() {
                        "NONE" => false,
                        "DRAFT_VERSION_03" => true,
                        other => {
                            bail!("--rate-limit-headers {other}: not NONE or DRAFT_VERSION_03")
                        }
                    };
                }
                "--rls-port" => port = value()?.parse().context("--rls-port")?,
                _ => words.push(argument),
            }
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (limits, storage) = match *words.as_slice() {
            [limits, "memory"] => (limits, Storage::Memory),
            [limits, "redis", url] => (limits, Storage::Redis(url.to_owned())),
            _ => bail!("{words:?}: not `LIMITS memory` or `LIMITS redis URL`"),
        };
        Ok(Self {
            headers,
            port,
            limits: limits.into(),
            storage,
        })
    }
}
