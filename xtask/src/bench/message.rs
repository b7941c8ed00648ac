//! As much of HTTP/1.1 as measuring needs: where a message ends. Allocates nothing.

use std::fmt;

/// The head of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes up to and including the empty line.
    pub(super) size: usize,
    /// Bytes of the body, which follow.
    pub(super) body: usize,
    /// Whether chunks follow, until one of none.
    pub(super) is_chunked: bool,
}

/// How much of a chunked body has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Chunks {
    /// What the size's digits have come to.
    size: usize,
    /// Bytes of the chunk that have not come yet, those of the line's end behind it among them.
    left: usize,
    is_last: bool,
    /// Bytes of the body.
    pub(super) body: usize,
}

impl Chunks {
    /// Takes what has come; whether that was the end.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<bool, Unreadable> {
        let mut rest = bytes;
        while let Some((byte, after)) = rest.split_first() {
            if self.left > 0 {
                let taken = self.left.min(rest.len());
                self.left -= taken;
                rest = &rest[taken..];
                if self.left == 0 && self.is_last {
                    return rest.is_empty().then_some(true).ok_or(Unreadable::Chunks);
                }
                continue;
            }
            rest = after;
            match byte {
                b'\r' => {}
                b'\n' => {
                    self.is_last = self.size == 0;
                    self.body += self.size;
                    self.left = self.size + 2;
                    self.size = 0;
                }
                byte => {
                    let digit = char::from(*byte).to_digit(16).ok_or(Unreadable::Chunks)?;
                    let digit = usize::try_from(digit).map_err(|_| Unreadable::Chunks)?;
                    self.size = self.size.checked_mul(16).ok_or(Unreadable::Chunks)? + digit;
                }
            }
        }
        Ok(false)
    }
}

/// Why something cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// Its first line is not that of a response.
    NotAResponse,
    /// Its chunks do not tell their sizes, or something follows the last.
    Chunks,
    /// `content-length` is no number.
    ContentLength,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::NotAResponse => "it is not an HTTP/1.1 response",
            Self::Chunks => "its chunks are malformed",
            Self::ContentLength => "its content-length is not a number",
        })
    }
}

/// The head of a message that begins with `bytes`; `None` while it is not all there.
pub(super) fn head(bytes: &[u8]) -> Result<Option<Head>, Unreadable> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let (mut body, mut is_chunked) = (0, false);
    for line in bytes[..end].split(|byte| *byte == b'\n').skip(1) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            body = number(value).ok_or(Unreadable::ContentLength)?;
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            is_chunked = value.eq_ignore_ascii_case(b"chunked");
        }
    }
    Ok(Some(Head {
        size: end + 4,
        body,
        is_chunked,
    }))
}

/// The status of a response that begins with `bytes`.
pub(super) fn status(bytes: &[u8]) -> Result<u16, Unreadable> {
    let digits = bytes
        .strip_prefix(b"HTTP/1.1 ")
        .and_then(|rest| rest.get(..3));
    digits
        .and_then(number)
        .and_then(|status| u16::try_from(status).ok())
        .ok_or(Unreadable::NotAResponse)
}

fn number(digits: &[u8]) -> Option<usize> {
    str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_ends_where_its_content_length_says() {
        let response = b"HTTP/1.1 200 OK\r\nserver: envoy\r\nContent-Length:  5 \r\n\r\nhello";

        let head = head(response).expect("is readable").expect("is whole");

        assert_eq!(status(response), Ok(200));
        assert_eq!(head.body, 5);
        assert_eq!(&response[head.size..], b"hello");
    }

    #[test]
    fn a_message_without_a_content_length_has_no_body() {
        let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

        let head = head(request).expect("is readable").expect("is whole");

        assert_eq!((head.size, head.body), (request.len(), 0));
    }

    #[test]
    fn every_beginning_of_a_head_is_not_all_there_yet() {
        let response = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

        for end in 0..response.len() {
            assert_eq!(head(&response[..end]), Ok(None), "{end} bytes");
        }
    }

    #[test]
    fn chunks_end_with_one_of_none_however_they_come() {
        let head = head(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        assert!(head.expect("is readable").expect("is whole").is_chunked);
        let body = b"5\r\nhello\r\n1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n";

        for piece in 1..=body.len() {
            let mut chunks = Chunks::default();
            let ends: Vec<_> = body.chunks(piece).map(|it| chunks.take(it)).collect();

            let (last, before) = ends.split_last().expect("there is one");
            assert_eq!(*last, Ok(true), "pieces of {piece}");
            assert!(before.iter().all(|end| *end == Ok(false)));
            assert_eq!(chunks.body, 31);
        }
    }

    #[test]
    fn chunks_without_a_size_are_refused() {
        for bytes in ["hello\r\n", "0\r\n\r\nHTTP/1.1"] {
            let end = Chunks::default().take(bytes.as_bytes());
            assert_eq!(end, Err(Unreadable::Chunks), "{bytes}");
        }
    }

    #[test]
    fn what_does_not_tell_its_size_is_refused() {
        assert_eq!(
            head(b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n"),
            Err(Unreadable::ContentLength)
        );
    }

    #[test]
    fn what_is_no_response_has_no_status() {
        for bytes in ["", "HTTP/1.1 ", "HTTP/1.1 2x0 OK", "SSH-2.0-OpenSSH"] {
            assert_eq!(
                status(bytes.as_bytes()),
                Err(Unreadable::NotAResponse),
                "{bytes}"
            );
        }
    }
}
