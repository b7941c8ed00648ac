//! A server that is a program, on a free port of loopback.

use std::fmt;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::client::Client;
use crate::message::Request;
use crate::process::Process;
use crate::run_folder::RunFolder;
use crate::target::target_dir;
use crate::wait::{DEADLINE, wait_for};

const LOG: &str = "log";
/// How often a port that was free a moment ago may have gone to somebody else.
const ATTEMPTS: usize = 5;

/// A running server. Dropping it kills it.
///
/// ```no_run
/// use std::process::Command;
///
/// use legation_tests::Server;
///
/// # fn main() -> anyhow::Result<()> {
/// let python = Server::start("Python's server", "/", |address, _| {
///     let mut command = Command::new("python3");
///     command.args(["-m", "http.server", "--bind", "127.0.0.1"]);
///     command.arg(address.port().to_string());
///     Ok(command)
/// })?;
/// println!("http://{}/", python.address());
/// # Ok(())
/// # }
/// ```
pub struct Server {
    name: String,
    // Before the folder: the process ends before its files go.
    _process: Process,
    client: Client,
    folder: RunFolder,
}

impl Server {
    /// Starts what the command runs, in a folder of its own, and waits until `ready`, a path, is
    /// answered with 200. The command is made for an address that the server is to listen on, and for
    /// the folder; it is made again when that address turns out to be taken.
    pub fn start(
        name: &str,
        ready: &str,
        command: impl Fn(SocketAddr, &Path) -> Result<Command>,
    ) -> Result<Self> {
        let is_ready = |client: &Client| {
            let answer = client.send(Request::get(ready));
            answer.is_ok_and(|answer| answer.status == 200)
        };
        Self::start_until(name, is_ready, command)
    }

    /// The same for one that says in another way that it is ready.
    pub fn start_until(
        name: &str,
        is_ready: impl Fn(&Client) -> bool,
        command: impl Fn(SocketAddr, &Path) -> Result<Command>,
    ) -> Result<Self> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match Self::start_once(name, &is_ready, &command) {
                Err(error) if is_taken(&error) => last = Some(error),
                outcome => return outcome,
            }
        }
        Err(last.context("no attempt was made")?)
    }

    fn start_once(
        name: &str,
        is_ready: impl Fn(&Client) -> bool,
        command: impl Fn(SocketAddr, &Path) -> Result<Command>,
    ) -> Result<Self> {
        let folder = RunFolder::create(&target_dir()?.join("legation-tests"))?;
        // Few servers tell which port they have chosen themselves.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = command(address, folder.path())?;
        let log = File::create(folder.path().join(LOG))?;
        command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let program = command.get_program().to_owned();
        let mut process =
            Process::start(command).with_context(|| format!("cannot run {}", program.display()))?;
        let client = Client::http1(address);
        wait_for(&format!("{name} to start"), DEADLINE, || {
            if let Some(status) = process.ended()? {
                bail!("{name} ended with {status}");
            }
            Ok(is_ready(&client).then_some(()))
        })
        .with_context(|| read(&folder))?;
        Ok(Self {
            name: name.to_owned(),
            _process: process,
            client,
            folder,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.client.address()
    }

    /// A client of it.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What it has written.
    pub fn log(&self) -> String {
        read(&self.folder)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("name", &self.name)
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

/// As Go, C and Node.js say it.
fn is_taken(error: &anyhow::Error) -> bool {
    let told = format!("{error:#}").to_lowercase();
    told.contains("address already in use") || told.contains("eaddrinuse")
}

fn read(folder: &RunFolder) -> String {
    fs::read_to_string(folder.path().join(LOG)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_at_once_is_told_with_what_it_said() {
        let error = Server::start("the server", "/", |_, _| {
            let mut command = Command::new("sh");
            command.args(["-c", "echo no such option; exit 3"]);
            Ok(command)
        })
        .unwrap_err();

        let told = format!("{error:#}");
        assert!(told.contains("no such option"), "{told}");
        assert!(told.contains("the server ended with"), "{told}");
    }

    #[test]
    fn another_address_is_tried_when_one_is_taken() {
        let seen = std::cell::RefCell::new(std::collections::BTreeSet::new());

        let error = Server::start("the server", "/", |address, _| {
            seen.borrow_mut().insert(address);
            let mut command = Command::new("sh");
            command.args(["-c", "echo bind: address already in use; exit 1"]);
            Ok(command)
        });

        assert!(error.is_err());
        assert!(seen.borrow().len() > 1);
    }
}
