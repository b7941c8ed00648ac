//! As much of HTTP/1.1 as measuring needs: where a message ends. Allocates nothing.

use std::fmt;

/// The head of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes up to and including the empty line.
    pub(super) size: usize,
    /// Bytes of the body, which follow.
    pub(super) body: usize,
}

/// Why something cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// Its first line is not that of a response.
    NotAResponse,
    /// It does not tell the body's size at once.
    Chunked,
    /// `content-length` is no number.
    ContentLength,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::NotAResponse => "it is not an HTTP/1.1 response",
            Self::Chunked => "its body is chunked: the benchmark needs a content-length",
            Self::ContentLength => "its content-length is not a number",
        })
    }
}

/// The head of a message that begins with `bytes`; `None` while it is not all there.
pub(super) fn head(bytes: &[u8]) -> Result<Option<Head>, Unreadable> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let mut body = 0;
    for line in bytes[..end].split(|byte| *byte == b'\n').skip(1) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            body = number(value).ok_or(Unreadable::ContentLength)?;
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Err(Unreadable::Chunked);
        }
    }
    Ok(Some(Head {
        size: end + 4,
        body,
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
    fn what_does_not_tell_its_size_is_refused() {
        assert_eq!(
            head(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
            Err(Unreadable::Chunked)
        );
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
