//! The Language Server Protocol: JSON-RPC messages, each behind its length.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::wait::DEADLINE;

/// A conversation with a server, one question at a time.
pub(super) struct Connection {
    to: ChildStdin,
    from: Receiver<Value>,
    log: Arc<Mutex<String>>,
    /// What it asks for by `workspace/configuration`, by sections.
    settings: Value,
    configured: bool,
    calls: u64,
    /// What it has said of documents, by their addresses, and nobody has looked at.
    diagnostics: BTreeMap<String, VecDeque<Vec<Value>>>,
}

impl Connection {
    pub(super) fn new(
        (to, out, errors): (ChildStdin, ChildStdout, ChildStderr),
        settings: Value,
    ) -> Self {
        let (send, from) = channel();
        thread::spawn(move || {
            let mut out = BufReader::new(out);
            // An end, in whatever way, ends the channel.
            while let Ok(message) = read(&mut out) {
                if send.send(message).is_err() {
                    return;
                }
            }
        });
        let log = Arc::new(Mutex::new(String::new()));
        let lines = Arc::clone(&log);
        thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                let mut log = lines.lock().unwrap_or_else(PoisonError::into_inner);
                *log += &line;
                log.push('\n');
            }
        });
        Self {
            to,
            from,
            log,
            settings,
            configured: false,
            calls: 0,
            diagnostics: BTreeMap::new(),
        }
    }

    /// Asks, and waits for the answer.
    pub(super) fn call(&mut self, method: &str, params: &Value) -> Result<Value> {
        self.calls += 1;
        let id = self.calls;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?;
        let start = Instant::now();
        loop {
            let mut message = self.next(start, method)?;
            if message["method"].is_null() && message["id"] == id {
                if !message["error"].is_null() {
                    bail!("{method}: {}", message["error"]);
                }
                return Ok(message["result"].take());
            }
        }
    }

    /// Says something that has no answer.
    pub(super) fn tell(&mut self, method: &str, params: &Value) -> Result<()> {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}))
    }

    /// Waits until it has asked for its settings: before it would work by others.
    pub(super) fn wait_until_configured(&mut self) -> Result<()> {
        let start = Instant::now();
        while !self.configured {
            self.next(start, "its settings")?;
        }
        Ok(())
    }

    /// What it says next of a document.
    pub(super) fn wait_for_diagnostics(&mut self, uri: &str) -> Result<Vec<Value>> {
        let start = Instant::now();
        loop {
            let waiting = self.diagnostics.get_mut(uri);
            if let Some(said) = waiting.and_then(VecDeque::pop_front) {
                return Ok(said);
            }
            self.next(start, "what is wrong with a file")?;
        }
    }

    /// The next message. Questions of the server are answered, and what it says of documents kept.
    fn next(&mut self, start: Instant, what: &str) -> Result<Value> {
        let left = DEADLINE.saturating_sub(start.elapsed());
        let message = match self.from.recv_timeout(left) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => {
                bail!("waited {DEADLINE:?} for {what}, in vain\n{}", self.log())
            }
            Err(RecvTimeoutError::Disconnected) => {
                bail!("the language server ended\n{}", self.log())
            }
        };
        let params = &message["params"];
        match message["method"].as_str() {
            Some("textDocument/publishDiagnostics") => {
                let uri = params["uri"].as_str().context("of which document?")?;
                let said = params["diagnostics"].as_array().cloned();
                let of_document = self.diagnostics.entry(uri.to_owned()).or_default();
                of_document.push_back(said.unwrap_or_default());
            }
            Some(method) if !message["id"].is_null() => {
                let mut answer = Value::Null;
                if method == "workspace/configuration" {
                    let sections = params["items"].as_array().into_iter().flatten();
                    let setting = |item: &Value| self.settings[words(&item["section"])].clone();
                    answer = sections.map(setting).collect();
                    self.configured = true;
                }
                self.send(&json!({"jsonrpc": "2.0", "id": message["id"], "result": answer}))?;
            }
            _ => {}
        }
        Ok(message)
    }

    fn send(&mut self, message: &Value) -> Result<()> {
        let text = message.to_string();
        write!(self.to, "Content-Length: {}\r\n\r\n{text}", text.len())
            .and_then(|()| self.to.flush())
            .with_context(|| format!("the language server ended\n{}", self.log()))
    }

    fn log(&self) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.clone()
    }
}

fn words(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn read(from: &mut impl BufRead) -> Result<Value> {
    let mut length = None;
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            bail!("the end");
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = Some(value.parse()?);
        }
    }
    let mut text = vec![0; length.context("no Content-Length")?];
    from.read_exact(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}
