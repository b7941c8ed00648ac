//! The load: a few connections that each send the next request as soon as the last
//! is answered, and an upstream, in one thread that never sleeps. It allocates
//! nothing while it runs, but for gRPC and the first time that a page is asked for.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::message::Chunks;
use super::page::Asked;
use super::{http2, message};

/// Enough that the worker always has a request waiting, and few enough that it
/// takes one after the other.
pub(super) const CONNECTIONS: usize = 8;
/// Answers come within microseconds: after this, none will.
const PATIENCE: Duration = Duration::from_secs(10);
/// Room for a whole head, in one read.
const BUFFER: usize = 16 * 1024;

/// Connections to one listener.
pub(super) struct Load {
    connections: Vec<Connection>,
    /// Which request of the exchange's is next.
    next: usize,
}

/// What a load sends, and what must come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exchange {
    /// One after another, and then from the first again.
    pub(super) requests: Arc<[Vec<u8>]>,
    pub(super) status: u16,
    /// How many are under way at a time, [`CONNECTIONS`] at most.
    pub(super) at_once: usize,
}

impl Load {
    pub(super) fn connect(address: SocketAddr) -> Result<Self> {
        let connections = (0..CONNECTIONS)
            .map(|_| Connection::open(address))
            .collect::<Result<_>>()?;
        Ok(Self {
            connections,
            next: 0,
        })
    }

    /// Sends requests for a time, and tells how many were answered. No request is
    /// under way when it returns.
    pub(super) fn run(
        &mut self,
        exchange: &Exchange,
        time: Duration,
        upstream: &mut Upstream,
    ) -> Result<u32> {
        let began = Instant::now();
        let Self { connections, next } = self;
        let mut start = |connection: &mut Connection| {
            *next = (*next + 1) % exchange.requests.len().max(1);
            connection.begin(exchange, *next)
        };
        let used = connections.len().min(exchange.at_once);
        let connections = &mut connections[..used];
        for connection in &mut *connections {
            start(connection)?;
        }
        let mut open = connections.len();
        let mut answered = 0;
        while open > 0 {
            let elapsed = began.elapsed();
            ensure!(
                elapsed < time + PATIENCE,
                "{open} requests are not answered after {PATIENCE:?}"
            );
            for connection in &mut *connections {
                if !connection.advance(exchange)? {
                    continue;
                }
                answered += 1;
                if elapsed < time {
                    start(connection)?;
                } else {
                    open -= 1;
                }
            }
            upstream.advance()?;
        }
        Ok(answered)
    }

    /// Bytes of the body that was last answered with.
    pub(super) fn last_body(&self) -> usize {
        self.connections.first().map_or(0, |it| it.body)
    }
}

struct Connection {
    stream: TcpStream,
    /// Which request it sends.
    request: usize,
    /// Bytes of it that are sent.
    sent: usize,
    buffer: Box<[u8]>,
    awaited: Awaited,
    /// Bytes of the last body.
    body: usize,
}

/// What a connection waits for.
#[derive(Clone, Copy)]
enum Awaited {
    Nothing,
    /// The head, of which this much is in the buffer.
    Head(usize),
    /// So many more bytes of the body.
    Body(usize),
    /// More chunks of it.
    Chunks(Chunks),
}

