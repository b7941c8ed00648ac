//! A running Envoy.

mod shared;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use crate::admin::Admin;
use crate::binary::envoy_binary;
use crate::client::Client;
use crate::config::Config;
use crate::log::{LogEntry, entries_of, parse_log, tail};
use crate::process::Process;
use crate::run_folder::RunFolder;
use crate::target::target_dir;
use crate::wait::{START, wait_for};

/// An Envoy process that takes requests, or a test's part of one ([`Config::shared`]). Dropping it stops it
/// for certain, unless others have parts of it.
#[derive(Debug)]
pub struct Envoy {
    running: Arc<Running>,
    listeners: Vec<(String, SocketAddr)>,
    /// None where the whole process is one test's.
    part: Option<Part>,
}

/// An Envoy process.
#[derive(Debug)]
struct Running {
    // Before the folder: the process ends before its files go.
    process: Mutex<Process>,
    admin: Admin,
    log: PathBuf,
    folder: RunFolder,
}

/// What is a test's own in an Envoy that others use too.
#[derive(Debug)]
struct Part {
    vm_ids: BTreeSet<String>,
    /// How long the log was before.
    log_from: u64,
}

/// Why there is no Envoy.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It did not come to running Envoy.
    #[error("cannot run Envoy: {0:#}")]
    Setup(anyhow::Error),
    /// Envoy ended by itself: it did not accept its configuration, in the usual case.
    #[error("Envoy did not start ({status}); the end of its log:\n{}", tail(.log, SHOWN_LOG_LINES))]
    Refused {
        /// How it ended.
        status: ExitStatus,
        /// Everything that it logged.
        log: String,
    },
    /// Envoy runs, but takes no requests.
    #[error("Envoy was not ready within {time:?}; the end of its log:\n{}", tail(.log, SHOWN_LOG_LINES))]
    NotReady {
        /// How long it had.
        time: Duration,
        /// Everything that it logged.
        log: String,
    },
}

// Not derived: the text above tells all causes already, and an error that named
// them as its source would tell them twice.
impl From<anyhow::Error> for StartError {
    fn from(error: anyhow::Error) -> Self {
        Self::Setup(error)
    }
}

impl StartError {
    /// Everything that Envoy logged; empty where it never ran.
    pub fn log(&self) -> &str {
        match self {
            Self::Setup(_) => "",
            Self::Refused { log, .. } | Self::NotReady { log, .. } => log,
        }
    }

    /// What the Wasm modules logged as errors, each once (a module is
    /// configured more than once), without Envoy's prefix.
    pub fn module_errors(&self) -> Vec<String> {
        module_errors(&parse_log(self.log()))
    }
}

/// A thread of the Envoy process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvoyThread {
    /// The kernel's number of it.
    pub id: u32,
    /// Its name; the workers' are `wrk:worker_0` and so on.
    pub name: String,
}

