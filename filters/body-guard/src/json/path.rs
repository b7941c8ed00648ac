//! Where in a document something stands: a part of `JSONPath` (RFC 9535).

use std::fmt;

use smallvec::SmallVec;

/// More segments than this no path has.
const LONGEST: usize = 64;

/// A path: names, indices, `*`, and `..` before any of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    text: Box<str>,
    segments: Box<[Segment]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Segment {
    /// `..`: at this depth or any below it.
    descends: bool,
    selector: Selector,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Selector {
    Name(Box<str>),
    Index(usize),
    Any,
}

/// What a value is to the one that holds it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Child<'a> {
    Name(&'a [u8]),
    Index(usize),
}

/// How much of which paths leads to a value: the path's number, and how many of its segments.
pub(super) type Places = SmallVec<[(u16, u16); 6]>;

impl Path {
    /// Reads a path. The error says what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some(mut rest) = text.strip_prefix('$') else {
            return Err("a path begins with `$`, such as `$.user.email`".to_owned());
        };
        let mut segments = Vec::new();
        while !rest.is_empty() {
            let (segment, after) = Segment::parse(rest)?;
            segments.push(segment);
            rest = after;
        }
        if segments.len() > LONGEST {
            return Err(format!("a path has {LONGEST} segments at most"));
        }
        Ok(Self {
            text: text.into(),
            segments: segments.into(),
        })
    }

    /// The path as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is the whole document.
    pub fn is_root(&self) -> bool {
        self.segments.is_empty()
    }

    /// Whether it leads to one value at most.
    pub(super) fn is_singular(&self) -> bool {
        let is_one =
            |segment: &Segment| !segment.descends && !matches!(segment.selector, Selector::Any);
        self.segments.iter().all(is_one)
    }

    /// Whether so many of its segments are all.
    pub(super) fn is_whole(&self, segments: u16) -> bool {
        usize::from(segments) == self.segments.len()
    }

    /// Whether its last segment is what comes after so many, and stands right below them:
    /// a value at this place is one that should hold the path's.
    pub(super) fn is_holder(&self, segments: u16) -> bool {
        usize::from(segments).saturating_add(1) == self.segments.len()
            && self.descends(segments) == Some(false)
    }

    /// Whether somewhere in it is a `..`.
    pub(super) fn ever_descends(&self) -> bool {
        self.segments.iter().any(|segment| segment.descends)
    }

    fn descends(&self, segments: u16) -> Option<bool> {
        let segment = self.segments.get(usize::from(segments))?;
        Some(segment.descends)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The document itself, to all paths.
pub(super) fn root(paths: usize) -> Places {
    (0..u16::try_from(paths).unwrap_or(u16::MAX))
        .map(|path| (path, 0))
        .collect()
}

/// Where a child of a value at `places` is.
pub(super) fn below<'a>(
    places: &Places,
    path_of: impl Fn(u16) -> Option<&'a Path>,
    child: Child<'_>,
) -> Places {
    let mut found = Places::new();
    let mut add = |place| {
        if !found.contains(&place) {
            found.push(place);
        }
    };
    for (number, done) in places {
        let path = path_of(*number);
        let Some(segment) = path.and_then(|path| path.segments.get(usize::from(*done))) else {
            continue;
        };
        if segment.descends {
            add((*number, *done));
        }
        if segment.selector.takes(child) {
            add((*number, done.saturating_add(1)));
        }
    }
    found
}

impl Selector {
    fn takes(&self, child: Child<'_>) -> bool {
        match (self, child) {
            (Self::Any, _) => true,
            (Self::Name(name), Child::Name(given)) => name.as_bytes() == given,
            (Self::Index(index), Child::Index(given)) => *index == given,
            _ => false,
        }
    }
}

impl Segment {
    /// Reads one, and gives what comes after it.
    fn parse(text: &str) -> Result<(Self, &str), String> {
        let (descends, rest) = match text.strip_prefix("..") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (selector, rest) = if let Some(rest) = rest.strip_prefix('[') {
            Selector::in_brackets(rest)?
        } else {
            let name = match (descends, rest.strip_prefix('.')) {
                (true, _) => rest,
                (false, Some(name)) => name,
                (false, None) => {
                    return Err(format!(
                        "`{text}` is no segment of a path: `.name`, `[0]`, `['name']`, `.*` or `..name`"
                    ));
                }
            };
            Selector::after_dot(name)?
        };
        Ok((Self { descends, selector }, rest))
    }
}