impl Connection {
    fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)
            .with_context(|| format!("cannot connect to the listener at {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            request: 0,
            sent: 0,
            buffer: vec![0; BUFFER].into(),
            awaited: Awaited::Nothing,
            body: 0,
        })
    }

    fn begin(&mut self, exchange: &Exchange, request: usize) -> Result<()> {
        self.request = request;
        self.sent = 0;
        self.awaited = Awaited::Head(0);
        self.send(exchange)
    }

    fn send(&mut self, exchange: &Exchange) -> Result<()> {
        match self
            .stream
            .write(&exchange.requests[self.request][self.sent..])
        {
            Ok(size) => self.sent += size,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("cannot send a request"),
        }
        Ok(())
    }

    /// Sends and receives what it can; whether that brought an answer's end.
    fn advance(&mut self, exchange: &Exchange) -> Result<bool> {
        if self.sent < exchange.requests[self.request].len() {
            self.send(exchange)?;
        }
        let at = match self.awaited {
            Awaited::Nothing => return Ok(false),
            Awaited::Head(filled) => filled,
            Awaited::Body(_) | Awaited::Chunks(_) => 0,
        };
        ensure!(
            at < BUFFER,
            "an answer's head is larger than {BUFFER} bytes"
        );
        let size = match self.stream.read(&mut self.buffer[at..]) {
            Ok(0) => bail!("Envoy closed a connection in the middle of a request"),
            Ok(size) => size,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error).context("cannot read an answer"),
        };
        self.awaited = match self.awaited {
            Awaited::Body(left) => body_after(left, size)?,
            Awaited::Chunks(chunks) => self.chunks_after(chunks, 0, size)?,
            _ => self.read_head(at + size, exchange.status)?,
        };
        Ok(matches!(self.awaited, Awaited::Nothing))
    }

    fn read_head(&mut self, filled: usize, expected: u16) -> Result<Awaited> {
        let bytes = &self.buffer[..filled];
        let text = || String::from_utf8_lossy(bytes);
        let head = message::head(bytes)
            .map_err(|why| anyhow::anyhow!("an answer cannot be read: {why}\n{}", text()))?;
        let Some(head) = head else {
            return Ok(Awaited::Head(filled));
        };
        match message::status(bytes) {
            Ok(status) if status == expected => {}
            _ => bail!(
                "the answer should have status {expected}, and is\n{}",
                text()
            ),
        }
        if head.is_chunked {
            return self.chunks_after(Chunks::default(), head.size, filled);
        }
        self.body = head.body;
        body_after(head.body, filled - head.size)
    }

    /// What is awaited of a chunked body once this part of the buffer is taken.
    fn chunks_after(&mut self, mut chunks: Chunks, from: usize, to: usize) -> Result<Awaited> {
        let ended = chunks
            .take(&self.buffer[from..to])
            .map_err(|why| anyhow::anyhow!("an answer cannot be read: {why}"))?;
        self.body = chunks.body;
        Ok(if ended {
            Awaited::Nothing
        } else {
            Awaited::Chunks(chunks)
        })
    }
}

/// What is awaited of a body with `left` bytes to come once `size` have.
fn body_after(left: usize, size: usize) -> Result<Awaited> {
    match left.checked_sub(size) {
        Some(0) => Ok(Awaited::Nothing),
        Some(left) => Ok(Awaited::Body(left)),
        None => bail!("an answer is longer than its content-length"),
    }
}

/// A server that answers every request alike but those for a body of a size, and every gRPC call, in the
/// thread of who calls it.
pub(super) struct Upstream {
    listener: TcpListener,
    connections: Vec<Served>,
    pages: Pages,
}

/// The answers with bodies that were asked for.
#[derive(Default)]
struct Pages(Vec<(Asked, Arc<[u8]>)>);

impl Pages {
    fn of(&mut self, asked: Asked) -> Arc<[u8]> {
        if let Some((_, answer)) = self.0.iter().find(|(known, _)| *known == asked) {
            return Arc::clone(answer);
        }
        let answer = Arc::from(asked.answer());
        self.0.push((asked, Arc::clone(&answer)));
        answer
    }
}

struct Served {
    stream: TcpStream,
    buffer: Box<[u8]>,
    filled: usize,
    /// Bytes of a request's body that have not come yet.
    body: usize,
    /// Where it is a connection for gRPC.
    http2: Option<http2::Connection>,
    /// The page that is asked for.
    page: Option<Asked>,
    /// The page that is being sent, and how much of it is.
    sending: Option<(Arc<[u8]>, usize)>,
}

impl Upstream {
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n";

    pub(super) fn bind() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener,
            connections: Vec::new(),
            pages: Pages::default(),
        })
    }

    pub(super) fn address(&self) -> Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Takes up what has come and answers what is whole.
    pub(super) fn advance(&mut self) -> Result<()> {
        match self.listener.accept() {
            Ok((stream, _)) => {
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                self.connections.push(Served {
                    stream,
                    buffer: vec![0; BUFFER].into(),
                    filled: 0,
                    body: 0,
                    http2: None,
                    page: None,
                    sending: None,
                });
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("the upstream cannot accept a connection"),
        }
        let mut failure = None;
        let pages = &mut self.pages;
        self.connections.retain_mut(|connection| {
            connection.advance(pages).unwrap_or_else(|error| {
                failure = Some(error);
                false
            })
        });
        failure.map_or(Ok(()), Err)
    }
}

