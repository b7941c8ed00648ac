//! A service of the stack as a process of this machine.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use legation_tests::{Client, Request, Server};
use serde_json::Value;

use crate::{folder, services, words};

/// The port that something has in the stack, and where it is here.
pub type Moved = (u16, SocketAddr);

/// Starts a service by its own command, variables and files, and waits until its own healthcheck is content. What
/// differs from the stack: the ports, where files are, and the program, which `program` gives in the place of the
/// command's first words.
pub fn start(
    name: &str,
    port: u16,
    others: &[Moved],
    program: impl Fn(SocketAddr) -> Result<(Command, usize)>,
) -> Result<Server> {
    let service = services()?[name].clone();
    let test = words(&service["healthcheck"]["test"]);
    let is_ready = |client: &Client| {
        let moved = [others, &[(port, client.address())]].concat();
        is_healthy(&test, &moved)
    };
    Server::start_until(name, is_ready, |address, folder| {
        let moved = [others, &[(port, address)]].concat();
        let here = Here::new(&service, &moved, folder)?;
        let (mut command, replaced) = program(address)?;
        for word in words(&service["command"]).iter().skip(replaced) {
            command.arg(here.adapt(word));
        }
        for (name, value) in environment(&service)? {
            command.env(name, here.adapt(&value));
        }
        Ok(command)
    })
}

/// Runs a service's healthcheck here: an address that it looks at is looked at, another program is run.
pub fn is_healthy(test: &[String], moved: &[Moved]) -> bool {
    let adapt = |word: &String| ports_of_here(word, moved);
    let url = test.last().map(adapt);
    let url = url.as_deref().and_then(|url| url.strip_prefix("http://"));
    if let Some((address, path)) = url.and_then(|url| url.split_once('/')) {
        let Ok(address) = address.parse() else {
            return false;
        };
        let answer = Client::http1(address).send(Request::get(&format!("/{path}")));
        return answer.is_ok_and(|answer| answer.status == 200);
    }
    // Behind `CMD`.
    let mut words = test.iter().skip(1).map(adapt);
    let Some(program) = words.next() else {
        return false;
    };
    let mut command = Command::new(program);
    command
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The secrets of the example, by their names.
pub fn secrets() -> Result<BTreeMap<String, String>> {
    let example = fs::read_to_string(folder().join(".env.example"))?;
    let lines = example.lines().filter(|line| !line.starts_with('#'));
    let secrets = lines.filter_map(|line| line.split_once('='));
    Ok(secrets
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}

/// The variables of a service; `${NAME:?…}` is one of the example's.
fn environment(service: &Value) -> Result<Vec<(String, String)>> {
    let secrets = secrets()?;
    let variables = service["environment"].as_object().into_iter().flatten();
    let variables = variables.map(|(name, value)| {
        let value = value.as_str().context("a text")?;
        let secret = value
            .strip_prefix("${")
            .and_then(|rest| rest.split(':').next());
        let value = match secret {
            Some(secret) => secrets
                .get(secret)
                .with_context(|| format!("no example of {secret}"))?,
            None => value,
        };
        Ok((name.clone(), value.to_owned()))
    });
    variables.collect()
}

/// Where things are.
struct Here<'a> {
    moved: &'a [Moved],
    /// By their places in the container.
    files: Vec<(String, String)>,
}

impl<'a> Here<'a> {
    /// Puts what is mounted into the folder: files with the ports of here in them, for volumes a folder.
    fn new(service: &Value, moved: &'a [Moved], into: &Path) -> Result<Self> {
        let mut here = Self {
            moved,
            files: Vec::new(),
        };
        let mut texts = Vec::new();
        for mount in service["volumes"].as_array().into_iter().flatten() {
            let mount = mount.as_str().context("a mount")?;
            let mut parts = mount.split(':');
            let (Some(source), Some(place)) = (parts.next(), parts.next()) else {
                anyhow::bail!("{mount} is no mount");
            };
            let at = into.join(place.trim_start_matches('/').replace('/', "-"));
            let source = folder().join(source);
            if source.is_file() {
                texts.push((at.clone(), fs::read_to_string(source)?));
            }
            here.files
                .push((place.to_owned(), at.display().to_string()));
        }
        for (at, text) in texts {
            fs::write(at, here.adapt(&text))?;
        }
        Ok(here)
    }

    fn adapt(&self, text: &str) -> String {
        let text = ports_of_here(text, self.moved);
        let files = self.files.iter();
        files.fold(text, |text, (place, at)| replace_path(&text, place, at))
    }
}

/// Replaces a path where it is not a part of another.
fn replace_path(text: &str, path: &str, by: &str) -> String {
    let is_part = |char: char| char.is_alphanumeric() || "/._-".contains(char);
    let mut parts = text.split(path).peekable();
    let mut replaced = String::new();
    while let Some(part) = parts.next() {
        replaced += part;
        let Some(next) = parts.peek() else { break };
        let is_whole = !part.ends_with(is_part) && !next.starts_with(is_part);
        replaced += if is_whole { by } else { path };
    }
    replaced
}

fn ports_of_here(text: &str, moved: &[Moved]) -> String {
    moved.iter().fold(text.to_owned(), |text, (port, at)| {
        text.replace(&port.to_string(), &at.port().to_string())
    })
}