impl Selector {
    fn after_dot(text: &str) -> Result<(Self, &str), String> {
        if let Some(rest) = text.strip_prefix('*') {
            return Ok((Self::Any, rest));
        }
        let is_part = |character: char| {
            character.is_ascii_alphanumeric() || character == '_' || !character.is_ascii()
        };
        let end = text
            .find(|character| !is_part(character))
            .unwrap_or(text.len());
        let (name, rest) = text.split_at_checked(end).unwrap_or((text, ""));
        let begins_with_digit = name.starts_with(|first: char| first.is_ascii_digit());
        if name.is_empty()
            || begins_with_digit
            || !(rest.is_empty() || rest.starts_with(['.', '[']))
        {
            let word = text.split(['.', '[']).next().unwrap_or_default();
            return Err(format!(
                "`{word}` after a dot is no name: in brackets and quotes any is, `['{word}']`"
            ));
        }
        Ok((Self::Name(name.into()), rest))
    }

    /// After `[`.
    fn in_brackets(text: &str) -> Result<(Self, &str), String> {
        let quote = text
            .chars()
            .next()
            .filter(|first| matches!(first, '\'' | '"'));
        if let Some(quote) = quote {
            let mut name = String::new();
            let mut characters = text.char_indices().skip(1);
            while let Some((at, character)) = characters.next() {
                if character == quote {
                    let rest = text.get(at.saturating_add(1)..).unwrap_or_default();
                    let Some(rest) = rest.strip_prefix(']') else {
                        return Err("after a name in brackets comes `]`: of several names, write a path each".to_owned());
                    };
                    return Ok((Self::Name(name.into()), rest));
                }
                if character == '\\' {
                    match characters.next() {
                        Some((_, escaped @ ('\\' | '\'' | '"'))) => name.push(escaped),
                        _ => return Err("in a name only quotes and `\\` are escaped".to_owned()),
                    }
                } else {
                    name.push(character);
                }
            }
            return Err("a name in brackets ends with its quote and `]`".to_owned());
        }
        let Some((inside, rest)) = text.split_once(']') else {
            return Err("`[` without its `]`".to_owned());
        };
        if inside == "*" {
            return Ok((Self::Any, rest));
        }
        let is_index = !inside.is_empty()
            && inside.bytes().all(|byte| byte.is_ascii_digit())
            && (inside == "0" || !inside.starts_with('0'));
        match inside.parse() {
            Ok(index) if is_index => Ok((Self::Index(index), rest)),
            _ => Err(format!(
                "`[{inside}]`: in brackets stands a name in quotes, an index from 0 on, or `*`; slices and filters are not read"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn leads(path: &str, to: &[Child<'_>]) -> bool {
        let path = Path::parse(path).unwrap();
        let mut places = root(1);
        for child in to {
            places = below(&places, |_| Some(&path), *child);
        }
        places.iter().any(|(_, done)| path.is_whole(*done))
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn leads_to_what_it_says() {
        let name = |name: &'static str| Child::Name(name.as_bytes());
        for (path, to, expected) in [
            ("$", vec![], true),
            ("$", vec![name("a")], false),
            ("$.a", vec![name("a")], true),
            ("$.a", vec![name("a"), name("a")], false),
            ("$['a b'][\"c.d\"]", vec![name("a b"), name("c.d")], true),
            ("$['it\\'s']", vec![name("it's")], true),
            ("$.a[1]", vec![name("a"), Child::Index(1)], true),
            ("$.a[1]", vec![name("a"), name("1")], false),
            (
                "$.a[*].b",
                vec![name("a"), Child::Index(7), name("b")],
                true,
            ),
            ("$.*", vec![Child::Index(7)], true),
            ("$..b", vec![name("b")], true),
            ("$..b", vec![name("a"), Child::Index(7), name("b")], true),
            ("$..b", vec![name("b"), name("a")], false),
            ("$..b.c", vec![name("b"), name("b"), name("c")], true),
            ("$.a..*", vec![name("a"), name("x"), name("y")], true),
            ("$.a..*", vec![name("a")], false),
            ("$..[0]", vec![name("a"), Child::Index(0)], true),
            ("$.größe", vec![name("größe")], true),
        ] {
            assert_eq!(leads(path, &to), expected, "{path} {to:?}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn says_what_is_wrong() {
        for (path, error) in [
            ("", "begins with `$`"),
            ("user", "begins with `$`"),
            ("$user", "is no segment"),
            ("$.", "is no name"),
            ("$.a-b", "['a-b']"),
            ("$.a b", "['a b']"),
            ("$.1", "['1']"),
            ("$[", "without its `]`"),
            ("$[-1]", "an index from 0"),
            ("$[01]", "an index from 0"),
            ("$[1:2]", "slices"),
            ("$[?@.a]", "filters"),
            ("$['a'", "comes `]`"),
            ("$['a','b']", "a path each"),
            ("$['a", "ends with its quote"),
            ("$...a", "is no name"),
        ] {
            let told = Path::parse(path).unwrap_err();
            assert!(told.contains(error), "{path}: {told}");
        }
        assert!(Path::parse(&format!("${}", ".a".repeat(65))).is_err());
    }
}
