//! zlib, by the host.

use super::{ForeignError, Function, ask};
use crate::error::Status;

/// What a byte in zlib's form can become, at most.
///
/// A deflate stream spends at least a bit on every 129 bytes (RFC 1951: a match
/// is up to 258 bytes long and takes two codes of at least one bit).
pub const MAX_COMPRESSION_RATIO: usize = 1_032;

/// The bytes in zlib's form (RFC 1950; neither gzip nor bare deflate).
///
/// One host call, which copies the bytes out of the module and the answer in.
pub fn compress(bytes: &[u8]) -> Result<Vec<u8>, ForeignError> {
    ask(Function::Compress, bytes)
}

/// What [`compress`] was given.
///
/// **The host does not bound the answer.** It doubles a buffer of its own until
/// the answer fits, and then has the module allocate it: up to
/// [`MAX_COMPRESSION_RATIO`] times what is given here. So `max_size` bounds what
/// is given, in bytes, and [`ForeignError::TooLarge`] comes without a host call:
/// of 4 KiB from a stranger come 4 MiB at worst. Bytes that come from outside
/// and may be many do not belong here.
///
/// [`ForeignError::Refused`] where the bytes are not in zlib's form, or end too
/// soon. One host call.
pub fn uncompress(bytes: &[u8], max_size: usize) -> Result<Vec<u8>, ForeignError> {
    if bytes.len() > max_size {
        return Err(ForeignError::TooLarge {
            function: Function::Uncompress.name(),
            size: bytes.len(),
            limit: max_size,
        });
    }
    ask(Function::Uncompress, bytes).map_err(|error| {
        error.explained(Status::SERIALIZATION_FAILURE, || {
            "the bytes are not in zlib's form".to_owned()
        })
    })
}
