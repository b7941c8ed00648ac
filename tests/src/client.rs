//! The downstream: sends requests and reads the answers.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use http::uri::{Parts, PathAndQuery};
use http::{HeaderValue, Uri, header};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::body::{self, Outgoing};
use crate::headers::Headers;
use crate::message::{Request, Response};
use crate::runtime::block_on;
use crate::wait::DEADLINE;

/// What a peer may send here: more than any test of a limit in Envoy needs.
pub(crate) const MAX_HEADERS: usize = 20_000;
pub(crate) const MAX_HEADER_BYTES: usize = 16 << 20;

/// A blocking HTTP client for one address.
///
/// Connections are kept alive and used again. Clones share them.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    deadline: Duration,
}

struct Shared {
    address: SocketAddr,
    protocol: Protocol,
    idle: Mutex<Vec<Connection>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

enum Connection {
    Http1(http1::SendRequest<Outgoing>),
    Http2(http2::SendRequest<Outgoing>),
}

impl Client {
    /// A client that speaks HTTP/1.1.
    pub fn http1(address: SocketAddr) -> Self {
        Self::new(address, Protocol::Http1)
    }

    /// A client that speaks HTTP/2 from the first byte, without TLS, as gRPC does.
    pub fn http2(address: SocketAddr) -> Self {
        Self::new(address, Protocol::Http2)
    }

    fn new(address: SocketAddr, protocol: Protocol) -> Self {
        let idle = Mutex::default();
        Self {
            shared: Arc::new(Shared {
                address,
                protocol,
                idle,
            }),
            deadline: DEADLINE,
        }
    }

    /// The same client with another deadline for one request and its answer.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Where the requests go.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Sends the request and reads the answer to its end.
    ///
    /// An answer of any status is an answer; a connection that ends before the
    /// answer's end is an error.
    pub fn send(&self, request: Request) -> Result<Response> {
        let what = format!(
            "{} {} to {}",
            request.method, request.path, self.shared.address
        );
        let shared = Arc::clone(&self.shared);
        block_on(self.deadline, async move { shared.send(request).await }).context(what)
    }

    /// Sends all requests at the same time; the answers come in the requests' order.
    pub fn send_all(&self, requests: Vec<Request>) -> Vec<Result<Response>> {
        std::thread::scope(|scope| {
            let sent: Vec<_> = requests
                .into_iter()
                .map(|request| scope.spawn(|| self.send(request)))
                .collect();
            sent.into_iter()
                .map(|thread| {
                    let sent = thread.join();
                    sent.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .collect()
        })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "Client({:?}, {})",
            self.shared.protocol, self.shared.address
        )
    }
}

impl Shared {
    async fn send(&self, request: Request) -> Result<Response> {
        let request = build(request, self.protocol)?;
        let (connection, response) = self.exchange(request).await?;
        let (head, incoming) = response.into_parts();
        let read = body::read(incoming).await;
        let response = Response {
            status: head.status.as_u16(),
            headers: Headers::from(&head.headers),
            body: read.data,
            trailers: read.trailers,
        };
        if let Some(error) = read.broken {
            return Err(error).with_context(|| format!("the answer broke off:\n{response}"));
        }
        self.keep(connection);
        Ok(response)
    }

    async fn exchange(
        &self,
        mut request: http::Request<Outgoing>,
    ) -> Result<(Connection, http::Response<Incoming>)> {
        // One that was kept may be closing: then the request has not gone out on it.
        while let Some(mut connection) = self.take_idle() {
            match connection.send(request).await {
                Ok(response) => return Ok((connection, response)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => {
                        request = unsent;
                        self.idle().clear();
                    }
                    None => return Err(error.into_error()).context("no answer came"),
                },
            }
        }
        let mut connection = self.connect().await?;
        let response = connection.send(request).await;
        let response = response.map_err(TrySendError::into_error);
        Ok((connection, response.context("no answer came")?))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle();
        idle.retain(Connection::is_open);
        match self.protocol {
            Protocol::Http1 => idle.pop(),
            // One connection carries any number of streams.
            Protocol::Http2 => idle.first().map(|connection| match connection {
                Connection::Http2(sender) => Connection::Http2(sender.clone()),
                Connection::Http1(_) => unreachable!("a client speaks one protocol"),
            }),
        }
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle();
        if self.protocol == Protocol::Http1 || idle.is_empty() {
            idle.push(connection);
        }
    }

    async fn connect(&self) -> Result<Connection> {
        let stream = TcpStream::connect(self.address)
            .await
            .context("cannot connect")?;
        stream.set_nodelay(true)?;
        let io = TokioIo::new(stream);
        match self.protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::Builder::new()
                    .max_headers(MAX_HEADERS)
                    .max_buf_size(MAX_HEADER_BYTES)
                    .handshake(io)
                    .await?;
                tokio::spawn(connection);
                Ok(Connection::Http1(sender))
            }
            Protocol::Http2 => {
                let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                    .max_header_list_size(u32::try_from(MAX_HEADER_BYTES)?)
                    .handshake(io)
                    .await?;
                tokio::spawn(connection);
                Ok(Connection::Http2(sender))
            }
        }
    }
}

impl Connection {
    async fn send(
        &mut self,
        request: http::Request<Outgoing>,
    ) -> Result<http::Response<Incoming>, TrySendError<http::Request<Outgoing>>> {
        match self {
            Self::Http1(sender) => {
                // What comes of a connection that is not ready, sending tells.
                sender.ready().await.ok();
                sender.try_send_request(request).await
            }
            Self::Http2(sender) => sender.try_send_request(request).await,
        }
    }

    fn is_open(&self) -> bool {
        match self {
            Self::Http1(sender) => !sender.is_closed(),
            Self::Http2(sender) => !sender.is_closed(),
        }
    }
}

fn build(request: Request, protocol: Protocol) -> Result<http::Request<Outgoing>> {
    let path: PathAndQuery = request.path.parse().with_context(|| {
        format!(
            "the path {:?} cannot be sent; RawConnection can send anything",
            request.path
        )
    })?;
    let mut headers = request.headers.to_map()?;
    let trailers = &request.body.trailers;
    let mut uri = Parts::default();
    uri.path_and_query = Some(path);
    if protocol == Protocol::Http2 {
        uri.scheme = Some(http::uri::Scheme::HTTP);
        let authority = request.authority.parse();
        uri.authority = Some(authority.with_context(|| format!("host {:?}", request.authority))?);
    } else {
        if !headers.contains_key(header::HOST) {
            headers.insert(header::HOST, HeaderValue::from_str(&request.authority)?);
        }
        declare_trailers(&mut headers, trailers)?;
    }
    let mut built = http::Request::builder()
        .method(request.method.as_str())
        .uri(Uri::from_parts(uri)?)
        .body(request.body.into_outgoing()?)?;
    *built.headers_mut() = headers;
    Ok(built)
}

/// HTTP/1.1 sends only the trailers that the header `trailer` announces.
pub(crate) fn declare_trailers(headers: &mut http::HeaderMap, trailers: &Headers) -> Result<()> {
    if !trailers.is_empty() && !headers.contains_key(header::TRAILER) {
        let names: Vec<_> = trailers.iter().map(|(name, _)| name).collect();
        headers.insert(header::TRAILER, HeaderValue::from_str(&names.join(", "))?);
    }
    Ok(())
}
