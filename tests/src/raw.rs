//! Bytes over TCP, for what no HTTP client would send.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::headers::Bytes;
use crate::wait::DEADLINE;

/// A plain TCP connection.
///
/// ```no_run
/// # fn main() -> anyhow::Result<()> {
/// # let address = "127.0.0.1:10000".parse()?;
/// use legation_tests::RawConnection;
///
/// let mut raw = RawConnection::open(address)?;
/// raw.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")?;
/// let head = raw.read_until(b"\r\n\r\n")?;
/// assert!(head.starts_with(b"HTTP/1.1 400"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RawConnection {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl RawConnection {
    /// Connects; nothing is sent yet.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, DEADLINE)
            .with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(Self {
            stream,
            unread: Vec::new(),
        })
    }

    /// Sets how long one read may wait.
    pub fn set_deadline(&mut self, deadline: Duration) -> Result<()> {
        Ok(self.stream.set_read_timeout(Some(deadline))?)
    }

    /// Sends the bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).context("cannot send")
    }

    /// Says that nothing more will be sent; reading goes on.
    pub fn finish_sending(&mut self) -> Result<()> {
        Ok(self.stream.shutdown(Shutdown::Write)?)
    }

    /// Reads up to and with the mark, such as `b"\r\n\r\n"` for the end of a head.
    /// What comes after it waits for the next read.
    pub fn read_until(&mut self, mark: &[u8]) -> Result<Vec<u8>> {
        loop {
            if let Some(at) = find(&self.unread, mark) {
                return Ok(self.unread.drain(..at + mark.len()).collect());
            }
            if !self.fill()? {
                bail!(
                    "the connection ended before {:?}; read: {:?}",
                    Bytes(mark),
                    Bytes(&self.unread)
                );
            }
        }
    }

    /// Reads so many bytes.
    pub fn read_exact(&mut self, count: usize) -> Result<Vec<u8>> {
        while self.unread.len() < count {
            if !self.fill()? {
                bail!(
                    "the connection ended {} bytes too early; read: {:?}",
                    count - self.unread.len(),
                    Bytes(&self.unread)
                );
            }
        }
        Ok(self.unread.drain(..count).collect())
    }

    /// Reads until the other side closes the connection; a reset counts as closing.
    pub fn read_to_end(&mut self) -> Result<Vec<u8>> {
        while self.fill()? {}
        Ok(std::mem::take(&mut self.unread))
    }

    /// False at the end of the connection.
    fn fill(&mut self) -> Result<bool> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => Ok(false),
            Ok(count) => {
                self.unread.extend_from_slice(&buffer[..count]);
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(false),
            Err(error) => Err(error)
                .with_context(|| format!("cannot read on; read so far: {:?}", Bytes(&self.unread))),
        }
    }
}

fn find(text: &[u8], mark: &[u8]) -> Option<usize> {
    text.windows(mark.len().max(1)).position(|at| at == mark)
}
