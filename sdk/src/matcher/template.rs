//! Path templates: `/users/{id}/files/**`.

use std::str::FromStr;

use crate::config::{Problem, quoted};

/// A path with some of its segments open.
///
/// `*` and `{name}` stand for one segment that is not empty, or with text around
/// them for a part of one (`/v{version}/report-*.pdf`). `**` or `{name=**}` at
/// the end stands for any number of segments, also none: `/a/**` takes `/a`,
/// `/a/` and `/a/b/c`, and not `/ab`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    segments: Vec<Segment>,
    open_end: bool,
    /// The names of the open parts, each with the number of its segment. That of the
    /// open end is the number behind the last.
    names: Vec<(Box<str>, usize)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(Box<str>),
    Open { before: Box<str>, after: Box<str> },
}

impl Template {
    /// Whether a path in normal form fits.
    pub(super) fn matches(&self, path: &[u8], ignore_case: bool) -> bool {
        let Some(path) = path.strip_prefix(b"/") else {
            return false;
        };
        let mut parts = path.split(|byte| *byte == b'/');
        if self.segments.is_empty() {
            return self.open_end || path.is_empty();
        }
        for segment in &self.segments {
            let fits = parts
                .next()
                .is_some_and(|part| segment.fits(part, ignore_case));
            if !fits {
                return false;
            }
        }
        self.open_end || parts.next().is_none()
    }

    /// Whether a part has this name.
    pub(super) fn captures(&self, name: &str) -> bool {
        self.names.iter().any(|(own, _)| **own == *name)
    }

    /// The part of this name of a path in normal form that fits.
    pub(super) fn capture<'p>(
        &self,
        path: &'p [u8],
        ignore_case: bool,
        name: &str,
    ) -> Option<&'p [u8]> {
        let (_, number) = self.names.iter().find(|(own, _)| **own == *name)?;
        if !self.matches(path, ignore_case) {
            return None;
        }
        let path = path.strip_prefix(b"/")?;
        let Some(segment) = self.segments.get(*number) else {
            let mut rest = path;
            for _ in 0..*number {
                let end = rest.iter().position(|byte| *byte == b'/')?;
                rest = rest.get(end.saturating_add(1)..)?;
            }
            return Some(rest);
        };
        let part = path.split(|byte| *byte == b'/').nth(*number)?;
        let Segment::Open { before, after } = segment else {
            return None;
        };
        part.get(before.len()..part.len().saturating_sub(after.len()))
    }

    /// A path that fits, to see whether any path in normal form can.
    pub(super) fn example(&self) -> String {
        let mut path = String::new();
        for segment in &self.segments {
            path.push('/');
            match segment {
                Segment::Literal(text) => path.push_str(text),
                Segment::Open { before, after } => {
                    path.push_str(before);
                    path.push('x');
                    path.push_str(after);
                }
            }
        }
        if self.open_end || path.is_empty() {
            path.push_str("/x");
        }
        path
    }
}

impl Segment {
    fn fits(&self, part: &[u8], ignore_case: bool) -> bool {
        let same = |one: Option<&[u8]>, other: &str| {
            one.is_some_and(|one| {
                if ignore_case {
                    one.eq_ignore_ascii_case(other.as_bytes())
                } else {
                    one == other.as_bytes()
                }
            })
        };
        match self {
            Self::Literal(text) => same(Some(part), text),
            Self::Open { before, after } => {
                let fixed = before.len().saturating_add(after.len());
                let end = part.len().saturating_sub(after.len());
                part.len() > fixed
                    && same(part.get(..before.len()), before)
                    && same(part.get(end..), after)
            }
        }
    }
}

impl FromStr for Template {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let Some(path) = text.strip_prefix('/') else {
            return Err(Problem::new(format!(
                "a template begins with `/`, got {}",
                quoted(text)
            )));
        };
        let mut names = Vec::new();
        let mut parts_with_names: Vec<(Box<str>, usize)> = Vec::new();
        let mut segments = Vec::new();
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            let known = names.len();
            let read = read(part, &mut names)?;
            let new = names.iter().skip(known);
            parts_with_names.extend(new.map(|name| (Box::from(*name), segments.len())));
            match read {
                Part::Segments if parts.peek().is_some() => {
                    return Err(Problem::new("`**` stands at the end of a template only"));
                }
                Part::Segments => {
                    return Ok(Self {
                        segments,
                        open_end: true,
                        names: parts_with_names,
                    });
                }
                Part::Segment(Segment::Literal(text)) if text.is_empty() && path.is_empty() => {}
                Part::Segment(segment) => segments.push(segment),
            }
        }
        Ok(Self {
            segments,
            open_end: false,
            names: parts_with_names,
        })
    }
}

enum Part {
    Segment(Segment),
    Segments,
}

