//! Doc comments and READMEs as an editor shows them: Markdown, without links into Rust
//! and into other places of the text.

/// The text of a doc comment or of a README.
pub(super) struct Docs<'a>(&'a str);

/// What a table says of a field. Its columns are `field` (or `option`), `default`, `range`
/// and a last one for what is to be said, of which all but the first may be missing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) text: Option<String>,
    default: Option<String>,
    range: Option<String>,
}

impl<'a> Docs<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self(text)
    }

    fn lines(&self) -> impl Iterator<Item = &'a str> {
        self.0.lines().map(str::trim)
    }

    /// The first paragraph, which is what a type is; the rest is for who writes Rust.
    pub(super) fn summary(&self) -> Option<String> {
        let lines = self.lines().skip_while(|line| line.is_empty());
        paragraphs(lines.take_while(|line| !line.is_empty()))
    }

    /// All of it.
    pub(super) fn whole(&self) -> Option<String> {
        paragraphs(self.lines())
    }

    /// What the tables say of a field; those below this heading, if one is given.
    pub(super) fn row(&self, heading: Option<&str>, field: &str) -> Option<Row> {
        let mut here = heading.is_none();
        let mut in_code = false;
        let mut columns = Vec::new();
        for line in self.lines() {
            in_code ^= line.starts_with("```");
            if let (Some(heading), true, false) = (heading, line.starts_with('#'), in_code) {
                here = line.trim_start_matches('#').trim() == heading;
            }
            let Some(cells) = cells(line).filter(|_| here && !in_code) else {
                columns.clear();
                continue;
            };
            if columns.is_empty() {
                columns = cells.iter().map(|cell| cell.to_lowercase()).collect();
            } else if names(cells.first()).any(|name| name == field) {
                let cell = |name: &str| {
                    let at = columns.iter().rposition(|column| column == name)?;
                    let cell = cells.get(at).copied().filter(|cell| !cell.is_empty())?;
                    Some(without_links(cell))
                };
                let said = columns.last().map_or("", String::as_str);
                return Some(Row {
                    // That of a struct says more than its name.
                    text: cell(said)
                        .filter(|_| !["default", "range"].contains(&said))
                        .filter(|text| text.contains(' '))
                        .map(|text| sentence(&text)),
                    default: cell("default").filter(|text| !text.starts_with("required")),
                    range: cell("range"),
                });
            }
        }
        None
    }
}

fn cells(line: &str) -> Option<Vec<&str>> {
    let line = line.strip_prefix('|')?.strip_suffix('|')?;
    Some(line.split('|').map(str::trim).collect())
}

/// What stands in backticks.
fn names<'a>(cell: Option<&&'a str>) -> impl Iterator<Item = &'a str> {
    cell.into_iter()
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    let end = if text.ends_with(['.', '!', '?']) {
        ""
    } else {
        "."
    };
    first.chain(chars).chain(end.chars()).collect()
}

impl Row {
    /// What is said beside the text.
    pub(super) fn note(&self) -> Option<String> {
        let parts = [("Default", &self.default), ("Range", &self.range)];
        let parts = parts.iter().filter_map(|(what, said)| {
            let said = said.as_ref()?;
            Some(format!("{what}: {}.", said.trim_end_matches('.')))
        });
        let note = parts.collect::<Vec<_>>().join(" ");
        (!note.is_empty()).then_some(note)
    }

    /// The default, where that may be a value: a number, or a word in backticks.
    pub(super) fn value(&self) -> Option<&str> {
        let text = self.default.as_deref()?;
        let word = text
            .strip_prefix('`')
            .and_then(|text| text.strip_suffix('`'));
        match word {
            Some(word) if !word.contains('`') => Some(word),
            None if text.parse::<u64>().is_ok() => Some(text),
            _ => None,
        }
    }
}

/// Lines of a paragraph are joined, as Markdown does.
fn paragraphs<'a>(lines: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut text = String::new();
    let mut apart = "";
    for line in lines {
        if line.is_empty() {
            apart = "\n\n";
            continue;
        }
        let begins_anew = line.starts_with("- ") || line.starts_with('|');
        if !text.is_empty() {
            text.push_str(match (apart, begins_anew) {
                ("", true) => "\n",
                ("", false) => " ",
                (apart, _) => apart,
            });
        }
        apart = "";
        text.push_str(line);
    }
    (!text.is_empty()).then(|| without_links(&text))
}

