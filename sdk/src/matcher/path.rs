//! Paths in one normal form.

use std::borrow::Cow;
use std::fmt;

/// The path without query and fragment, and the query without either mark.
pub(crate) fn split_path(path: &[u8]) -> (&[u8], &[u8]) {
    let end = path.iter().position(|byte| matches!(byte, b'?' | b'#'));
    let (path, rest) = path
        .split_at_checked(end.unwrap_or(path.len()))
        .unwrap_or((path, b""));
    let Some(query) = rest.strip_prefix(b"?") else {
        return (path, b"");
    };
    let end = query.iter().position(|byte| *byte == b'#');
    (
        path,
        query.get(..end.unwrap_or(query.len())).unwrap_or(query),
    )
}

/// The path of a `:path` in the form that paths are matched in, whatever Envoy
/// was told to do with it:
///
/// - no query, no fragment; of an absolute URL, its path;
/// - escapes of unreserved characters are decoded, once; other escapes stay,
///   in upper case: `%2f` (or `%5c`) becomes `%2F` and no slash;
/// - bytes that may not stand in a path are escaped (`é` is `%C3%A9`), and so is
///   a percent sign that begins no escape;
/// - a backslash is a slash;
/// - `.` and `..` segments are resolved, then slashes merged, in this order as
///   Envoy does it;
/// - it begins with `/`, unless it is `*`.
///
/// Parameters (`/a;b=c`) stay: they are part of their segment. Nothing is
/// allocated where the path is in this form already.
///
/// ```
/// use legation::matcher::normalize_path;
///
/// assert_eq!(&*normalize_path(b"/a//./%62/../c%2fd?e"), b"/a/c%2Fd");
/// ```
pub fn normalize_path(raw: &[u8]) -> Cow<'_, [u8]> {
    let path = split_path(raw).0;
    if path == b"*" || is_normal(path) {
        return Cow::Borrowed(path);
    }
    Cow::Owned(merge_slashes(resolve_dots(&unify(after_authority(path)))))
}

/// The path of `http://host/path`; any other path as it is.
pub(super) fn after_authority(path: &[u8]) -> &[u8] {
    if path.starts_with(b"/") {
        return path;
    }
    let scheme = path
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte))
        .count();
    let after = path
        .get(scheme..)
        .and_then(|rest| rest.strip_prefix(b"://"));
    match after {
        Some(rest) if scheme > 0 => {
            let host = rest.iter().position(|byte| matches!(byte, b'/' | b'\\'));
            rest.get(host.unwrap_or(rest.len())..).unwrap_or_default()
        }
        _ => path,
    }
}

pub(super) fn is_normal(path: &[u8]) -> bool {
    if !path.starts_with(b"/") {
        return false;
    }
    let mut rest = path;
    while let Some((byte, after)) = rest.split_first() {
        let normal = match byte {
            b'/' => !matches!(
                after,
                [b'/', ..] | [b'.'] | [b'.', b'/', ..] | [b'.', b'.'] | [b'.', b'.', b'/', ..]
            ),
            b'%' => match after {
                [high, low, ..] => {
                    !high.is_ascii_lowercase()
                        && !low.is_ascii_lowercase()
                        && escaped(*high, *low).is_some_and(|byte| !is_unreserved(byte))
                }
                _ => false,
            },
            byte => stays(*byte),
        };
        if !normal {
            return false;
        }
        rest = after;
    }
    true
}

/// One spelling for each character.
pub(super) fn unify(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len().saturating_add(1));
    if !path.starts_with(b"/") && !path.starts_with(b"\\") {
        out.push(b'/');
    }
    let mut rest = path;
    while let Some((&byte, mut after)) = rest.split_first() {
        match (byte, after) {
            (b'%', [high, low, behind @ ..]) => match escaped(*high, *low) {
                Some(byte) => {
                    after = behind;
                    if is_unreserved(byte) {
                        out.push(byte);
                    } else {
                        push_escape(&mut out, byte);
                    }
                }
                None => push_escape(&mut out, b'%'),
            },
            (b'\\', _) => out.push(b'/'),
            (byte, _) if byte != b'%' && (byte == b'/' || stays(byte)) => out.push(byte),
            (byte, _) => push_escape(&mut out, byte),
        }
        rest = after;
    }
    out
}

fn push_escape(out: &mut Vec<u8>, byte: u8) {
    out.extend_from_slice(percent_encoding::percent_encode_byte(byte).as_bytes());
}