fn read<'a>(part: &'a str, names: &mut Vec<&'a str>) -> Result<Part, Problem> {
    let Some(start) = part.find(['{', '*', '}']) else {
        return Ok(Part::Segment(Segment::Literal(part.into())));
    };
    let (before, open) = part.split_at(start);
    let (wildcard, after) = if let Some(inside) = open.strip_prefix('{') {
        let Some((variable, after)) = inside.split_once('}') else {
            return Err(Problem::new(format!(
                "{} has a `{{` without `}}`",
                quoted(part)
            )));
        };
        let (name, wildcard) = variable.split_once('=').unwrap_or((variable, "*"));
        let is_name = name.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_')
            && name
                .chars()
                .all(|char| char.is_ascii_alphanumeric() || char == '_');
        if !is_name {
            let problem = Problem::new(format!("{} is not the name of a variable", quoted(name)));
            return Err(problem.help("letters, digits and `_`, such as `{user_id}`"));
        }
        if names.contains(&name) {
            return Err(Problem::new(format!(
                "the variable `{name}` is there twice"
            )));
        }
        names.push(name);
        (wildcard, after)
    } else {
        let literal = open.trim_start_matches('*');
        open.split_at(open.len().saturating_sub(literal.len()))
    };
    match wildcard {
        "**" if before.is_empty() && after.is_empty() => Ok(Part::Segments),
        "**" => Err(Problem::new("`**` stands for whole segments").help("write `/**` at the end")),
        "*" if !after.contains(['{', '*', '}']) => Ok(Part::Segment(Segment::Open {
            before: before.into(),
            after: after.into(),
        })),
        "*" => Err(Problem::new(format!(
            "{} has more than one open part in a segment",
            quoted(part)
        ))),
        _ => Err(Problem::new(format!("{} is not a template", quoted(part)))
            .help("write `*`, `**`, `{name}` or `{name=**}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_paths_segment_by_segment() {
        for (template, fits, not) in [
            ("/", &["/"][..], &["/a", "//", ""][..]),
            ("/a", &["/a"], &["/a/", "/ab", "/A", "/", "*"]),
            ("/a/", &["/a/"], &["/a", "/a/b"]),
            ("/**", &["/", "/a", "/a/b/"], &["*", ""]),
            ("/a/**", &["/a", "/a/", "/a/b/c"], &["/ab", "/", "/b/a"]),
            (
                "/a/*",
                &["/a/b", "/a/;x"],
                &["/a/", "/a", "/a/b/", "/a/b/c"],
            ),
            ("/a/{id}/c", &["/a/b/c"], &["/a//c", "/a/c", "/a/b/c/d"]),
            ("/a/{rest=**}", &["/a/b/c", "/a"], &["/b"]),
            (
                "/v{n}/x-*.pdf",
                &["/v1/x-y.pdf"],
                &["/v/x-y.pdf", "/v1/x-.pdf"],
            ),
            ("/aba*aba", &["/abaxaba"], &["/aba", "/abaaba", "/ababa"]),
        ] {
            let read: Template = template.parse().unwrap();
            for path in fits {
                assert!(read.matches(path.as_bytes(), false), "{template} {path}");
            }
            for path in not {
                assert!(!read.matches(path.as_bytes(), false), "{template} {path}");
            }
        }
        let read: Template = "/API/{id}.Txt".parse().unwrap();
        assert!(read.matches(b"/api/1.txt", true));
    }

    #[test]
    fn gives_the_parts_of_a_path_by_their_names() {
        for (template, path, name, part) in [
            ("/a/{id}/c", "/a/b/c", "id", Some("b")),
            ("/a/{id}/c", "/a/b/d", "id", None),
            ("/a/{id}", "/a/b", "other", None),
            ("/v{n}/x-{file}.pdf", "/v12/x-y.pdf", "n", Some("12")),
            ("/v{n}/x-{file}.pdf", "/v12/x-y.pdf", "file", Some("y")),
            ("/a/{rest=**}", "/a/b/c", "rest", Some("b/c")),
            ("/a/{rest=**}", "/a/", "rest", Some("")),
            ("/a/{rest=**}", "/a", "rest", None),
            ("/{rest=**}", "/a/b", "rest", Some("a/b")),
        ] {
            let read: Template = template.parse().unwrap();
            let found = read.capture(path.as_bytes(), false, name);
            assert_eq!(found, part.map(str::as_bytes), "{template} {path} {name}");
        }
    }

    #[test]
    fn refuses_what_is_no_template() {
        for text in [
            "", "a", "/{", "/{}", "/{a", "/a}", "/{1}", "/{a=b}", "/{a}/{a}", "/**/a", "/a**",
            "/***", "/{a}{b}", "/*x*", "/{a=***}",
        ] {
            assert!(text.parse::<Template>().is_err(), "{text}");
        }
    }
}