impl Envoy {
    /// Starts Envoy and waits until it takes requests.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        if config.run.shared {
            return Ok(shared::start(config)?);
        }
        let running = Running::start(Run::prepare(config)?, config)?;
        Ok(Self {
            listeners: running.admin.listeners()?,
            running: Arc::new(running),
            part: None,
        })
    }

    /// Asks `envoy --mode validate` whether it accepts the configuration.
    ///
    /// That makes the Wasm modules run, too: one that refuses its own configuration
    /// makes this fail.
    pub fn validate(config: &Config) -> Result<(), StartError> {
        let run = Run::prepare(config)?;
        let mut command = run.command(config)?;
        command.args(["--mode", "validate"]);
        let mut process = Process::start(command).context("cannot start the process")?;
        let status = wait_for("`envoy --mode validate` to end", START, || {
            Ok(process.ended()?)
        });
        let log = run.log();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(StartError::Refused { status, log }),
            Err(_) => Err(StartError::NotReady { time: START, log }),
        }
    }

    /// Where the first listener takes requests.
    pub fn address(&self) -> Result<SocketAddr> {
        let first = self.listeners.first();
        Ok(first.context("this Envoy has no listener")?.1)
    }

    /// Where the listener of this name takes requests.
    pub fn listener(&self, name: &str) -> Result<SocketAddr> {
        let found = self.listeners.iter().find(|listener| listener.0 == name);
        found.map(|listener| listener.1).ok_or_else(|| {
            let known: Vec<_> = self.listeners.iter().map(|one| one.0.as_str()).collect();
            anyhow!("no listener `{name}`; there are: {}", known.join(", "))
        })
    }

    /// A client of the first listener.
    pub fn client(&self) -> Result<Client> {
        Ok(Client::http1(self.address()?))
    }

    /// A client of the first listener that speaks HTTP/2.
    pub fn http2_client(&self) -> Result<Client> {
        Ok(Client::http2(self.address()?))
    }

    /// The admin interface.
    pub fn admin(&self) -> &Admin {
        &self.running.admin
    }

    /// The process's number.
    pub fn pid(&self) -> u32 {
        self.running.process().id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.running.process().ended(), Ok(None))
    }

    /// The threads of the process, from `/proc` (Linux alone has it).
    pub fn threads(&self) -> Result<Vec<EnvoyThread>> {
        let tasks = PathBuf::from(format!("/proc/{}/task", self.pid()));
        let entries = fs::read_dir(&tasks)
            .with_context(|| format!("cannot read {}: not on Linux?", tasks.display()))?;
        let mut threads = Vec::new();
        for entry in entries.flatten() {
            let Ok(id) = entry.file_name().to_string_lossy().parse() else {
                continue;
            };
            // A thread may end between the listing and this.
            if let Ok(name) = fs::read_to_string(entry.path().join("comm")) {
                let name = name.trim_end().to_owned();
                threads.push(EnvoyThread { id, name });
            }
        }
        threads.sort_by_key(|thread| thread.id);
        Ok(threads)
    }

    /// The threads that serve requests.
    pub fn workers(&self) -> Result<Vec<EnvoyThread>> {
        let mut threads = self.threads()?;
        threads.retain(|thread| thread.name.starts_with("wrk:worker"));
        Ok(threads)
    }

    /// Everything that it has logged so far; of an Envoy that others use too, since this part of it is there.
    pub fn log(&self) -> String {
        let from = self.part.as_ref().map_or(0, |part| part.log_from);
        read_from(&self.running.log, from)
    }

    /// What the configuration's access log has written to standard output so far; Envoy
    /// writes it in batches.
    pub fn access_log(&self) -> String {
        read_log(&self.running.folder.path().join(ACCESS_LOG_FILE))
    }

    /// The file that it logs to.
    pub fn log_file(&self) -> &Path {
        &self.running.log
    }

    /// The configuration that it was started with.
    pub fn config_file(&self) -> PathBuf {
        self.running.folder.path().join(CONFIG_FILE)
    }

    /// The end of its log, so many lines, without what modules have logged in VMs of others.
    pub fn log_tail(&self, lines: usize) -> String {
        let log = self.log();
        match &self.part {
            None => tail(&log, lines),
            Some(part) => tail(&entries_of(&log, |entry| part.has(entry)), lines),
        }
    }

    /// Keeps the whole log for who wants to know why a test failed, beyond this Envoy: in a file named after
    /// the test, which the test's next failure overwrites.
    pub fn keep_log(&self, test: &str) -> Result<PathBuf> {
        let folder = runs()?.join("failed");
        let name = test.replace(|char: char| !char.is_ascii_alphanumeric(), "_");
        let file = folder.join(name).with_extension("log");
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(&file, self.log()))
            .with_context(|| format!("cannot write {}", file.display()))?;
        Ok(file)
    }

    /// The log entry by entry, without what modules have logged in VMs of others.
    pub fn log_entries(&self) -> Vec<LogEntry> {
        let mut entries = parse_log(&self.log());
        if let Some(part) = &self.part {
            entries.retain(|entry| part.has(entry));
        }
        entries
    }

    /// What the Wasm modules have logged, at any level, without Envoy's prefix.
    pub fn module_log(&self) -> Vec<String> {
        self.log_entries()
            .iter()
            .filter_map(|entry| entry.from_module().map(str::to_owned))
            .collect()
    }

    /// Waits for a log entry whose text contains this.
    pub fn wait_for_log(&self, text: &str, deadline: Duration) -> Result<LogEntry> {
        wait_for(&format!("{text:?} in Envoy's log"), deadline, || {
            let entries = self.log_entries();
            Ok(entries.into_iter().find(|one| one.message.contains(text)))
        })
        .with_context(|| format!("the end of the log:\n{}", self.log_tail(30)))
    }
}

