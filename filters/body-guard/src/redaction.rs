//! What does not pass as it is, and what passes in its place.

mod find;
mod hash;
mod prefix;

use std::rc::Rc;

use legation::config::Problem;
use legation::matcher::Effort;
use smallvec::SmallVec;

use find::Finder;
pub use find::Preset;
pub(crate) use hash::Hash;
pub use hash::Hasher;

/// More bytes than this a match does not have. What begins to match and is longer is refused.
pub const LONGEST_MATCH: usize = 4_096;

/// How often each character of a text is looked at, at most, to find a pattern everywhere in it. What looks far ahead for
/// each match, as `a(.*b)?` does, is refused where it matches too often: it would take time quadratic in the text.
const MOST_LOOKED_AT: usize = 128;

/// What is done with what is found.
#[derive(Debug, Clone)]
pub enum Redaction {
    /// This takes its place, and its last characters after it.
    Mask {
        /// The text.
        replacement: Box<str>,
        /// How many characters are kept: none of what is not twice as long.
        keep_last: usize,
    },
    /// Its hash takes its place.
    Hash(Rc<Hasher>),
    /// It is taken out.
    Remove,
    /// The message goes no further.
    Deny,
}

impl Redaction {
    /// Whether it takes out what it finds.
    pub fn removes(&self) -> bool {
        matches!(self, Self::Remove)
    }

    /// What takes the place of a whole text.
    pub(crate) fn of_whole(&self, text: &str) -> String {
        match self {
            Self::Hash(hasher) => hasher.of(text),
            _ => self.of(text, text.chars().count()),
        }
    }

    /// What takes the place of a text of which this is the end, and which has so many characters.
    pub fn of(&self, end: &str, characters: usize) -> String {
        let Self::Mask {
            replacement,
            keep_last,
        } = self
        else {
            return String::new();
        };
        let mut masked = replacement.to_string();
        if *keep_last > 0 && characters >= keep_last.saturating_mul(2) {
            let kept = end.char_indices().rev().nth(keep_last.saturating_sub(1));
            masked.push_str(kept.and_then(|(at, _)| end.get(at..)).unwrap_or_default());
        }
        masked
    }
}

/// Patterns that are looked for in texts.
#[derive(Debug, Default)]
pub struct Patterns(Vec<Pattern>);

#[derive(Debug)]
struct Pattern {
    finder: Finder,
    redaction: Redaction,
}

/// What takes the place of a part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) text: String,
}

/// What was found in a text.
#[derive(Debug, Default)]
pub(crate) struct Scanned {
    pub(crate) edits: Vec<Edit>,
    /// Up to where nothing more will be found, however the text goes on.
    pub(crate) settled: usize,
}

/// Why a text goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Something is there that must not be.
    Denied,
    /// What was found has no end, or takes too long to find.
    TooLong,
}

impl Patterns {
    /// Whether nothing is looked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Looks for one of the known things.
    pub fn add_preset(&mut self, preset: Preset, redaction: Redaction) {
        let finder = Finder::Preset(preset);
        self.0.push(Pattern { finder, redaction });
    }

    /// Looks for what a regular expression matches.
    pub fn add_regex(&mut self, regex: regex_lite::Regex, redaction: Redaction) {
        let finder = Finder::regex(regex);
        self.0.push(Pattern { finder, redaction });
    }

    /// Looks through a text from `from` on; what stands before has been looked through and tells what
    /// is next to it. Of matches that overlap the first counts, and of those that begin at one place the one
    /// whose pattern was given first.
    ///
    /// Where the text goes on (`is_last` is false), what begins in its last [`LONGEST_MATCH`] bytes
    /// is left for then.
    pub(crate) fn scan(&self, text: &str, from: usize, is_last: bool) -> Result<Scanned, Stop> {
        let limit = if is_last {
            text.len()
        } else {
            text.floor_char_boundary(text.len().saturating_sub(LONGEST_MATCH))
        };
        let mut settled = from;
        let mut edits = Vec::new();
        let each = text.len().saturating_mul(MOST_LOOKED_AT);
        let mut effort = Effort::of(each.saturating_mul(self.0.len()));
        let mut find = |pattern: &Pattern, from| {
            let found = pattern.finder.find(text, from);
            let spent = pattern.finder.spend(&mut effort, text, from, found);
            if spent { Ok(found) } else { Err(Stop::TooLong) }
        };
        let found = self.0.iter().map(|pattern| find(pattern, from));
        let mut found = found.collect::<Result<SmallVec<[_; 4]>, Stop>>()?;
        loop {
            for (pattern, found) in self.0.iter().zip(&mut found) {
                if found.is_some_and(|(start, _)| start < settled) {
                    *found = find(pattern, settled)?;
                }
            }
            let all = self.0.iter().zip(&found);
            let all = all.filter_map(|(pattern, found)| Some((pattern, (*found)?)));
            let first = all.min_by_key(|(_, (start, _))| *start);
            let Some((pattern, (start, end))) = first.filter(|(_, (start, _))| *start < limit)
            else {
                break;
            };
            if !is_last && end == text.len() {
                return Err(Stop::TooLong);
            }
            if matches!(pattern.redaction, Redaction::Deny) {
                return Err(Stop::Denied);
            }
            let matched = text.get(start..end).unwrap_or_default();
            edits.push(Edit {
                start,
                end,
                text: pattern.redaction.of_whole(matched),
            });
            // A pattern matches one character at least.
            settled = end.max(start.saturating_add(1));
        }
        Ok(Scanned {
            edits,
            settled: settled.max(limit),
        })
    }
}

/// Reads a regular expression to look for.
pub fn regex(pattern: &str) -> Result<regex_lite::Regex, Problem> {
    let regex = regex_lite::RegexBuilder::new(pattern)
        .size_limit(1 << 20)
        .build()
        .map_err(|error| Problem::new(format!("not a regular expression: {error}")))?;
    if regex.is_match("") {
        let problem = Problem::new("the expression matches the empty text");
        return Err(
            problem.help("it would be found everywhere: have it match a character at least")
        );
    }
    Ok(regex)
}
