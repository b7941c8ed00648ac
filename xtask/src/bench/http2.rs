//! As much of HTTP/2 as answering gRPC calls needs: each is answered by the same message
//! as soon as it has been sent, whatever it asks. Nothing is decompressed.

use anyhow::{Context, Result, ensure};

/// What a client begins with (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Types of frames (section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;

/// Flags. `ACK` and `END_STREAM` are the same bit, of different frames.
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// `:status: 200` from the static table, and `content-type: application/grpc` with its name
/// from there (RFC 7541).
const HEAD: &[u8] = b"\x88\x0f\x10\x10application/grpc";
/// `grpc-status: 0`
const TRAILERS: &[u8] = b"\x00\x0bgrpc-status\x010";
/// Not compressed, two bytes: field 1 is 1.
const MESSAGE: &[u8] = b"\x00\x00\x00\x00\x02\x08\x01";

const FRAME_HEAD: usize = 9;

/// One connection, after the preface.
pub(super) struct Connection {
    /// What has come and is not a whole frame yet.
    received: Vec<u8>,
    to_send: Vec<u8>,
}

impl Connection {
    pub(super) fn new() -> Self {
        let mut connection = Self {
            received: Vec::new(),
            to_send: Vec::new(),
        };
        connection.send(SETTINGS, 0, 0, &[]);
        connection
    }

    /// Takes what has come, and gives what is to be sent.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        self.received.extend_from_slice(bytes);
        let received = std::mem::take(&mut self.received);
        let mut rest = received.as_slice();
        while let Some((head, after)) = rest.split_first_chunk::<FRAME_HEAD>() {
            let [a, b, c, kind, flags, stream @ ..] = *head;
            let size = usize::try_from(u32::from_be_bytes([0, a, b, c]))?;
            let Some((payload, after)) = after.split_at_checked(size) else {
                break;
            };
            rest = after;
            self.frame(kind, flags, u32::from_be_bytes(stream), payload)?;
        }
        self.received.extend_from_slice(rest);
        Ok(std::mem::take(&mut self.to_send))
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<()> {
        match kind {
            SETTINGS if flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[]),
            PING if flags & ACK == 0 => self.send(PING, ACK, 0, payload),
            DATA | HEADERS => {
                ensure!(stream != 0, "a call on the connection's own stream");
                if kind == DATA && !payload.is_empty() {
                    let size = u32::try_from(payload.len()).context("a frame is too large")?;
                    self.send(WINDOW_UPDATE, 0, 0, &size.to_be_bytes());
                }
                if flags & END_STREAM != 0 {
                    self.send(HEADERS, END_HEADERS, stream, HEAD);
                    self.send(DATA, 0, stream, MESSAGE);
                    self.send(HEADERS, END_HEADERS | END_STREAM, stream, TRAILERS);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Payloads are of a few bytes.
    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let size = u8::try_from(payload.len()).unwrap_or(u8::MAX);
        let payload = &payload[..size.into()];
        self.to_send.extend([0, 0, size, kind, flags]);
        self.to_send.extend(stream.to_be_bytes());
        self.to_send.extend(payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let size = u8::try_from(payload.len()).expect("is small");
        [&[0, 0, size, kind, flags, 0, 0, 0, stream], payload].concat()
    }

    fn connected() -> Connection {
        let mut connection = Connection::new();
        let settings = connection.advance(&[]).expect("is well");
        assert_eq!(settings, frame(SETTINGS, 0, 0, &[]));
        connection
    }

    fn answer(stream: u8) -> Vec<u8> {
        [
            frame(HEADERS, 4, stream, HEAD),
            frame(DATA, 0, stream, MESSAGE),
            frame(HEADERS, 5, stream, TRAILERS),
        ]
        .concat()
    }

    #[test]
    fn a_call_is_answered_when_it_ends_and_its_bytes_are_given_back() {
        let call = [
            frame(HEADERS, 4, 3, b"anything"),
            frame(DATA, 1, 3, &[0; 5]),
        ]
        .concat();

        let sent = connected().advance(&call).expect("is well");

        let given_back = frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 5]);
        assert_eq!(sent, [given_back, answer(3)].concat());
    }

    #[test]
    fn a_call_in_pieces_is_the_same_call() {
        let call = frame(HEADERS, 5, 1, b"anything");
        let mut connection = connected();

        let sent: Vec<_> = call
            .iter()
            .flat_map(|byte| connection.advance(&[*byte]).expect("is well"))
            .collect();

        assert_eq!(sent, answer(1));
    }

    #[test]
    fn settings_and_pings_are_acknowledged_once() {
        let asked = [frame(SETTINGS, 0, 0, &[]), frame(PING, 0, 0, b"12345678")].concat();
        let acknowledged = [frame(SETTINGS, 1, 0, &[]), frame(PING, 1, 0, b"12345678")].concat();
        let mut connection = connected();

        assert_eq!(connection.advance(&asked).expect("is well"), acknowledged);
        let sent = connection.advance(&acknowledged).expect("is well");
        assert!(sent.is_empty(), "{sent:?}");
    }
}
