//! What a proof is for: the address of a request, in one spelling.

use std::borrow::Cow;

use legation::matcher::normalize_path;

/// The scheme and the authority of an address: `https://api.example`, in lower
/// case, without the port that the scheme has anyway (RFC 3986, section 6.2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    scheme: Scheme,
    authority: Box<[u8]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

impl Origin {
    /// From a request's `:scheme` and `:authority`. `None` where they are no origin
    /// of HTTP.
    pub fn new(scheme: &[u8], authority: &[u8]) -> Option<Self> {
        let (scheme, port) = match scheme {
            _ if scheme.eq_ignore_ascii_case(b"https") => (Scheme::Https, &b":443"[..]),
            _ if scheme.eq_ignore_ascii_case(b"http") => (Scheme::Http, &b":80"[..]),
            _ => return None,
        };
        let authority = authority.strip_suffix(port).unwrap_or(authority);
        let authority = authority.strip_suffix(b":").unwrap_or(authority);
        // What could be read as the end of it, or as a user's name, or otherwise by
        // another reader.
        let odd = |byte: &u8| !byte.is_ascii_graphic() || b"/\\?#@%\"<>^`{|}".contains(byte);
        if authority.is_empty() || authority.iter().any(odd) {
            return None;
        }
        Some(Self {
            scheme,
            authority: authority.to_ascii_lowercase().into(),
        })
    }

    /// From `https://api.example`; a slash may follow.
    pub fn parse(text: &str) -> Option<Self> {
        let (origin, path) = split(text.as_bytes())?;
        matches!(path, b"" | b"/").then_some(origin)
    }
}

/// The address of a request, without query and fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target<'a> {
    origins: Cow<'a, [Origin]>,
    path: Cow<'a, [u8]>,
}

impl<'a> Target<'a> {
    /// The address with one of these origins and the path of `:path`.
    pub fn new(origins: impl Into<Cow<'a, [Origin]>>, path: &'a [u8]) -> Self {
        Self {
            origins: origins.into(),
            path: normalize_path(path),
        }
    }

    /// Whether a proof's `htu` is this address, in whatever spelling: RFC 3986,
    /// sections 6.2.2 and 6.2.3, as the paths of rules are matched. A query and a
    /// fragment are passed over (RFC 9449, section 4.3, check 9).
    pub fn is(&self, htu: &str) -> bool {
        split(htu.as_bytes()).is_some_and(|(origin, path)| {
            self.origins.contains(&origin) && normalize_path(path) == self.path
        })
    }
}

/// An address's origin, and the rest of it.
fn split(address: &[u8]) -> Option<(Origin, &[u8])> {
    let at = address.iter().position(|byte| *byte == b':')?;
    let (scheme, rest) = address.split_at_checked(at)?;
    let rest = rest.strip_prefix(b"://")?;
    let end = rest.iter().position(|byte| b"/?#".contains(byte));
    let (authority, path) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
    let origin = Origin::new(scheme, authority)?;
    Some((origin, path))
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn an_address_is_the_same_in_every_spelling() {
        let origin = Origin::new(b"https", b"api.example").unwrap();
        let target = Target::new(vec![origin], b"/orders/a-b/%C3%A9%2f?page=2");
        for (htu, expected) in [
            ("https://api.example/orders/a-b/%C3%A9%2F", true),
            ("https://api.example/orders/a-b/%c3%a9%2f", true),
            ("HTTPS://API.example:443/orders/a-b/%C3%A9%2F", true),
            ("https://api.example:/orders/a-b/%C3%A9%2F", true),
            ("https://api.example/orders/a%2Db/%C3%A9%2F", true),
            ("https://api.example/x/../orders/./a-b/%C3%A9%2F", true),
            ("https://api.example/orders/a-b/%C3%A9%2F?page=2#top", true),
            ("https://api.example/orders/a-b/%C3%A9%2F?page=3", true),
            ("http://api.example/orders/a-b/%C3%A9%2F", false),
            ("https://api.example:8443/orders/a-b/%C3%A9%2F", false),
            ("https://api.example:80/orders/a-b/%C3%A9%2F", false),
            ("https://api.example.evil/orders/a-b/%C3%A9%2F", false),
            ("https://evil@api.example/orders/a-b/%C3%A9%2F", false),
            ("https://api.example/orders/a-b/%C3%A9/", false),
            ("https://api.example/orders/A-b/%C3%A9%2F", false),
            ("https://api.example/orders/a-b/%C3%A9%2F/", false),
            ("https://api.example/orders/a-b", false),
            ("//api.example/orders/a-b/%C3%A9%2F", false),
            ("/orders/a-b/%C3%A9%2F", false),
            ("https:/api.example/orders/a-b/%C3%A9%2F", false),
            ("https:///orders/a-b/%C3%A9%2F", false),
            ("ftp://api.example/orders/a-b/%C3%A9%2F", false),
            ("https://api.example\\@evil/orders/a-b/%C3%A9%2F", false),
            (" https://api.example/orders/a-b/%C3%A9%2F", false),
            ("", false),
        ] {
            assert_eq!(target.is(htu), expected, "{htu}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn no_path_is_the_root() {
        let origins = [Origin::new(b"http", b"LocalHost:80").unwrap()];
        for htu in [
            "http://localhost",
            "http://localhost/",
            "http://localhost:80?a",
        ] {
            assert!(Target::new(&origins[..], b"/").is(htu), "{htu}");
        }
        assert!(!Target::new(&origins[..], b"/").is("http://localhost/a"));
        assert!(Target::new(&origins[..], b"").is("http://localhost/"));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_origin_is_one_of_http() {
        for (text, expected) in [
            ("https://api.example", true),
            ("https://api.example/", true),
            ("http://[::1]:8080", true),
            ("https://api.example/path", false),
            ("https://api.example?query", false),
            ("wss://api.example", false),
            ("api.example", false),
            ("https://", false),
            ("https://a b", false),
        ] {
            assert_eq!(Origin::parse(text).is_some(), expected, "{text}");
        }
        for authority in [
            &b""[..],
            b"a/b",
            b"user@a",
            b"a b",
            b"a\0",
            b"\xff",
            b":443",
        ] {
            assert_eq!(Origin::new(b"https", authority), None, "{authority:?}");
        }
        assert_eq!(Origin::new(b"ws", b"a"), None);
    }
}