/// `[text](https://…)` stays; of all other links the text does.
fn without_links(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        out.push_str(before);
        let Some((label, behind)) = label(after) else {
            out.push('[');
            rest = after;
            continue;
        };
        let target = behind
            .strip_prefix('(')
            .and_then(|behind| behind.split_once(')'));
        match target {
            Some((target, behind)) if target.starts_with("https://") => {
                out.extend(["[", label, "](", target, ")"]);
                rest = behind;
            }
            Some((_, behind)) => {
                out.push_str(label);
                rest = behind;
            }
            // A link by name. In backticks it is part of what is written.
            None if label.starts_with('`') && label.ends_with('`') => {
                out.push_str(label);
                rest = behind;
            }
            None => {
                out.push('[');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn label(text: &str) -> Option<(&str, &str)> {
    let mut open = 0_usize;
    for (at, char) in text.char_indices() {
        match char {
            '[' => open = open.saturating_add(1),
            ']' if open == 0 => {
                let (label, behind) = text.split_at_checked(at)?;
                return Some((label, behind.strip_prefix(']')?));
            }
            ']' => open = open.saturating_sub(1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_into_rust_are_their_text() {
        for (written, shown) in [
            ("as [`Self::x`] says", "as `Self::x` says"),
            ("as [`x`](Self::x) says", "as `x` says"),
            ("see [there](crate::there)", "see there"),
            (
                "see [Envoy](https://envoyproxy.io/a)",
                "see [Envoy](https://envoyproxy.io/a)",
            ),
            (
                "`filters[].name` and `[a, b]`",
                "`filters[].name` and `[a, b]`",
            ),
            ("[RFC 9110], section 5", "[RFC 9110], section 5"),
            ("not closed [`", "not closed [`"),
        ] {
            assert_eq!(without_links(written), shown);
        }
    }

    #[test]
    fn a_table_says_what_a_field_is() {
        let docs = Docs::new(
            "A service.

\
             | field | default | range | |
\
             |---|---|---|---|
\
             | `timeout` | `5s` | 10 ms to 5 min | for all tries |
\
             | `retries` | one try | | [`RetryPolicy`] |
",
        );

        let timeout = docs.row(None, "timeout").unwrap();
        assert_eq!(timeout.text.as_deref(), Some("For all tries."));
        let note = "Default: `5s`. Range: 10 ms to 5 min.";
        assert_eq!(timeout.note().as_deref(), Some(note));
        assert_eq!(timeout.value(), Some("5s"));
        let retries = docs.row(None, "retries").unwrap();
        assert_eq!((retries.text.as_deref(), retries.value()), (None, None));
        assert_eq!(docs.row(None, "other"), None);
    }

    #[test]
    fn a_table_of_a_readme_is_found_below_its_heading() {
        let docs = Docs::new(
            "## Options
| Field | Default | |
|---|---|---|
| `a` | 1 | One. |
\
             ### More
```yaml
# Options
| `b` | 2 | Two. |
```
\
             | Field | |
|---|---|
| `a`, `c` + | As [there](#a). |
",
        );

        let text = |heading, field| docs.row(Some(heading), field).and_then(|row| row.text);
        assert_eq!(text("Options", "a"), None);
        assert_eq!(docs.row(Some("Options"), "a").unwrap().value(), Some("1"));
        assert_eq!(text("More", "c").as_deref(), Some("As there."));
        assert_eq!(docs.row(Some("More"), "b"), None);
    }

    #[test]
    fn lines_are_paragraphs_and_lists() {
        let docs = Docs::new("One\n two.\n\n Then:\n - a\n - b\n   and\n");

        assert_eq!(docs.summary().as_deref(), Some("One two."));
        assert_eq!(
            docs.whole().as_deref(),
            Some("One two.\n\nThen:\n- a\n- b and")
        );
    }
}
