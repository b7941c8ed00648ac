//! What servers behind the proxy make of a path that they read in their own way.

use super::path::{
    after_authority, escaped, is_normal, merge_slashes, resolve_dots, split_path, unify,
};

/// How often escapes are decoded: once by a server, and once more by what stands
/// behind it.
const DECODED: usize = 2;

/// The paths that servers are known to make of a `:path`, beside its
/// [normal form](super::normalize_path): each once, and none for a path that all
/// read alike. In the same form, but for the first.
///
/// - as it stands, dots and slashes as they are: `/a/../b`;
/// - with its escapes decoded, of slashes too, once and twice, cut off where a `?` or
///   `#` appears; without the parameters of its segments (`;v=1`), so that `..;`
///   is `..`: `/public/..;/admin` is `/admin`; slashes merged behind the dots and before
///   them: `/a/x//../../b` is `/a/b`, and `/b`.
///
/// A filter that lets a request pass because of its path looks at these too, and
/// lets it pass only where it would under all of them.
pub fn other_readings(raw: &[u8]) -> Vec<Vec<u8>> {
    let path = split_path(raw).0;
    let marked = |byte: &u8| matches!(byte, b'%' | b';');
    if path == b"*" || (is_normal(path) && !path.iter().any(marked)) {
        return Vec::new();
    }
    let path = after_authority(path);
    let unified = unify(path);
    let normal = merge_slashes(resolve_dots(&unified));
    let mut readings: Vec<Vec<u8>> = Vec::new();
    let mut add = |reading: Vec<u8>| {
        if reading != normal && !readings.contains(&reading) {
            readings.push(reading);
        }
    };
    add(unified);
    let mut decoded = path.to_vec();
    for _ in 0..=DECODED {
        let path = split_path(&decoded).0;
        let plain = without_parameters(path);
        let unified = unify(&plain);
        add(merge_slashes(resolve_dots(&unified)));
        // `//..` goes up from an empty segment, or from the one before it.
        add(resolve_dots(&merge_slashes(unified)));
        decoded = decode(path);
    }
    readings
}

/// Each segment up to its first `;`. A backslash separates segments too.
fn without_parameters(path: &[u8]) -> Vec<u8> {
    let mut is_parameter = false;
    let kept = path.iter().copied().filter(|byte| {
        match byte {
            b'/' | b'\\' => is_parameter = false,
            b';' => is_parameter = true,
            _ => {}
        }
        !is_parameter
    });
    kept.collect()
}

/// Every escape decoded, once. What is none stays.
fn decode(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if let (b'%', [high, low, behind @ ..]) = (byte, after)
            && let Some(byte) = escaped(*high, *low)
        {
            out.push(byte);
            rest = behind;
        } else {
            out.push(byte);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::other_readings;

    fn readings(path: &str) -> Vec<String> {
        let readings = other_readings(path.as_bytes());
        let text = |path: &Vec<u8>| String::from_utf8_lossy(path).into_owned();
        readings.iter().map(text).collect()
    }

    #[test]
    fn what_all_read_alike_has_no_other_reading() {
        for path in [
            "/",
            "/a/b",
            "/a/b?c=%2F;..",
            "/a/b/",
            "*",
            "/a,b=c",
            "/a%20b",
            "/%C3%A9",
            "/%61",
        ] {
            assert_eq!(readings(path), Vec::<String>::new(), "{path}");
        }
    }

    #[test]
    fn every_other_reading_is_told_once() {
        for (path, expected) in [
            ("/a/../b", &["/a/../b"][..]),
            ("/a/x//../../b", &["/a/x//../../b", "/b"]),
            ("//a", &["//a"]),
            ("/a;v=1/b;w", &["/a/b"]),
            ("/public/..;/admin", &["/admin"]),
            ("/public/..;a=b/admin", &["/admin"]),
            ("/public/.;/x", &["/public/x"]),
            ("/public/%2e%2e;/admin", &["/admin"]),
            ("/public/..%3b/admin", &["/admin"]),
            ("/a%2Fb", &["/a/b"]),
            ("/a%5cb", &["/a/b"]),
            ("/a\\b", &[]),
            ("/public/..%2fadmin", &["/admin"]),
            ("/public/..%252fadmin", &["/public/..%2Fadmin", "/admin"]),
            ("/public/%252e%252e/admin", &["/admin"]),
            ("/a%23/b", &["/a"]),
            ("/a%3Fb", &["/a"]),
            ("/a#b", &[]),
            ("http://host/a;b", &["/a"]),
            ("/%", &[]),
            ("/a%00b", &[]),
        ] {
            assert_eq!(readings(path), expected, "{path}");
        }
    }
}
