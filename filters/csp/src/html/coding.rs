//! Reading what a body is compressed with: `gzip` (RFC 1952) and `deflate` (RFC 1950,
//! and RFC 1951 alone, as some servers send it).

use flate2::{Crc, Decompress, FlushDecompress, Status};
use legation::coding::Coding;

use super::Failure;

/// How much a page may be of when decompressed, for each byte of it that came: 100, which is
/// also the default of Envoy's own decompressor (`max_inflate_ratio`).
const RATIO: u64 = 100;

/// Up to how many bytes that is not looked at: 1 MiB.
const FREE: u64 = 1 << 20;

/// How many bytes are decompressed at a time.
const PIECE: usize = 16 * 1024;

/// A body as it is decompressed.
///
/// However much comes out of a chunk, it does so in pieces of 16 KiB at most.
pub(super) struct Decoder {
    state: State,
    inflate: Option<Inflate>,
}

/// Where in the body it is.
enum State {
    /// Nothing is compressed.
    Identity,
    /// Before the first byte of a gzip body.
    Empty,
    /// In the header of a gzip member.
    Header(Header),
    /// In what is compressed, of a gzip member.
    Member,
    /// In the eight bytes after it.
    Trailer(Vec<u8>),
    /// After a member, where another may begin. Whether its first byte was there.
    Between(bool),
    /// In the two bytes that tell which deflate it is.
    Zlib(Vec<u8>),
    /// In what is compressed, of a deflate body.
    Deflate,
    /// After its end. Browsers do not look at what comes there.
    Over,
}

/// What of a gzip header comes next.
enum Header {
    /// The ten bytes that each has.
    Fixed(Vec<u8>),
    /// The length of the extra field.
    ExtraLength(Vec<u8>, Flags),
    /// So many bytes of it.
    Extra(u16, Flags),
    /// A name, and its end.
    Name(Flags),
    /// A comment, and its end.
    Comment(Flags),
    /// So many bytes of a checksum.
    Checksum(u8),
}

/// Which fields a gzip header has.
#[derive(Clone, Copy)]
struct Flags(u8);

impl Flags {
    const CHECKSUM: u8 = 1 << 1;
    const EXTRA: u8 = 1 << 2;
    const NAME: u8 = 1 << 3;
    const COMMENT: u8 = 1 << 4;
    const RESERVED: u8 = 0b1110_0000;

    /// What comes next of the header. `None`: what is compressed.
    fn next(self) -> Option<Header> {
        if self.0 & Self::EXTRA != 0 {
            Some(Header::ExtraLength(Vec::new(), Self(self.0 & !Self::EXTRA)))
        } else if self.0 & Self::NAME != 0 {
            Some(Header::Name(Self(self.0 & !Self::NAME)))
        } else if self.0 & Self::COMMENT != 0 {
            Some(Header::Comment(Self(self.0 & !Self::COMMENT)))
        } else if self.0 & Self::CHECKSUM != 0 {
            Some(Header::Checksum(2))
        } else {
            None
        }
    }
}

impl Decoder {
    pub(super) fn new(coding: Coding) -> Self {
        Self {
            state: match coding {
                Coding::Identity => State::Identity,
                Coding::Gzip => State::Empty,
                Coding::Deflate => State::Zlib(Vec::new()),
            },
            inflate: None,
        }
    }

