//! Reading what is compressed.

use std::io::Write as _;

use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use legation::coding::Coding;

/// How many compressed bytes are read at a time: of each come a thousand at most.
const PIECE: usize = 512;

/// A body as it is decompressed.
pub(crate) enum Decoder {
    Identity,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    /// Before it is known which deflate it is.
    Deflate(Vec<u8>),
    Zlib(Box<ZlibDecoder<Vec<u8>>>),
    Raw(Box<DeflateDecoder<Vec<u8>>>),
}

/// It is not what its coding says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Corrupt;

impl From<std::io::Error> for Corrupt {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

impl Decoder {
    pub(crate) fn new(coding: Coding) -> Self {
        match coding {
            Coding::Identity => Self::Identity,
            Coding::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            Coding::Deflate => Self::Deflate(Vec::new()),
        }
    }

    /// Decompresses what comes next, and hands it on in pieces of half a megabyte at most.
    pub(crate) fn push<E: From<Corrupt>>(
        &mut self,
        bytes: &[u8],
        take: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Self::Identity = self {
            return take(bytes);
        }
        for piece in bytes.chunks(PIECE) {
            self.write(piece)?;
            self.drain(take)?;
        }
        Ok(())
    }

    /// The body is over: whether it was whole, as far as its format tells.
    pub(crate) fn finish<E: From<Corrupt>>(
        &mut self,
        take: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::Identity => return Ok(()),
            Self::Deflate(_) => return Err(Corrupt.into()),
            Self::Gzip(decoder) => decoder.try_finish().map_err(Corrupt::from)?,
            Self::Zlib(decoder) => decoder.try_finish().map_err(Corrupt::from)?,
            Self::Raw(decoder) => decoder.try_finish().map_err(Corrupt::from)?,
        }
        self.drain(take)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Corrupt> {
        match self {
            Self::Identity => {}
            Self::Gzip(decoder) => decoder.write_all(bytes)?,
            Self::Zlib(decoder) => decoder.write_all(bytes)?,
            Self::Raw(decoder) => decoder.write_all(bytes)?,
            Self::Deflate(begun) => {
                begun.extend_from_slice(bytes);
                let [cmf, flg, ..] = **begun else {
                    return Ok(());
                };
                let begun = std::mem::take(begun);
                // RFC 1950, section 2.2
                let is_zlib = cmf & 0x0f == 8
                    && cmf >> 4 <= 7
                    && u16::from_be_bytes([cmf, flg]).is_multiple_of(31);
                *self = if is_zlib {
                    Self::Zlib(Box::new(ZlibDecoder::new(Vec::new())))
                } else {
                    Self::Raw(Box::new(DeflateDecoder::new(Vec::new())))
                };
                return self.write(&begun);
            }
        }
        Ok(())
    }

    fn drain<E>(&mut self, take: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let decoded = match self {
            Self::Identity | Self::Deflate(_) => return Ok(()),
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Zlib(decoder) => decoder.get_mut(),
            Self::Raw(decoder) => decoder.get_mut(),
        };
        if !decoded.is_empty() {
            take(decoded)?;
            decoded.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    const TEXT: &[u8] = b"here and there, here and there, here and nowhere else";

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(coding: Coding, pieces: &[&[u8]]) -> Result<Vec<u8>, Corrupt> {
        let mut decoder = Decoder::new(coding);
        let mut out = Vec::new();
        let mut take = |piece: &[u8]| -> Result<(), Corrupt> {
            out.extend_from_slice(piece);
            Ok(())
        };
        for piece in pieces {
            decoder.push(piece, &mut take)?;
        }
        decoder.finish(&mut take)?;
        Ok(out)
    }

    /// Whole, and cut at each byte.
    fn reads(coding: Coding, body: &[u8]) -> Result<Vec<u8>, Corrupt> {
        let whole = read(coding, &[body]);
        for at in 0..body.len() {
            let (one, other) = body.split_at(at);
            assert_eq!(read(coding, &[one, other]), whole, "cut at {at}");
        }
        let bytes: Vec<_> = body.chunks(1).collect();
        assert_eq!(read(coding, &bytes), whole, "byte by byte");
        whole
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn reads_each_coding_and_nothing_that_only_says_so() {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(TEXT).unwrap();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        raw.write_all(TEXT).unwrap();
        for (coding, body) in [
            (Coding::Identity, TEXT.to_vec()),
            (Coding::Gzip, gzip(TEXT)),
            (Coding::Gzip, [gzip(TEXT), gzip(b"")].concat()),
            (Coding::Deflate, zlib.finish().unwrap()),
            (Coding::Deflate, raw.finish().unwrap()),
        ] {
            assert_eq!(reads(coding, &body), Ok(TEXT.to_vec()), "{coding:?}");
        }
        let whole = gzip(TEXT);
        let mut wrong = whole.clone();
        let last = wrong.len() - 5;
        wrong[last] ^= 1;
        for body in [
            wrong,
            whole[..whole.len() - 1].to_vec(),
            whole[..20].to_vec(),
            [whole, b"more".to_vec()].concat(),
            TEXT.to_vec(),
        ] {
            assert_eq!(reads(Coding::Gzip, &body), Err(Corrupt));
        }
        assert_eq!(reads(Coding::Deflate, b"\xff\xff\xff"), Err(Corrupt));
        assert_eq!(reads(Coding::Deflate, b"\x78"), Err(Corrupt));
    }
}