/// RFC 3986, section 5.2.4. An empty segment counts as one.
pub(super) fn resolve_dots(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut segments = path
        .strip_prefix(b"/")
        .unwrap_or(path)
        .split(|byte| *byte == b'/')
        .peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            b"." => {}
            b".." => {
                let parent = out.iter().rposition(|byte| *byte == b'/');
                out.truncate(parent.unwrap_or_default());
            }
            name => {
                out.push(b'/');
                out.extend_from_slice(name);
                continue;
            }
        }
        if last {
            out.push(b'/');
        }
    }
    if out.is_empty() {
        out.push(b'/');
    }
    out
}

pub(super) fn merge_slashes(mut path: Vec<u8>) -> Vec<u8> {
    path.dedup_by(|next, kept| *next == b'/' && *kept == b'/');
    path
}

/// The byte of an escape with these digits.
pub(super) fn escaped(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let value = digit(high)?.checked_mul(16)?.checked_add(digit(low)?)?;
    u8::try_from(value).ok()
}

/// RFC 3986, section 2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// What may stand in a segment as it is: RFC 3986, section 3.3.
const fn stays(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'!' | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@'
        )
}

/// What servers behind a proxy are known to read differently than the proxy: a
/// filter that lets a request pass because of its path does well to refuse these.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ambiguity(u8);

impl Ambiguity {
    /// `%2F` or `%5C`: some servers decode it to a slash.
    pub const ESCAPED_SLASH: Self = Self(1);
    /// `;`: some servers drop what follows it in a segment.
    pub const PARAMETERS: Self = Self(1 << 1);
    /// `..;` or `.;`: to the same servers a dot segment.
    pub const DOT_PARAMETERS: Self = Self(1 << 2);
    /// A percent sign that begins no escape.
    pub const INVALID_ESCAPE: Self = Self(1 << 3);
    /// The escape of a control character, such as `%00`.
    pub const ESCAPED_CONTROL: Self = Self(1 << 4);
    /// An escaped escape, such as `%252F`.
    pub const DOUBLE_ESCAPE: Self = Self(1 << 5);
    /// A backslash.
    pub const BACKSLASH: Self = Self(1 << 6);
    /// A path that does not begin with a slash and is not `*`.
    pub const NOT_ABSOLUTE: Self = Self(1 << 7);

    const NAMES: [(Self, &'static str); 8] = [
        (Self::ESCAPED_SLASH, "escaped slash"),
        (Self::PARAMETERS, "path parameters"),
        (Self::DOT_PARAMETERS, "dot segment with parameters"),
        (Self::INVALID_ESCAPE, "invalid escape"),
        (Self::ESCAPED_CONTROL, "escaped control character"),
        (Self::DOUBLE_ESCAPE, "double escape"),
        (Self::BACKSLASH, "backslash"),
        (Self::NOT_ABSOLUTE, "not absolute"),
    ];

    /// What there is of these in a `:path`.
    pub fn of(raw: &[u8]) -> Self {
        let path = split_path(raw).0;
        let mut found = Self::default();
        if !path.starts_with(b"/") && path != b"*" {
            found = found.with(Self::NOT_ABSOLUTE);
        }
        let mut rest = path;
        while let Some((byte, after)) = rest.split_first() {
            found = found.with(match byte {
                b'\\' => Self::BACKSLASH,
                b';' => Self::PARAMETERS,
                b'%' => Self::of_escape(after),
                _ => Self::default(),
            });
            rest = after;
        }
        if found.contains(Self::PARAMETERS) {
            // Dots may be escaped: look at them decoded.
            let unified = unify(path);
            let mut segments = unified.split(|byte| *byte == b'/');
            if segments.any(|segment| segment.starts_with(b".;") || segment.starts_with(b"..;")) {
                found = found.with(Self::DOT_PARAMETERS);
            }
        }
        found
    }

    fn of_escape(after: &[u8]) -> Self {
        let [high, low, behind @ ..] = after else {
            return Self::INVALID_ESCAPE;
        };
        match escaped(*high, *low) {
            None => Self::INVALID_ESCAPE,
            Some(b'/' | b'\\') => Self::ESCAPED_SLASH,
            Some(b'%') if matches!(behind, [h, l, ..] if escaped(*h, *l).is_some()) => {
                Self::DOUBLE_ESCAPE
            }
            Some(0..0x20 | 0x7f) => Self::ESCAPED_CONTROL,
            Some(_) => Self::default(),
        }
    }

    /// Whether there is nothing ambiguous.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether one of these is there.
    pub const fn contains(self, any: Self) -> bool {
        self.0 & any.0 != 0
    }

    /// These and those.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Their names, joined by commas.
impl fmt::Display for Ambiguity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (ambiguity, name) in Self::NAMES {
            if self.contains(ambiguity) {
                f.write_str(separator)?;
                f.write_str(name)?;
                separator = ", ";
            }
        }
        Ok(())
    }
}
