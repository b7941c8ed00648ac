//! A server that records what arrives and answers by a script.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::body::{self, Body, Outgoing, Step};
use crate::client::{MAX_HEADER_BYTES, MAX_HEADERS, declare_trailers};
use crate::headers::Headers;
use crate::message::Received;
use crate::runtime::{block_on, runtime};
use crate::wait::DEADLINE;

/// An HTTP server on a free loopback port: HTTP/1.1 and HTTP/2 without TLS.
///
/// Every request is recorded as soon as its body has ended, and then answered. It answers 200 with an
/// empty body, unless told otherwise by [`Upstream::answer`] or
/// [`Upstream::enqueue`]. Dropping it closes the port and every connection.
pub struct Upstream {
    address: SocketAddr,
    state: Arc<State>,
    server: JoinHandle<()>,
}

type Handler = Arc<dyn Fn(&Received) -> Reply + Send + Sync>;

#[derive(Default)]
struct State {
    seen: Mutex<Vec<Received>>,
    arrived: Condvar,
    queue: Mutex<VecDeque<Reply>>,
    handler: Mutex<Option<Handler>>,
}

impl Upstream {
    /// Starts a server.
    pub fn start() -> Result<Self> {
        Self::start_on("127.0.0.1:0".parse()?)
    }

    /// Starts a server that answers by this function; see [`Upstream::answer`].
    pub fn answering(handler: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Result<Self> {
        let upstream = Self::start()?;
        upstream.answer(handler);
        Ok(upstream)
    }

    /// Starts a server whose answers show the request that arrived.
    pub fn echo() -> Result<Self> {
        Self::answering(|received| {
            Reply::ok()
                .header("content-type", "text/plain; charset=utf-8")
                .body(received.to_string())
        })
    }

    /// Starts a server on an address of one's choice; port 0 is any free port.
    pub fn start_on(address: SocketAddr) -> Result<Self> {
        let state = Arc::new(State::default());
        let listener = block_on(
            DEADLINE,
            async move { Ok(TcpListener::bind(address).await?) },
        )
        .with_context(|| format!("cannot listen on {address}"))?;
        let address = listener.local_addr()?;
        let server = runtime().spawn(serve(listener, Arc::clone(&state)));
        Ok(Self {
            address,
            state,
            server,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers every request from now on by this function (the queue goes first).
    /// It may take its time: it runs on a thread of its own.
    pub fn answer(&self, handler: impl Fn(&Received) -> Reply + Send + Sync + 'static) {
        *lock(&self.state.handler) = Some(Arc::new(handler));
    }

    /// The next request that finds the queue so far used up is answered by this.
    pub fn enqueue(&self, reply: Reply) {
        lock(&self.state.queue).push_back(reply);
    }

    /// Everything that arrived, in order.
    pub fn requests(&self) -> Vec<Received> {
        lock(&self.state.seen).clone()
    }

    /// How many requests arrived.
    pub fn count(&self) -> usize {
        lock(&self.state.seen).len()
    }

    /// What arrived last.
    pub fn last(&self) -> Option<Received> {
        lock(&self.state.seen).last().cloned()
    }

    /// What arrived with the mark that [`crate::Request::id`] gives.
    pub fn with_id(&self, id: &str) -> Option<Received> {
        let seen = lock(&self.state.seen);
        let found = seen.iter().rfind(|one| one.id().as_deref() == Some(id));
        found.cloned()
    }

    /// Waits for a request that fits, one that has arrived already counts too.
    pub fn wait_for(
        &self,
        what: &str,
        deadline: Duration,
        fits: impl Fn(&Received) -> bool,
    ) -> Result<Received> {
        let seen = lock(&self.state.seen);
        let (seen, waited) = self
            .state
            .arrived
            .wait_timeout_while(seen, deadline, |seen| !seen.iter().any(&fits))
            .unwrap_or_else(PoisonError::into_inner);
        match seen.iter().find(|one| fits(one)) {
            Some(found) => Ok(found.clone()),
            None if waited.timed_out() => bail!(
                "waited {deadline:?} for {what}, in vain; {} other requests arrived",
                seen.len()
            ),
            None => unreachable!("the wait ends by a find or by its time"),
        }
    }

    /// Waits until so many requests have arrived, and gives them all.
    pub fn wait_for_count(&self, count: usize, deadline: Duration) -> Result<Vec<Received>> {
        let seen = lock(&self.state.seen);
        let (seen, _) = self
            .state
            .arrived
            .wait_timeout_while(seen, deadline, |seen| seen.len() < count)
            .unwrap_or_else(PoisonError::into_inner);
        if seen.len() < count {
            bail!(
                "waited {deadline:?} for {count} requests, {} arrived",
                seen.len()
            );
        }
        Ok(seen.clone())
    }

    /// Forgets what arrived so far.
    pub fn forget(&self) {
        lock(&self.state.seen).clear();
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Upstream({}, {} seen)", self.address, self.count())
    }
}

/// An answer of an [`Upstream`].
#[derive(Clone, Debug)]
pub struct Reply {
    kind: Kind,
    delay: Duration,
    headers: Headers,
    body: Body,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Status(u16),
    Reset,
    Hang,
}

impl Reply {
    /// 200, with an empty body until one is given.
    pub fn ok() -> Self {
        Self::status(200)
    }

    /// An answer of any status.
    pub fn status(status: u16) -> Self {
        Self::of(Kind::Status(status))
    }

    /// 200 with a JSON body.
    pub fn json(value: &serde_json::Value) -> Self {
        Self::ok()
            .header("content-type", "application/json")
            .body(value.to_string())
    }

    /// 200, and the request that arrived as JSON: what `cargo xtask run` has for an upstream.
    pub fn showing(received: &Received) -> Self {
        Self::ok()
            .header("content-type", "application/json")
            .body(format!("{:#}\n", received.to_json()))
    }

    /// The answer of a gRPC method: one message, and the status 0.
    pub fn grpc(message: &[u8]) -> Self {
        Self::grpc_status(0, "").body(grpc_frame(message))
    }

    /// The answer of a gRPC method without a message. What stands in `message` is sent as it is,
    /// where gRPC has it percent-encoded.
    pub fn grpc_status(status: u32, message: &str) -> Self {
        let reply = Self::ok()
            .header("content-type", "application/grpc")
            .trailer("grpc-status", status.to_string());
        if message.is_empty() {
            reply
        } else {
            reply.trailer("grpc-message", message)
        }
    }

    /// No answer: the connection is closed (in HTTP/2 the stream is reset).
    pub fn reset() -> Self {
        Self::of(Kind::Reset)
    }

    /// What no gRPC call can take for an answer, whatever its messages are; each with what it is.
    pub fn useless_grpc() -> Vec<(&'static str, Self)> {
        let grpc = || Self::ok().header("content-type", "application/grpc");
        vec![
            ("it is unavailable", Self::grpc_status(14, "")),
            ("it refuses to be asked", Self::grpc_status(7, "not you")),
            (
                "a status as only header",
                grpc().header("grpc-status", "12"),
            ),
            ("no message", Self::grpc_status(0, "")),
            ("no status", grpc()),
            ("a message that is none", Self::grpc(b"\xff\xff")),
            (
                "a frame that is none",
                grpc().body("garbage").trailer("grpc-status", "0"),
            ),
            (
                "a web page",
                Self::ok()
                    .header("content-type", "text/html")
                    .body("<html>"),
            ),
            ("HTTP 503", Self::status(503)),
            (
                "it breaks off",
                grpc()
                    .body(b"\0\0\0\0\x20\x0a")
                    .pause(Duration::from_millis(5))
                    .cut(),
            ),
            ("it closes the stream", Self::reset()),
        ]
    }

    /// No answer, ever; the connection stays open.
    pub fn hang() -> Self {
        Self::of(Kind::Hang)
    }

    fn of(kind: Kind) -> Self {
        Self {
            kind,
            delay: Duration::ZERO,
            headers: Headers::new(),
            body: Body::default(),
        }
    }

    /// Adds a header field; one of the same name stays.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push(name, value);
        self
    }

    /// Adds header fields.
    #[must_use]
    pub fn headers<N: AsRef<str>, V: AsRef<[u8]>>(
        mut self,
        fields: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        for (name, value) in fields {
            self.headers.push(name.as_ref(), value);
        }
        self
    }

    /// Sends the data in one piece; a second piece makes the body chunked.
    #[must_use]
    pub fn body(mut self, data: impl AsRef<[u8]>) -> Self {
        self.body.push(data);
        self
    }

    /// Waits before what follows: the next piece of the body, or its end.
    #[must_use]
    pub fn pause(mut self, time: Duration) -> Self {
        self.body.steps.push(Step::Wait(time));
        self
    }

    /// Breaks off here, before the body's end.
    #[must_use]
    pub fn cut(mut self) -> Self {
        self.body.steps.push(Step::Cut);
        self
    }

    /// Adds a trailer field.
    #[must_use]
    pub fn trailer(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.body.trailers.push(name, value);
        self
    }

    /// Waits before the answer begins.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    fn into_response(self, status: u16) -> Result<http::Response<Outgoing>> {
        let mut headers = self.headers.to_map()?;
        declare_trailers(&mut headers, &self.body.trailers)?;
        let mut response = http::Response::builder()
            .status(status)
            .body(self.body.into_outgoing()?)?;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

/// A message as gRPC sends it: behind a byte that says it is not compressed, and its length.
fn grpc_frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a test's message has less than 4 GiB");
    [&[0], length.to_be_bytes().as_slice(), message].concat()
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    // Dropped with this task, and their connections with them.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        connections.spawn(serve_connection(stream, Arc::clone(&state)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve_connection(stream: TcpStream, state: Arc<State>) {
    stream.set_nodelay(true).ok();
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEADER_BYTES);
    builder
        .http2()
        .max_header_list_size(u32::try_from(MAX_HEADER_BYTES).unwrap_or(u32::MAX));
    let service = service_fn(|request| respond(request, Arc::clone(&state)));
    // An error here is the other side's leaving or the script's own reset.
    builder
        .serve_connection(TokioIo::new(stream), service)
        .await
        .ok();
}

async fn respond(
    request: http::Request<Incoming>,
    state: Arc<State>,
) -> Result<http::Response<Outgoing>> {
    let received = receive(request).await;
    lock(&state.seen).push(received.clone());
    state.arrived.notify_all();
    let queued = lock(&state.queue).pop_front();
    let handler = lock(&state.handler).clone();
    let reply = match (queued, handler) {
        (Some(reply), _) => reply,
        (None, None) => Reply::ok(),
        (None, Some(handler)) => {
            let answer = tokio::task::spawn_blocking(move || handler(&received));
            answer.await.unwrap_or_else(|_| {
                Reply::status(500).body("the upstream's script panicked; see the test's output")
            })
        }
    };
    tokio::time::sleep(reply.delay).await;
    match reply.kind {
        Kind::Status(status) => reply.into_response(status),
        Kind::Reset => Err(anyhow!("reset, as the script says")),
        Kind::Hang => std::future::pending().await,
    }
}

async fn receive(request: http::Request<Incoming>) -> Received {
    let (head, incoming) = request.into_parts();
    let headers = Headers::from(&head.headers);
    let authority = match head.uri.authority() {
        Some(authority) => authority.to_string(),
        None => headers.text("host").unwrap_or_default(),
    };
    let path = head.uri.path_and_query();
    let path = path.map_or_else(|| head.uri.to_string(), ToString::to_string);
    let read = body::read(incoming).await;
    Received {
        method: head.method.to_string(),
        path,
        authority,
        version: format!("{:?}", head.version),
        headers,
        body: read.data,
        trailers: read.trailers,
        complete: read.broken.is_none(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A test that panicked with the lock held must not fail the others.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
