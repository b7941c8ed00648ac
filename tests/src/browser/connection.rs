//! The DevTools protocol over a pair of pipes: JSON, each message ended by a zero byte.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

use super::seen::Seen;
use crate::log::tail;

const SHOWN_LOG_LINES: usize = 20;

/// A connection that pages share.
pub(super) struct Connection {
    input: Mutex<ChildStdin>,
    state: Mutex<State>,
    changed: Condvar,
    log: Mutex<Vec<u8>>,
}

#[derive(Default)]
struct State {
    last_id: u64,
    /// Of the commands that somebody waits for.
    answers: HashMap<u64, Option<Result<Value, String>>>,
    /// By session.
    pages: HashMap<String, Seen>,
    /// It says nothing any more.
    closed: bool,
    ended: bool,
}

impl Connection {
    pub(super) fn new((input, output, log): (ChildStdin, ChildStdout, ChildStderr)) -> Arc<Self> {
        let connection = Arc::new(Self {
            input: Mutex::new(input),
            state: Mutex::default(),
            changed: Condvar::new(),
            log: Mutex::default(),
        });
        let reader = Arc::clone(&connection);
        thread::spawn(move || reader.read(output));
        let logger = Arc::clone(&connection);
        thread::spawn(move || logger.keep_log(log));
        connection
    }

    /// Waits until neither the browser nor a child of it runs any more.
    pub(super) fn wait_for_end(&self, deadline: Duration) {
        let state = lock(&self.state);
        let waited = self
            .changed
            .wait_timeout_while(state, deadline, |state| !state.ended);
        drop(waited);
    }

    /// Sends a command and waits for its answer.
    pub(super) fn call(
        &self,
        session: Option<&str>,
        method: &str,
        parameters: &Value,
        deadline: Duration,
    ) -> Result<Value> {
        let id = self.send(session, method, parameters, true)?;
        let what = format!("the browser's answer to {method}");
        let answer = self.wait(&what, deadline, |state| {
            if state.answers.get(&id)?.is_none() {
                let gone = state.pages.get(session?)?.gone.as_ref()?;
                return Some(Err(gone.clone()));
            }
            state.answers.remove(&id)?
        });
        if answer.is_err() {
            lock(&self.state).answers.remove(&id);
        }
        answer?.map_err(|error| anyhow!(error))
    }

    /// Sends a command, whatever its answer.
    pub(super) fn tell(
        &self,
        session: Option<&str>,
        method: &str,
        parameters: &Value,
    ) -> Result<()> {
        self.send(session, method, parameters, false)?;
        Ok(())
    }

    /// Keeps from now on what the page of this session says.
    pub(super) fn watch(&self, session: &str) {
        let mut state = lock(&self.state);
        state.pages.insert(session.to_owned(), Seen::default());
    }

    pub(super) fn forget(&self, session: &str) {
        lock(&self.state).pages.remove(session);
    }

    /// What a page has said so far.
    pub(super) fn seen<T>(&self, session: &str, look: impl FnOnce(&Seen) -> T) -> Result<T> {
        let state = lock(&self.state);
        let seen = state.pages.get(session).context("the page is closed")?;
        Ok(look(seen))
    }

    /// Waits until what a page has said has something in it.
    pub(super) fn wait_for<T>(
        &self,
        session: &str,
        what: &str,
        deadline: Duration,
        mut look: impl FnMut(&Seen) -> Option<T>,
    ) -> Result<T> {
        self.wait(what, deadline, |state| {
            let Some(seen) = state.pages.get(session) else {
                return Some(Err(anyhow!("the page is closed")));
            };
            let gone = || seen.gone.as_ref().map(|why| Err(anyhow!(why.clone())));
            look(seen).map(Ok).or_else(gone)
        })?
    }

    /// An error where there is nobody any more to wait for.
    pub(super) fn check(&self, session: &str) -> Result<()> {
        if lock(&self.state).closed {
            bail!(self.ended());
        }
        match self.seen(session, |seen| seen.gone.clone())? {
            Some(why) => bail!(why),
            None => Ok(()),
        }
    }

    fn wait<T>(
        &self,
        what: &str,
        deadline: Duration,
        mut look: impl FnMut(&mut State) -> Option<T>,
    ) -> Result<T> {
        let start = Instant::now();
        let mut state = lock(&self.state);
        loop {
            if let Some(found) = look(&mut state) {
                return Ok(found);
            }
            if state.closed {
                bail!(self.ended());
            }
            let Some(left) = deadline.checked_sub(start.elapsed()) else {
                bail!("waited {deadline:?} for {what}, in vain");
            };
            let woken = self.changed.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn send(
        &self,
        session: Option<&str>,
        method: &str,
        parameters: &Value,
        answered: bool,
    ) -> Result<u64> {
        let mut state = lock(&self.state);
        state.last_id += 1;
        let id = state.last_id;
        if answered {
            state.answers.insert(id, None);
        }
        drop(state);
        let mut message = json!({"id": id, "method": method, "params": parameters});
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        let sent = lock(&self.input).write_all(&bytes);
        sent.map_err(|_| anyhow!(self.ended()))?;
        Ok(id)
    }

    fn read(&self, output: ChildStdout) {
        let mut output = BufReader::new(output);
        let mut message = Vec::new();
        while output.read_until(0, &mut message).is_ok_and(|n| n > 0) {
            message.pop();
            if let Ok(message) = serde_json::from_slice(&message) {
                self.receive(message);
            }
            message.clear();
        }
        lock(&self.state).closed = true;
        self.changed.notify_all();
    }

    fn receive(&self, mut message: Value) {
        let session = message["sessionId"].as_str().map(str::to_owned);
        let mut state = lock(&self.state);
        if let Some(id) = message["id"].as_u64() {
            if let Some(waiting) = state.answers.get_mut(&id) {
                let error = message["error"]["message"].as_str();
                *waiting = Some(match error {
                    Some(error) => Err(error.to_owned()),
                    None => Ok(message["result"].take()),
                });
            }
        } else if let Some(session) = &session
            && let Some(seen) = state.pages.get_mut(session)
        {
            let method = message["method"].as_str().unwrap_or_default();
            seen.event(method, &message["params"]);
        }
        drop(state);
        self.changed.notify_all();
        // The page stands still until somebody has answered.
        if message["method"] == "Page.javascriptDialogOpening" {
            let accept = json!({"accept": true});
            let session = session.as_deref();
            self.tell(session, "Page.handleJavaScriptDialog", &accept)
                .ok();
        }
    }

    fn keep_log(&self, mut log: ChildStderr) {
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = log.read(&mut piece) {
            lock(&self.log).extend(&piece[..length]);
        }
        // Its children write to the same pipe, which ends with the last of them.
        lock(&self.state).ended = true;
        self.changed.notify_all();
    }

    fn ended(&self) -> String {
        let log = String::from_utf8_lossy(&lock(&self.log)).into_owned();
        format!(
            "the browser has ended; the end of its log:\n{}",
            tail(&log, SHOWN_LOG_LINES)
        )
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A test that panicked with the lock held must not fail the others.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
