//! What all matches of an expression begin with.
//!
//! The crate `regex-lite` tries an expression at every character. Most that are looked for begin with a text
//! (`sk_live_[0-9A-Za-z]{24}`), which is found many times faster.

use memchr::memmem::Finder;

/// The text that all matches begin with, as far as it is plain from the expression's own text: the empty one,
/// which is found at once, where it is not.
#[derive(Debug)]
pub(super) struct Prefix(Finder<'static>);

impl Prefix {
    /// Of an expression that is one.
    pub(super) fn of(pattern: &str) -> Self {
        Self(Finder::new(&text(pattern)).into_owned())
    }

    /// Where a match may begin first, from `from` on: `None` where none can.
    pub(super) fn find(&self, text: &str, from: usize) -> Option<usize> {
        let found = self.0.find(text.as_bytes().get(from..)?)?;
        Some(from.saturating_add(found))
    }
}

fn text(pattern: &str) -> String {
    // Of no length.
    let mut rest = match pattern.strip_prefix(r"\b") {
        Some(rest) if !rest.starts_with('{') => rest,
        _ => pattern,
    };
    let mut text = String::new();
    loop {
        let mut characters = rest.chars();
        let mut next = characters.next();
        if next == Some('\\') {
            // A class, or a place, is none of them.
            next = characters.next().filter(char::is_ascii_punctuation);
            // Beginnings and ends of words.
            if matches!(next, None | Some('<' | '>')) {
                break;
            }
        } else if next.is_none_or(|next| r".^$([{|*+?".contains(next)) {
            break;
        }
        text.extend(next);
        rest = characters.as_str();
    }
    if rest.starts_with(['*', '?', '{']) {
        // It may be there no time.
        text.pop();
    }
    if is_all_of_one(rest) {
        text
    } else {
        String::new()
    }
}

/// Whether a rest of an expression is known to have no `|` outside groups, which would be another beginning.
fn is_all_of_one(rest: &str) -> bool {
    let mut depth = 0_usize;
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                characters.next();
            }
            '(' => {
                // With flags the rest may have comments, which have any character in them.
                let group = characters.as_str();
                if group.starts_with('?') && !group.starts_with("?:") {
                    return false;
                }
                depth = depth.saturating_add(1);
            }
            ')' => depth = depth.saturating_sub(1),
            '|' if depth == 0 => return false,
            '[' => {
                let Some((class, behind)) = characters.as_str().split_once(']') else {
                    return false;
                };
                // Where these end takes more to know.
                if class.is_empty() || class == "^" || class.contains(['[', '\\']) {
                    return false;
                }
                characters = behind.chars();
            }
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use regex_lite::Regex;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn a_plain_beginning_is_known() {
        for (pattern, expected) in [
            ("sk_live_[0-9A-Za-z]{24}", "sk_live_"),
            (r"\bAKIA[0-9A-Z]{16}\b", "AKIA"),
            ("sk_(live|test)_[a-z]+", "sk_"),
            (r"-----BEGIN [A-Z ]+-----", "-----BEGIN "),
            (r"a\.b\+c", "a.b+c"),
            ("käse", "käse"),
            ("ab+", "ab"),
            ("ab*c", "a"),
            ("ab?", "a"),
            ("ab{2}", "a"),
            ("a*", ""),
            ("[ab]c", ""),
            (r"\d+", ""),
            (r"a\d+", "a"),
            (r"a\<b", "a"),
            (r"\b{start}a", ""),
            ("(?i)key=[a-z]+", ""),
            ("(?x) a b", ""),
            ("^a", ""),
            ("a(?:b|c)", "a"),
            ("a|b", ""),
            ("a(b)|c", ""),
            ("a[(]|b", ""),
            ("a[)]b", "a"),
            (r"a\(|b", ""),
            // Not known, and left alone.
            ("a(?x) # (\n|b", ""),
            ("a(?x: # (\n)|b", ""),
            ("a(?<name>b|c)", ""),
            ("a[]|]b", ""),
            ("a[^]|]b", ""),
            ("a[[:alpha:]]|b", ""),
            (r"a[\]|]b", ""),
        ] {
            assert_eq!(text(pattern), expected, "{pattern}");
            Regex::new(pattern).unwrap();
        }
    }

    /// All texts of so many of these characters.
    fn texts(length: u32) -> Vec<String> {
        (0..length).fold(vec![String::new()], |texts, _| {
            let longer = |text: &String| ["a", "b", "é", "|"].map(|next| format!("{text}{next}"));
            texts.iter().flat_map(longer).collect()
        })
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_same_is_found_as_without_it() {
        for pattern in [
            "a",
            "ab",
            "ab+",
            "ab*",
            "ab?é",
            "ab{2}",
            "aé|b",
            "a(b|é)",
            "a[b|]",
            "éa",
            r"\bab",
            r"a\b",
            r"a\|b",
            "(a|b)é",
            "(?i)AB",
            "a[^b]",
            "a[b(]|é",
            "a(|b)",
            r"\|a?",
            "ab$",
            "^ab",
            "a.b",
            "ab??a",
            "ab(?x) # (\n|é",
            "a(?x) # [\n|b",
        ] {
            let regex = Regex::new(pattern).unwrap();
            let prefix = Prefix::of(pattern);
            for text in (0..=5).flat_map(texts) {
                for (from, _) in text.char_indices() {
                    let expected = regex.find_at(&text, from).map(|found| found.range());
                    let start = prefix.find(&text, from);
                    let found = start.and_then(|start| regex.find_at(&text, start));
                    let found = found.map(|found| found.range());
                    assert_eq!(found, expected, "{pattern} in {text} from {from}");
                }
            }
        }
    }
}
