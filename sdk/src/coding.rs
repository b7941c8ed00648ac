//! What a body is compressed with, by its name (RFC 9110, section 8.4.1).

/// The codings that a filter may read by a decoder of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Nothing.
    Identity,
    /// `gzip`, of one member or several (RFC 1952).
    Gzip,
    /// `deflate`: zlib's format (RFC 1950), or the bare one (RFC 1951), as some send it.
    Deflate,
}

impl Coding {
    /// The coding of a `content-encoding`, in any case: `gzip`, `x-gzip`, `deflate`, `identity`
    /// and the empty text. `None` for others and for more than one.
    ///
    /// ```
    /// use legation::coding::Coding;
    ///
    /// assert_eq!(Coding::named(b" GZIP "), Some(Coding::Gzip));
    /// assert_eq!(Coding::named(b"gzip, gzip"), None);
    /// ```
    pub fn named(name: &[u8]) -> Option<Self> {
        let is = |known: &str| name.trim_ascii().eq_ignore_ascii_case(known.as_bytes());
        if is("") || is("identity") {
            Some(Self::Identity)
        } else if is("gzip") || is("x-gzip") {
            Some(Self::Gzip)
        } else {
            is("deflate").then_some(Self::Deflate)
        }
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn knows_its_codings_by_name() {
        for (name, coding) in [
            ("", Some(Coding::Identity)),
            ("identity", Some(Coding::Identity)),
            (" GZIP ", Some(Coding::Gzip)),
            ("gzip\t", Some(Coding::Gzip)),
            ("x-gzip", Some(Coding::Gzip)),
            ("Deflate", Some(Coding::Deflate)),
            ("br", None),
            ("zstd", None),
            ("gzip, gzip", None),
        ] {
            assert_eq!(Coding::named(name.as_bytes()), coding, "{name:?}");
        }
    }
}