impl Served {
    /// Whether the connection stays.
    fn advance(&mut self, pages: &mut Pages) -> Result<bool> {
        self.send_page()?;
        ensure!(
            self.filled < BUFFER,
            "a request's head is larger than {BUFFER} bytes"
        );
        let size = match self.stream.read(&mut self.buffer[self.filled..]) {
            Ok(0) => return Ok(false),
            Ok(size) => size,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error).context("the upstream cannot read a request"),
        };
        if let Some(http2) = &mut self.http2 {
            let answer = http2.advance(&self.buffer[..size])?;
            self.send(&answer)?;
        } else {
            self.take(size, pages)?;
        }
        Ok(true)
    }

    /// Takes so many bytes that have come.
    fn take(&mut self, size: usize, pages: &mut Pages) -> Result<()> {
        if self.body > 0 {
            self.body = self.body.saturating_sub(size);
        } else {
            self.filled += size;
            let received = &self.buffer[..self.filled];
            if let Some(begun) = received.strip_prefix(http2::PREFACE) {
                let mut http2 = http2::Connection::new();
                let answer = http2.advance(begun)?;
                self.http2 = Some(http2);
                self.filled = 0;
                return self.send(&answer);
            }
            if http2::PREFACE.starts_with(received) {
                return Ok(());
            }
            let head = message::head(received)
                .map_err(|why| anyhow::anyhow!("the upstream cannot read a request: {why}"))?;
            let Some(head) = head else {
                return Ok(());
            };
            ensure!(!head.is_chunked, "a request's body is chunked");
            self.page = Asked::by(received);
            self.body = (head.size + head.body).saturating_sub(self.filled);
            self.filled = 0;
        }
        match self.page {
            _ if self.body > 0 => Ok(()),
            None => self.send(Upstream::ANSWER),
            Some(asked) => {
                self.sending = Some((pages.of(asked), 0));
                self.send_page()
            }
        }
    }

    /// Sends as much of a page as the connection takes.
    fn send_page(&mut self) -> Result<()> {
        while let Some((answer, sent)) = &mut self.sending {
            match self.stream.write(&answer[*sent..]) {
                Ok(size) => *sent += size,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("the upstream cannot send a page"),
            }
            if *sent == answer.len() {
                self.sending = None;
            }
        }
        Ok(())
    }

    fn send(&mut self, answer: &[u8]) -> Result<()> {
        self.stream
            .write_all(answer)
            .context("the upstream cannot answer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(request: &str, status: u16) -> Exchange {
        Exchange {
            requests: [request.into()].into(),
            status,
            at_once: CONNECTIONS,
        }
    }

    #[test]
    fn every_request_is_answered_and_counted() {
        let mut upstream = Upstream::bind().expect("binds");
        let address = upstream.address().expect("is bound");
        let mut load = Load::connect(address).expect("connects");
        let get = exchange("GET / HTTP/1.1\r\nhost: a\r\n\r\n", 200);
        let post = exchange(
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody",
            200,
        );

        for exchange in [get, post] {
            let answered = load
                .run(&exchange, Duration::from_millis(5), &mut upstream)
                .expect("runs");

            assert!(answered as usize >= CONNECTIONS, "{answered}");
        }
    }

    #[test]
    fn a_page_larger_than_what_a_connection_holds_comes_whole() {
        let mut upstream = Upstream::bind().expect("binds");
        let address = upstream.address().expect("is bound");
        let mut load = Load::connect(address).expect("connects");
        let exchange = Exchange {
            at_once: 1,
            ..exchange("GET /page/9000000 HTTP/1.1\r\nhost: a\r\n\r\n", 200)
        };

        let answered = load
            .run(&exchange, Duration::ZERO, &mut upstream)
            .expect("runs");

        assert_eq!((answered, load.last_body()), (1, 9_000_000));
    }

    #[test]
    fn another_status_than_the_expected_one_is_an_error() {
        let mut upstream = Upstream::bind().expect("binds");
        let address = upstream.address().expect("is bound");
        let mut load = Load::connect(address).expect("connects");
        let refused = exchange("GET / HTTP/1.1\r\nhost: a\r\n\r\n", 403);

        let error = load
            .run(&refused, Duration::from_millis(5), &mut upstream)
            .expect_err("the upstream answers 200")
            .to_string();

        assert!(error.contains("should have status 403"), "{error}");
        assert!(error.contains("HTTP/1.1 200 OK"), "{error}");
    }
}