    /// Decompresses what comes next.
    pub(super) fn push(
        &mut self,
        mut chunk: &[u8],
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Failure> {
        while let Some((&first, rest)) = chunk.split_first() {
            match &mut self.state {
                State::Identity => {
                    take(chunk);
                    return Ok(());
                }
                State::Over => return Ok(()),
                State::Empty => self.state = State::Header(Header::Fixed(Vec::new())),
                State::Header(header) => {
                    chunk = rest;
                    match header.push(first)? {
                        None => {}
                        Some(Some(next)) => self.state = State::Header(next),
                        Some(None) => {
                            match &mut self.inflate {
                                Some(inflate) => inflate.again(),
                                inflate => *inflate = Some(Inflate::new(false)),
                            }
                            self.state = State::Member;
                        }
                    }
                }
                State::Member | State::Deflate => {
                    let inflate = self.inflate.as_mut().ok_or(Failure::Corrupt)?;
                    let (left, over) = inflate.push(chunk, take)?;
                    chunk = left;
                    if over {
                        self.state = match self.state {
                            State::Member => State::Trailer(Vec::with_capacity(8)),
                            _ => State::Over,
                        };
                    }
                }
                State::Trailer(bytes) => {
                    chunk = rest;
                    bytes.push(first);
                    if let [a, b, c, d, e, f, g, h] = **bytes {
                        let inflate = self.inflate.as_ref().ok_or(Failure::Corrupt)?;
                        let sum = u32::from_le_bytes([a, b, c, d]);
                        let length = u32::from_le_bytes([e, f, g, h]);
                        if inflate.crc.sum() != sum || inflate.crc.amount() != length {
                            return Err(Failure::Corrupt);
                        }
                        self.state = State::Between(false);
                    }
                }
                State::Between(begun) => {
                    chunk = rest;
                    self.state = match (*begun, first) {
                        (false, 0x1f) => State::Between(true),
                        (true, 0x8b) => State::Header(Header::Fixed(vec![0x1f, 0x8b])),
                        _ => State::Over,
                    };
                }
                State::Zlib(bytes) => {
                    chunk = rest;
                    bytes.push(first);
                    if let [cmf, flg] = **bytes {
                        let zlib = cmf & 0x0f == 8
                            && cmf >> 4 <= 7
                            && u16::from_be_bytes([cmf, flg]).is_multiple_of(31);
                        let mut inflate = Inflate::new(zlib);
                        let (_, over) = inflate.push(&[cmf, flg], take)?;
                        self.inflate = Some(inflate);
                        self.state = if over { State::Over } else { State::Deflate };
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether the body was whole.
    pub(super) fn finish(&self) -> Result<(), Failure> {
        match &self.state {
            State::Identity | State::Empty | State::Between(_) | State::Over => Ok(()),
            State::Zlib(bytes) if bytes.is_empty() => Ok(()),
            _ => Err(Failure::Truncated),
        }
    }
}

impl Header {
    /// `None` while there is more of this field, and then what follows it.
    #[expect(
        clippy::option_option,
        reason = "more of this, then another, then none"
    )]
    fn push(&mut self, byte: u8) -> Result<Option<Option<Self>>, Failure> {
        Ok(match self {
            Self::Fixed(bytes) => {
                bytes.push(byte);
                match **bytes {
                    [0x1f] | [0x1f, 0x8b] | [0x1f, 0x8b, 8] => None,
                    [0x1f, 0x8b, 8, flags, ..] if flags & Flags::RESERVED == 0 => {
                        (bytes.len() == 10).then(|| Flags(flags).next())
                    }
                    _ => return Err(Failure::Corrupt),
                }
            }
            Self::ExtraLength(bytes, flags) => {
                bytes.push(byte);
                match **bytes {
                    [low, high] => Some(match u16::from_le_bytes([low, high]) {
                        0 => flags.next(),
                        length => Some(Self::Extra(length, *flags)),
                    }),
                    _ => None,
                }
            }
            Self::Extra(length, flags) => {
                *length = length.saturating_sub(1);
                (*length == 0).then(|| flags.next())
            }
            Self::Name(flags) | Self::Comment(flags) => (byte == 0).then(|| flags.next()),
            Self::Checksum(left) => {
                *left = left.saturating_sub(1);
                (*left == 0).then_some(None)
            }
        })
    }
}

/// What decompresses.
struct Inflate {
    inner: Decompress,
    crc: Crc,
    piece: Box<[u8]>,
    /// Bytes read and written, by all members.
    read: u64,
    written: u64,
}

impl Inflate {
    fn new(zlib: bool) -> Self {
        Self {
            inner: Decompress::new(zlib),
            crc: Crc::new(),
            piece: vec![0; PIECE].into(),
            read: 0,
            written: 0,
        }
    }

    /// Begins with another member.
    fn again(&mut self) {
        self.inner.reset(false);
        self.crc.reset();
    }

    /// What it did not read, and whether this is because it is over.
    fn push<'a>(
        &mut self,
        mut chunk: &'a [u8],
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<(&'a [u8], bool), Failure> {
        loop {
            let (before_in, before_out) = (self.inner.total_in(), self.inner.total_out());
            let status = self
                .inner
                .decompress(chunk, &mut self.piece, FlushDecompress::None)
                .map_err(|_| Failure::Corrupt)?;
            let read = self.inner.total_in().saturating_sub(before_in);
            let written = self.inner.total_out().saturating_sub(before_out);
            self.read = self.read.saturating_add(read);
            self.written = self.written.saturating_add(written);
            chunk = chunk
                .get(usize::try_from(read).unwrap_or(usize::MAX)..)
                .unwrap_or_default();
            let piece = self
                .piece
                .get(..usize::try_from(written).unwrap_or(usize::MAX))
                .unwrap_or_default();
            if self.written > FREE && self.written > self.read.saturating_mul(RATIO) {
                return Err(Failure::Inflated);
            }
            self.crc.update(piece);
            if !piece.is_empty() {
                take(piece);
            }
            if status == Status::StreamEnd {
                return Ok((chunk, true));
            }
            if read == 0 && written == 0 {
                // Without an end to it, and with nowhere to go: it waits for more, or never will.
                return if chunk.is_empty() {
                    Ok((chunk, false))
                } else {
                    Err(Failure::Corrupt)
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    const TEXT: &[u8] = b"<script>here</script> and <p>there</p>, here and there, here and there";

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(coding: Coding, chunks: &[&[u8]]) -> Result<Vec<u8>, Failure> {
        let mut decoder = Decoder::new(coding);
        let mut out = Vec::new();
        for chunk in chunks {
            decoder.push(chunk, &mut |piece| out.extend_from_slice(piece))?;
        }
        decoder.finish()?;
        Ok(out)
    }

    /// Whole, and cut at each byte.
    fn reads(coding: Coding, body: &[u8]) -> Result<Vec<u8>, Failure> {
        let whole = read(coding, &[body]);
        for at in 0..body.len() {
            let (one, other) = body.split_at(at);
            assert_eq!(read(coding, &[one, other]), whole, "cut at {at}");
        }
        let bytes = body.chunks(1).collect::<Vec<_>>();
        assert_eq!(read(coding, &bytes), whole, "byte by byte");
        whole
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn reads_what_is_not_compressed() {
        assert_eq!(reads(Coding::Identity, TEXT), Ok(TEXT.to_vec()));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn reads_a_gzip_member() {
        assert_eq!(reads(Coding::Gzip, &gzip(TEXT)), Ok(TEXT.to_vec()));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn reads_several_gzip_members() {
        let body = [gzip(TEXT), gzip(b""), gzip(TEXT)].concat();
        assert_eq!(reads(Coding::Gzip, &body), Ok([TEXT, TEXT].concat()));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn reads_each_field_that_a_gzip_header_may_have() {
        // Without the ten bytes of the plain one.
        let plain = gzip(TEXT).split_off(10);
        let mut body = vec![0x1f, 0x8b, 8, 0b1_1111, 0, 0, 0, 0, 0, 255];
        body.extend_from_slice(b"\x03\x00xyzname\0comment\0ck");
        body.extend_from_slice(&plain);
        assert_eq!(reads(Coding::Gzip, &body), Ok(TEXT.to_vec()));

        let mut body = vec![0x1f, 0x8b, 8, 0b0100, 0, 0, 0, 0, 0, 255, 0, 0];
        body.extend_from_slice(&plain);
        assert_eq!(reads(Coding::Gzip, &body), Ok(TEXT.to_vec()));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn reads_deflate_with_zlibs_header_and_without() {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(TEXT).unwrap();
        assert_eq!(
            reads(Coding::Deflate, &zlib.finish().unwrap()),
            Ok(TEXT.to_vec())
        );

        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        raw.write_all(TEXT).unwrap();
        assert_eq!(
            reads(Coding::Deflate, &raw.finish().unwrap()),
            Ok(TEXT.to_vec())
        );

        // Nothing at all, compressed: two bytes.
        let raw = DeflateEncoder::new(Vec::new(), Compression::default());
        assert_eq!(
            reads(Coding::Deflate, &raw.finish().unwrap()),
            Ok(Vec::new())
        );
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_empty_body_is_whole() {
        for coding in [Coding::Identity, Coding::Gzip, Coding::Deflate] {
            assert_eq!(read(coding, &[]), Ok(Vec::new()));
            assert_eq!(read(coding, &[b""]), Ok(Vec::new()));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_comes_after_the_end_is_not_looked_at() {
        for more in [&b"\0\0\0\0"[..], b"hello", b"\x1f", b"\x1f\x8c"] {
            let body = [&gzip(TEXT), more].concat();
            assert_eq!(reads(Coding::Gzip, &body), Ok(TEXT.to_vec()), "{more:?}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn tells_where_gzip_is_cut_off() {
        let body = gzip(TEXT);
        for length in 1..body.len() {
            assert_eq!(
                read(Coding::Gzip, &[&body[..length]]),
                Err(Failure::Truncated),
                "{length} of {} bytes",
                body.len(),
            );
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn tells_where_deflate_is_cut_off() {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(TEXT).unwrap();
        let body = zlib.finish().unwrap();
        for length in 1..body.len() {
            assert_eq!(
                read(Coding::Deflate, &[&body[..length]]),
                Err(Failure::Truncated),
                "{length} of {} bytes",
                body.len(),
            );
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn tells_what_is_no_gzip() {
        let body = gzip(TEXT);
        let spoilt = |at: usize, with: u8| {
            let mut body = body.clone();
            body[at] = with;
            body
        };
        for body in [
            TEXT.to_vec(),
            spoilt(1, 0),
            // Another way of compressing, and a flag that nobody knows.
            spoilt(2, 7),
            spoilt(3, 0x80),
            // A block of a kind that there is not.
            spoilt(10, 0xff),
            // The checksum and the length.
            spoilt(body.len() - 8, 0),
            spoilt(body.len() - 4, 0),
        ] {
            assert_eq!(reads(Coding::Gzip, &body), Err(Failure::Corrupt));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn tells_what_is_no_deflate() {
        assert_eq!(reads(Coding::Deflate, &[0xff; 20]), Err(Failure::Corrupt));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn stops_what_inflates_beyond_all_measure() {
        let body = gzip(&vec![0; 16 << 20]);
        let mut made = 0;
        let mut decoder = Decoder::new(Coding::Gzip);
        let failure = decoder.push(&body, &mut |piece| made += piece.len());
        assert_eq!(failure, Err(Failure::Inflated));
        assert!(made <= (1 << 20) + PIECE, "{made}");
    }
}
