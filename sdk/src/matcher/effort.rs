//! What finding a regular expression again and again in somebody else's text may cost.
//!
//! One search takes time linear in the text. All matches of a text take one search each, and a search may look at
//! the whole rest before it knows its match: `a(.*b)?` does so for each `a` of a text without a `b`. So all
//! of them together may take time that is quadratic, and 60 KiB may keep a worker busy for minutes.

/// How many characters the searches for a message's matches may look at together. The default is 512 Ki: a few
/// hundredths of a second for a small expression, and more than expressions need that do not look far ahead.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    left: usize,
}

const MOST_LOOKED_AT: usize = 512 * 1024;

impl Default for Effort {
    fn default() -> Self {
        Self::of(MOST_LOOKED_AT)
    }
}

impl Effort {
    /// So many characters.
    #[must_use]
    pub fn of(most_looked_at: usize) -> Self {
        Self {
            left: most_looked_at,
        }
    }

    /// Spends some of it: whether there was as much left. Where there was not, nothing is left.
    pub fn spend(&mut self, looked_at: usize) -> bool {
        let left = self.left.checked_sub(looked_at);
        self.left = left.unwrap_or_default();
        left.is_some()
    }
}

/// How far behind its match a search for an expression may look, in characters: to the end of the text where
/// that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach(Option<usize>);

impl Reach {
    /// Of an expression, by its text. It is known where nothing in it is repeated without a limit but what
    /// stands at its end, which matches as long as it goes on: of `"`, `%[0-9A-F]{2}` and `\s+`, not of `\w+=\w+`.
    #[must_use]
    pub fn of(pattern: &str) -> Self {
        let bounded = pattern.strip_suffix(['+', '*']).unwrap_or(pattern);
        Self(longest(bounded))
    }

    /// How many characters a search looked at, at most, that began at `from` in a text of this length and
    /// whose match ends at `end`.
    pub fn looked_at(self, length: usize, from: usize, end: usize) -> usize {
        let last = self.0.map_or(length, |reach| end.saturating_add(reach));
        last.min(length).saturating_sub(from)
    }
}

/// How many characters an expression matches at most, or more: each repeats all of it.
fn longest(pattern: &str) -> Option<usize> {
    let mut longest = pattern.len();
    let mut rest = pattern;
    while let Some(at) = rest.find(['*', '+', '{']) {
        let repeated = rest.get(at..)?.strip_prefix('{')?;
        let (count, behind) = repeated.split_once('}')?;
        // `{n}` and `{n,m}`; `{n,}` has no limit.
        let most = count.rsplit(',').next()?.trim();
        longest = longest.saturating_mul(most.parse::<usize>().ok()?.max(1));
        rest = behind;
    }
    Some(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_known_how_far_simple_expressions_look() {
        for (pattern, reach) in [
            (r#"""#, Some(1)),
            ("a|bc?", Some(5)),
            (r"\s+", Some(2)),
            ("[^a-z]*", Some(6)),
            ("%[0-9A-F]{2}", Some(24)),
            ("((a{2}){1,3}){ 4 }", Some(18 * 24)),
            ("sk_[0-9a-z]{24}", Some(15 * 24)),
            ("a(.*b)?", None),
            ("a(.+b)?", None),
            ("a(.{2,}b)?", None),
            (r"\w+=\w+", None),
            (r"a+?", None),
            ("(.*)*", None),
            (r"\x{1F600}", None),
        ] {
            assert_eq!(Reach::of(pattern), Reach(reach), "{pattern}");
        }
    }

    #[test]
    fn a_search_looks_no_further_than_the_text_goes() {
        assert_eq!(Reach(Some(3)).looked_at(100, 10, 20), 13);
        assert_eq!(Reach(Some(3)).looked_at(21, 10, 20), 11);
        assert_eq!(Reach(None).looked_at(100, 10, 20), 90);
    }

    #[test]
    fn what_is_spent_is_gone() {
        let mut effort = Effort::of(10);
        assert!(effort.spend(4));
        assert!(effort.spend(6));
        assert!(!effort.spend(1));
        let mut effort = Effort::of(10);
        assert!(!effort.spend(11));
        assert!(!effort.spend(1));
    }
}
