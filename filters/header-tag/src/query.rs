//! Changes of a request's query.
//!
//! Parameters are told apart by their decoded names. Those that nobody names stay as they
//! are, byte for byte and in their order. Some servers take `;` for `&`: a parameter behind
//! one is found too, so that `?a=1;tag=forged` brings no second `tag` past a rule that sets or
//! removes it.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

/// What is done to the parameters of one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edit<'a> {
    Remove(&'a str),
    Rename(&'a str, &'a str),
    /// `None` where the value came out empty.
    Set(&'a str, Option<&'a [u8]>),
    Append(&'a str, Option<&'a [u8]>),
}

/// All but what RFC 3986, section 2.3, leaves alone.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

impl Edit<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Remove(name)
            | Self::Rename(name, _)
            | Self::Set(name, _)
            | Self::Append(name, _) => name,
        }
    }
}

/// The `:path` with these changes; `None` where nothing changes. The path itself, and a
/// fragment, stay as they are.
pub(crate) fn edit(path: &[u8], edits: &[Edit<'_>]) -> Option<Vec<u8>> {
    // `*` and what else is no path has no query.
    if !path.starts_with(b"/") {
        return None;
    }
    let end = path.iter().position(|byte| *byte == b'#');
    let (path_and_query, fragment) = path.split_at_checked(end.unwrap_or(path.len()))?;
    let start = path_and_query.iter().position(|byte| *byte == b'?');
    let (before, query) = path_and_query.split_at_checked(start.unwrap_or(path_and_query.len()))?;

    let mut query_out = Out {
        bytes: Vec::with_capacity(path.len()),
        parts: 0,
    };
    let mut done = vec![false; edits.len()];
    for (separator, part) in parts(query.strip_prefix(b"?").unwrap_or_default()) {
        let name = part.split(|byte| *byte == b'=').next().unwrap_or_default();
        let decoded = decode(name);
        let mut found = edits.iter().zip(&mut done);
        let found = found.find(|(edit, _)| edit.name().as_bytes() == &*decoded);
        let rest = part.get(name.len()..).unwrap_or_default();
        match found {
            Some((Edit::Rename(_, to), _)) => {
                query_out.push(separator, &[&escape(to.as_bytes()), rest]);
            }
            Some((Edit::Set(_, Some(value)), done)) if !*done => {
                *done = true;
                query_out.push(separator, &[name, b"=", &escape(value)]);
            }
            Some((Edit::Remove(_) | Edit::Set(..), _)) => {}
            Some((Edit::Append(..), _)) | None => query_out.push(separator, &[part]),
        }
    }
    for (edit, done) in edits.iter().zip(done) {
        if let Edit::Set(name, Some(value)) | Edit::Append(name, Some(value)) = edit
            && !done
        {
            query_out.push(b'&', &[&escape(name.as_bytes()), b"=", &escape(value)]);
        }
    }

    let mut out = before.to_vec();
    if query_out.parts > 0 {
        out.push(b'?');
        out.extend_from_slice(&query_out.bytes);
    }
    out.extend_from_slice(fragment);
    // A `?` with nothing behind it is no reason to write the path anew.
    let same = out == path || (query == b"?" && query_out.parts == 0);
    (!same).then_some(out)
}

struct Out {
    bytes: Vec<u8>,
    parts: usize,
}

impl Out {
    fn push(&mut self, separator: u8, pieces: &[&[u8]]) {
        if self.parts > 0 {
            self.bytes.push(separator);
        }
        self.parts = self.parts.saturating_add(1);
        for piece in pieces {
            self.bytes.extend_from_slice(piece);
        }
    }
}

/// The parts of a query, each with what stands before it.
fn parts(query: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = (!query.is_empty()).then_some((b'&', query));
    std::iter::from_fn(move || {
        let (separator, text) = rest?;
        let end = text.iter().position(|byte| matches!(byte, b'&' | b';'));
        let (part, after) = text.split_at_checked(end.unwrap_or(text.len()))?;
        rest = after
            .split_first()
            .map(|(separator, text)| (*separator, text));
        Some((separator, part))
    })
}

fn decode(name: &[u8]) -> Cow<'_, [u8]> {
    if !name.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(name);
    }
    let spaced = name
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte });
    Cow::Owned(percent_decode(&spaced.collect::<Vec<_>>()).collect())
}

fn escape(text: &[u8]) -> Vec<u8> {
    percent_encode(text, ESCAPED).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn edited(path: &str, edits: &[Edit<'_>]) -> Option<String> {
        edit(path.as_bytes(), edits).map(|path| String::from_utf8(path).unwrap())
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_named_parameters_change_and_the_others_stay_as_they_are() {
        let set = Edit::Set("tag", Some(b"blue"));
        for (edit, path, result) in [
            (set, "/a", Some("/a?tag=blue")),
            (set, "/a?", Some("/a?tag=blue")),
            (set, "/a?b=%2f+%zz&&c", Some("/a?b=%2f+%zz&&c&tag=blue")),
            (
                set,
                "/a?x=1&tag=red&y=2&tag=green",
                Some("/a?x=1&tag=blue&y=2"),
            ),
            (set, "/a?x=1&t%61g=red;y", Some("/a?x=1&t%61g=blue;y")),
            (set, "/a?tag", Some("/a?tag=blue")),
            (set, "/a?tag=blue", None),
            (set, "/a?x=1;tag=red&y", Some("/a?x=1;tag=blue&y")),
            (set, "/a?Tag=1#f?tag=2", Some("/a?Tag=1&tag=blue#f?tag=2")),
            (set, "/a#f", Some("/a?tag=blue#f")),
            (set, "*", None),
            (Edit::Set("tag", None), "/a?x&tag=red", Some("/a?x")),
            (Edit::Set("tag", None), "/a?tag=red", Some("/a")),
            (
                Edit::Set("a b", Some(b"c&d=\xc3\xa9+1")),
                "/?a+b=1",
                Some("/?a+b=c%26d%3D%C3%A9%2B1"),
            ),
            (Edit::Remove("tag"), "/a?tag=1&x=2&tag&y", Some("/a?x=2&y")),
            (Edit::Remove("tag"), "/a?x=1;tag=2", Some("/a?x=1")),
            (Edit::Remove("tag"), "/a?x=tag", None),
            (Edit::Remove("tag"), "/a?", None),
            (
                Edit::Rename("b", "tag"),
                "/a?b=%2f&c&b",
                Some("/a?tag=%2f&c&tag"),
            ),
            (Edit::Rename("b", "x&y"), "/a?b=1", Some("/a?x%26y=1")),
            (
                Edit::Append("tag", Some(b"b")),
                "/a?tag=a&x",
                Some("/a?tag=a&x&tag=b"),
            ),
            (Edit::Append("tag", None), "/a?tag=a", None),
        ] {
            assert_eq!(edited(path, &[edit]).as_deref(), result, "{edit:?} {path}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_written_is_read_back_as_one_parameter() {
        let values = ["a", " &;=#?%+/", "\u{e9}\u{1f600}", "%26x=1"];
        for value in values {
            let path = edited("/a?x=1", &[Edit::Set("t", Some(value.as_bytes()))]).unwrap();
            let query = path.split_once('?').unwrap().1;
            assert_eq!(
                query.matches(['&', ';', '#', '?', ' ']).count(),
                1,
                "{path}"
            );
            let (_, written) = query.rsplit_once("t=").unwrap();
            assert_eq!(decode(written.as_bytes()), value.as_bytes());
        }
    }
}
