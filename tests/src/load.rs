//! Requests at a steady rate, while a test does something else.

mod effects;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::message::{Request, Response};

pub use effects::{Effects, none_failed, version, version_of};

/// Requests sent when their time has come, whether or not those before them have been answered
/// (an open loop), over connections that are kept alive: in turn, so that each gets its share.
///
/// Dropping it ends it; [`Load::stop`] does, and tells all.
pub struct Load {
    answers: Arc<Mutex<Vec<Answer>>>,
    over: Arc<AtomicBool>,
    senders: Vec<JoinHandle<()>>,
}

/// What came of one request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The request's number, in the order of their times.
    pub number: usize,
    /// By which connection it went.
    pub connection: usize,
    /// When it went out.
    pub sent: Instant,
    /// When its answer had been read to the end, or had failed.
    pub came: Instant,
    /// The answer, of any status; else what became of the connection.
    pub outcome: Result<Response, String>,
}

impl Load {
    /// Begins: so many requests a second over so many connections. The request may differ by
    /// its number.
    pub fn start(
        address: SocketAddr,
        connections: usize,
        a_second: u32,
        request: impl Fn(usize) -> Request + Send + Sync + 'static,
    ) -> Self {
        let answers = Arc::new(Mutex::new(Vec::new()));
        let over = Arc::new(AtomicBool::new(false));
        let request = Arc::new(request);
        let start = Instant::now();
        let sender = |connection| {
            let (answers, over) = (Arc::clone(&answers), Arc::clone(&over));
            let request = Arc::clone(&request);
            std::thread::spawn(move || {
                let client = Client::http1(address);
                for number in (connection..).step_by(connections) {
                    let due = Duration::from_secs_f64(number as f64 / f64::from(a_second));
                    std::thread::sleep((start + due).saturating_duration_since(Instant::now()));
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    let sent = Instant::now();
                    let outcome = client.send(request(number));
                    let answer = Answer {
                        number,
                        connection,
                        sent,
                        came: Instant::now(),
                        outcome: outcome.map_err(|error| format!("{error:#}")),
                    };
                    lock(&answers).push(answer);
                }
            })
        };
        let senders = (0..connections).map(sender).collect();
        Self {
            answers,
            over,
            senders,
        }
    }

    /// Looks at the answers so far, in the order in which they came.
    pub fn look<T>(&self, look: impl FnOnce(&[Answer]) -> T) -> T {
        look(&lock(&self.answers))
    }

    /// Ends it: every answer.
    pub fn stop(mut self) -> Vec<Answer> {
        self.over.store(true, Ordering::Relaxed);
        for sender in std::mem::take(&mut self.senders) {
            if let Err(panic) = sender.join() {
                std::panic::resume_unwind(panic);
            }
        }
        std::mem::take(&mut *lock(&self.answers))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn lock(answers: &Mutex<Vec<Answer>>) -> std::sync::MutexGuard<'_, Vec<Answer>> {
    answers.lock().unwrap_or_else(PoisonError::into_inner)
}
