//! What a filter may be called.

use std::fmt;

use anyhow::{Result, bail};

/// The longest name: longer ones are unwieldy in metrics and file names.
const LONGEST: usize = 40;

/// What no crate can be called: words of Rust's, those that it keeps for later included.
const KEYWORDS: [&str; 52] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate",
    "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl",
    "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref",
    "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "union", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Crates that come with Rust.
const OF_RUST: [&str; 5] = ["alloc", "core", "proc-macro", "std", "test"];

/// What the code of a new filter calls something else by.
const TYPES_IN_USE: [&str; 19] = [
    "Box",
    "Callback",
    "Config",
    "ConfigErrors",
    "Configure",
    "Counter",
    "Err",
    "Flow",
    "HeaderName",
    "Host",
    "HttpFilter",
    "LocalReply",
    "None",
    "Ok",
    "Request",
    "RequestHeaders",
    "Result",
    "Some",
    "Stage",
];

/// The name of a filter, which is a package's name too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name(String);

impl Name {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let Some(problem) = problem(text) else {
            return Ok(Self(text.to_owned()));
        };
        let suggested = suggestion(text);
        match suggested.filter(|it| it != text && self::problem(it).is_none()) {
            Some(better) => bail!("NAME: {problem}; did you mean `{better}`?"),
            None => bail!("NAME: {problem}"),
        }
    }

    /// `sample-filter`: the package, the folder, the module.
    pub(super) fn kebab(&self) -> &str {
        &self.0
    }

    /// `sample_filter`: the crate in code, the metrics.
    pub(super) fn snake(&self) -> String {
        self.0.replace('-', "_")
    }

    /// `SampleFilter`: the type.
    pub(super) fn pascal(&self) -> String {
        let words = self.0.split('-').map(|word| {
            let (first, rest) = word.split_at(1);
            first.to_ascii_uppercase() + rest
        });
        let name: String = words.collect();
        if TYPES_IN_USE.contains(&name.as_str()) {
            name + "Filter"
        } else {
            name
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// What is wrong with a name, if anything is.
fn problem(text: &str) -> Option<String> {
    const RULE: &str = "a filter's name is lower-case words joined by `-`";
    let stray = |c: char| !c.is_ascii_alphanumeric() && c != '-';
    let starts_badly = |word: &str| !word.starts_with(|c: char| c.is_ascii_lowercase());
    Some(if text.is_empty() {
        format!("it is empty; {RULE}")
    } else if text.contains(['/', '\\']) {
        format!("`{text}` is a path, and a name is wanted: the filter goes into filters/NAME")
    } else if let Some(c) = text.chars().find(|c| stray(*c)) {
        format!("`{text}` has {} in it; {RULE}", described(c))
    } else if text.contains(|c: char| c.is_ascii_uppercase()) {
        format!("`{text}` has upper case in it; {RULE}")
    } else if text.starts_with(|c: char| c.is_ascii_digit()) {
        format!("`{text}` begins with a digit, which no crate's name does")
    } else if text.starts_with('-') || text.ends_with('-') || text.contains("--") {
        format!("`{text}` has a `-` that joins no words; {RULE}")
    } else if starts_badly(text) {
        format!("`{text}` does not begin with a letter")
    } else if text.len() > LONGEST {
        format!(
            "`{text}` is {} characters long; at most {LONGEST} will do",
            text.len()
        )
    } else if KEYWORDS.contains(&text) {
        format!("`{text}` is a word of Rust's, which no crate can be called")
    } else if OF_RUST.contains(&text) {
        format!("`{text}` is a crate of Rust's own")
    } else {
        return None;
    })
}

fn described(c: char) -> String {
    match c {
        ' ' => "a space".to_owned(),
        '`' => "a backtick".to_owned(),
        c if c.is_control() => format!("`{}`", c.escape_default()),
        c => format!("`{c}`"),
    }
}

/// The name that was perhaps meant.
fn suggestion(text: &str) -> Option<String> {
    // Of a path, its last part.
    let last = text.rsplit(['/', '\\']).find(|part| !part.is_empty())?;
    let mut words = String::new();
    let mut before = '-';
    for c in last.chars() {
        // `JwtAuth` is two words, `JWT` is one.
        if c.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit()) {
            words.push('-');
        }
        words.push(if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        });
        before = c;
    }
    let words: Vec<_> = words.split('-').filter(|word| !word.is_empty()).collect();
    let first = words
        .iter()
        .position(|word| !word.starts_with(|c: char| c.is_ascii_digit()))?;
    let name = words.get(first..)?.join("-");
    if problem(&name).is_none() {
        return Some(name);
    }
    // A word that is taken becomes one's own by another.
    Some(format!("{name}-filter"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Name::parse(text).expect_err("is refused").to_string()
    }

    #[test]
    fn kebab_case_is_taken() {
        for name in ["csp", "jwt-auth", "oauth2", "a", "v2-tag", "tag-2"] {
            assert_eq!(Name::parse(name).expect("is good").kebab(), name);
        }
    }

    #[test]
    fn a_name_is_spelt_in_each_place_as_is_usual_there() {
        let name = Name::parse("jwt-auth-2").expect("is good");

        assert_eq!(name.to_string(), "jwt-auth-2");
        assert_eq!(name.snake(), "jwt_auth_2");
        assert_eq!(name.pascal(), "JwtAuth2");
    }

    #[test]
    fn a_type_gets_out_of_the_way_of_those_that_filters_use() {
        assert_eq!(
            Name::parse("config").expect("is good").pascal(),
            "ConfigFilter"
        );
    }

    #[test]
    fn each_mistake_is_told_with_what_would_be_right() {
        for (text, problem) in [
            (
                "",
                "it is empty; a filter's name is lower-case words joined by `-`",
            ),
            (
                "JwtAuth",
                "`JwtAuth` has upper case in it; a filter's name is lower-case words joined by `-`; did you mean `jwt-auth`?",
            ),
            (
                "JWT",
                "`JWT` has upper case in it; a filter's name is lower-case words joined by `-`; did you mean `jwt`?",
            ),
            (
                "jwt_auth",
                "`jwt_auth` has `_` in it; a filter's name is lower-case words joined by `-`; did you mean `jwt-auth`?",
            ),
            (
                "jwt auth",
                "`jwt auth` has a space in it; a filter's name is lower-case words joined by `-`; did you mean `jwt-auth`?",
            ),
            (
                "2fa",
                "`2fa` begins with a digit, which no crate's name does",
            ),
            (
                "2-tags",
                "`2-tags` begins with a digit, which no crate's name does; did you mean `tags`?",
            ),
            (
                "-tag",
                "`-tag` has a `-` that joins no words; a filter's name is lower-case words joined by `-`; did you mean `tag`?",
            ),
            (
                "my--tag",
                "`my--tag` has a `-` that joins no words; a filter's name is lower-case words joined by `-`; did you mean `my-tag`?",
            ),
            (
                "filters/tag",
                "`filters/tag` is a path, and a name is wanted: the filter goes into filters/NAME; did you mean `tag`?",
            ),
            (
                "..\\tag",
                "`..\\tag` is a path, and a name is wanted: the filter goes into filters/NAME; did you mean `tag`?",
            ),
            (
                "../..",
                "`../..` is a path, and a name is wanted: the filter goes into filters/NAME",
            ),
            (
                ".",
                "`.` has `.` in it; a filter's name is lower-case words joined by `-`",
            ),
            (
                "né",
                "`né` has `é` in it; a filter's name is lower-case words joined by `-`; did you mean `n`?",
            ),
            (
                "match",
                "`match` is a word of Rust's, which no crate can be called; did you mean `match-filter`?",
            ),
            (
                "core",
                "`core` is a crate of Rust's own; did you mean `core-filter`?",
            ),
            (
                "proc-macro",
                "`proc-macro` is a crate of Rust's own; did you mean `proc-macro-filter`?",
            ),
        ] {
            assert_eq!(refused(text), format!("NAME: {problem}"));
        }
    }

    #[test]
    fn a_name_has_an_end() {
        assert!(Name::parse(&"a".repeat(LONGEST)).is_ok());
        assert!(refused(&"a".repeat(LONGEST + 1)).contains("41 characters long; at most 40"));
    }
}