impl Part {
    fn has(&self, entry: &LogEntry) -> bool {
        let mut own = self.vm_ids.iter();
        entry.from_module().is_none() || own.any(|vm_id| entry.from_vm(vm_id).is_some())
    }
}

impl Running {
    /// Starts the process and waits until it is ready.
    fn start(run: Run, config: &Config) -> Result<Self, StartError> {
        let admin_file = run.folder.path().join("admin.txt");
        let mut command = run.command(config)?;
        command.arg("--admin-address-path").arg(&admin_file);
        let mut process = Process::start(command).context("cannot start the process")?;
        let start = Instant::now();
        let admin = loop {
            if let Some(status) = process.ended().context("cannot watch the process")? {
                let log = run.log();
                return Err(StartError::Refused { status, log });
            }
            if let Some(admin) = ready_admin(&admin_file) {
                break admin;
            }
            if start.elapsed() > START {
                let log = run.log();
                return Err(StartError::NotReady { time: START, log });
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        Ok(Self {
            process: Mutex::new(process),
            admin,
            log: run.log,
            folder: run.folder,
        })
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const CONFIG_FILE: &str = "envoy.json";
const ACCESS_LOG_FILE: &str = "access.log";
/// How much of a log is shown with a failure: what else a test binary says must be found beside it.
pub(crate) const SHOWN_LOG_LINES: usize = 60;

/// Where the folders of runs are.
fn runs() -> Result<PathBuf> {
    Ok(target_dir()?.join("legation-tests"))
}

/// The files of one run of Envoy.
struct Run {
    folder: RunFolder,
    log: PathBuf,
}

impl Run {
    fn prepare(config: &Config) -> Result<Self> {
        let bootstrap = config.to_value()?;
        let run = Self::create()?;
        run.write(&bootstrap)?;
        Ok(run)
    }

    fn create() -> Result<Self> {
        let folder = RunFolder::create(&runs()?)?;
        let log = folder.path().join("envoy.log");
        Ok(Self { folder, log })
    }

    fn write(&self, bootstrap: &Value) -> Result<()> {
        let text = serde_json::to_string_pretty(bootstrap)?;
        fs::write(self.folder.path().join(CONFIG_FILE), text)?;
        Ok(())
    }

    fn command(&self, config: &Config) -> Result<Command> {
        let run = &config.run;
        let log = File::create(&self.log)?;
        let access_log = File::create(self.access_log())?;
        let mut command = Command::new(envoy_binary()?);
        command
            .arg("-c")
            .arg(self.folder.path().join(CONFIG_FILE))
            // Without shared memory, any number of them run side by side.
            .arg("--disable-hot-restart")
            .args(["--concurrency", &run.concurrency.to_string()])
            .args(["--log-level", &run.log_level])
            .envs(&run.environment)
            .stdin(Stdio::null())
            .stdout(access_log)
            .stderr(log);
        if !run.component_log_level.is_empty() {
            command.args(["--component-log-level", &run.component_log_level]);
        }
        Ok(command)
    }

    fn access_log(&self) -> PathBuf {
        self.folder.path().join(ACCESS_LOG_FILE)
    }

    fn log(&self) -> String {
        read_log(&self.log)
    }
}

fn ready_admin(file: &Path) -> Option<Admin> {
    let address = fs::read_to_string(file).ok()?.trim().parse().ok()?;
    let admin = Admin::new(address);
    let answer = admin.ready().ok()?;
    (answer.status == 200).then_some(admin)
}

fn read_log(path: &Path) -> String {
    read_from(path, 0)
}

fn read_from(path: &Path, from: u64) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut file) = File::open(path)
        && file.seek(SeekFrom::Start(from)).is_ok()
    {
        file.read_to_end(&mut bytes).ok();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(crate) fn module_errors(entries: &[LogEntry]) -> Vec<String> {
    let mut errors: Vec<String> = Vec::new();
    for entry in entries.iter().filter(|entry| entry.is_error()) {
        if let Some(text) = entry.from_module()
            && !errors.iter().any(|known| known == text)
        {
            errors.push(text.to_owned());
        }
    }
    errors
}
