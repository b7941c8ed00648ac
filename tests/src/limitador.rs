//! A real rate limit service: limitador, in memory or with a real Redis behind it.
//!
//! ```no_run
//! use legation_tests::limitador::{Limitador, Redis};
//! use serde_json::json;
//!
//! # fn main() -> anyhow::Result<()> {
//! let limits = json!([{
//!     "namespace": "edge",
//!     "max_value": 5,
//!     "seconds": 60,
//!     "conditions": [],
//!     "variables": ["descriptors[0].client"],
//! }]);
//! let redis = Redis::start()?;
//! let limitador = Limitador::start(&limits, Some(&redis))?;
//! println!("{}", limitador.address());
//! # Ok(())
//! # }
//! ```
//!
//! `limitador-server` is on no registry; the library that it serves is. `tests/limitador/` is a server
//! around that, which is built once, in a folder of its own: nothing else waits for its crates.
//! Redis is the machine's own.

mod install;

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

pub use install::REDIS;

use crate::process::Process;
use crate::run_folder::RunFolder;
use crate::target::target_dir;
use crate::wait::{DEADLINE, wait_for};

const LIMITS: &str = "limits.json";
const OUT: &str = "out";
const LOG: &str = "log";
const SOCKET: &str = "redis.sock";

/// A running limitador. Dropping it kills it.
pub struct Limitador {
    process: Option<Process>,
    folder: RunFolder,
    address: SocketAddr,
    redis: Option<String>,
}

impl Limitador {
    /// Starts one with these limits, which are written as in its file of limits, on a free port of
    /// loopback. It counts in this Redis, or in its memory. Its answers have headers of
    /// draft-polli-ratelimit-headers-03.
    pub fn start(limits: &Value, redis: Option<&Redis>) -> Result<Self> {
        let folder = run_folder()?;
        fs::write(folder.path().join(LIMITS), limits.to_string())?;
        let mut limitador = Self {
            process: None,
            folder,
            address: "127.0.0.1:0".parse()?,
            redis: redis.map(Redis::url),
        };
        limitador.start_again()?;
        Ok(limitador)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Kills it, as a machine that is lost would.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it in the place of the one that was killed: with the same limits, where that was.
    pub fn start_again(&mut self) -> Result<()> {
        self.kill();
        let mut command = Command::new(install::installed()?);
        command
            .args(["--rate-limit-headers", "DRAFT_VERSION_03"])
            .args(["--rls-port", &self.address.port().to_string()])
            .arg(LIMITS);
        match &self.redis {
            Some(url) => command.args(["redis", url]),
            None => command.arg("memory"),
        };
        let process = start(command, self.folder.path())?;
        self.process = Some(ready("limitador", process, self.folder.path(), || {
            let out = fs::read_to_string(self.folder.path().join(OUT))?;
            let Some((address, _)) = out.split_once('\n') else {
                return Ok(false);
            };
            self.address = address.parse()?;
            Ok(true)
        })?);
        Ok(())
    }

    /// What it has written to its log.
    pub fn log(&self) -> String {
        log(self.folder.path())
    }
}

impl fmt::Debug for Limitador {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limitador")
            .field("address", &self.address)
            .field("redis", &self.redis)
            .finish_non_exhaustive()
    }
}

/// A running Redis, which keeps nothing on disk and listens on no port. Dropping it kills it.
pub struct Redis {
    process: Option<Process>,
    folder: RunFolder,
}

impl Redis {
    /// Starts one; see [`REDIS`].
    pub fn start() -> Result<Self> {
        let folder = run_folder()?;
        let mut redis = Self {
            process: None,
            folder,
        };
        redis.start_again()?;
        Ok(redis)
    }

    /// Its address, for limitador.
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it in the place of the one that was killed; it begins empty.
    pub fn start_again(&mut self) -> Result<()> {
        self.kill();
        let mut command = Command::new(install::REDIS_SERVER);
        command
            .args(["--port", "0", "--unixsocket"])
            .arg(self.socket())
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no"]);
        let process = start(command, self.folder.path())?;
        self.process = Some(ready("Redis", process, self.folder.path(), || {
            let out = fs::read_to_string(self.folder.path().join(OUT))?;
            Ok(out.contains("eady to accept connections"))
        })?);
        Ok(())
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join(SOCKET)
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("socket", &self.socket())
            .finish_non_exhaustive()
    }
}

fn run_folder() -> Result<RunFolder> {
    RunFolder::create(&target_dir()?.join("legation-tests"))
}

fn start(mut command: Command, folder: &Path) -> Result<Process> {
    let file = |name: &str| fs::File::create(folder.join(name));
    command
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(file(OUT)?)
        .stderr(file(LOG)?);
    let program = command.get_program().to_owned();
    Process::start(command).with_context(|| format!("cannot run {}", program.display()))
}

/// The process, once it says that it is ready.
fn ready(
    name: &str,
    mut process: Process,
    folder: &Path,
    mut is_ready: impl FnMut() -> Result<bool>,
) -> Result<Process> {
    wait_for(&format!("{name} to start"), DEADLINE, || {
        if is_ready()? {
            return Ok(Some(()));
        }
        if let Some(status) = process.ended()? {
            bail!("{name} ended with {status}");
        }
        Ok(None)
    })
    .with_context(|| log(folder))?;
    Ok(process)
}

fn log(folder: &Path) -> String {
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
    read(OUT) + &read(LOG)
}
