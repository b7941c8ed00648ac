//! The names of metrics, the one place that knows how they are written.

use percent_encoding::percent_encode_byte;

/// The longest value of a tag, in bytes, as it is written in a metric's name.
pub const MAX_TAG_VALUE: usize = 128;

/// Labels that a histogram has of its own.
const RESERVED: [&str; 2] = ["le", "quantile"];

/// Names that begin with one word: those of a filter's metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    prefix: String,
}

/// Why a metric cannot be called so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameError {
    #[error("metric `{metric}`: a name with tags holds no `=`, no `;` and no control character")]
    Metric { metric: String },
    #[error(
        "metric `{metric}`: a tag's name is a lower-case letter and then such letters, digits \
         and `_`, and `{tag}` is not"
    )]
    Tag { metric: String, tag: String },
    #[error("metric `{metric}`: the tag `{tag}` is what Prometheus calls a part of a histogram")]
    Reserved { metric: String, tag: String },
    #[error("metric `{metric}`: the tag `{tag}` stands there twice")]
    Twice { metric: String, tag: String },
    #[error(
        "metric `{metric}`: the value of the tag `{tag}` is longer than {MAX_TAG_VALUE} bytes, \
         counted as it is written: percent-encoded"
    )]
    Long { metric: String, tag: String },
}

impl Names {
    /// Those of a filter: its name with `_` for `-`.
    pub(crate) fn of(filter: &str) -> Self {
        Self::under(&filter.replace('-', "_"))
    }

    pub(crate) fn under(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
        }
    }

    /// The name of a metric without tags.
    pub(crate) fn plain(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    /// The name of a metric with tags.
    pub(crate) fn tagged(&self, name: &str, tags: &[(&str, &str)]) -> Result<String, NameError> {
        let template = self.template(name, tags.iter().map(|(tag, _)| *tag))?;
        let mut full = String::new();
        let value = |at: usize| tags.get(at).map_or("", |(_, value)| value).as_bytes();
        match template.write(&mut full, value) {
            Ok(()) => Ok(full),
            Err(TooLong(tag)) => Err(NameError::Long {
                metric: self.plain(name),
                tag,
            }),
        }
    }

    /// The names of the metrics that differ in the values of these tags.
    pub(crate) fn template<'a>(
        &self,
        name: &str,
        tags: impl IntoIterator<Item = &'a str>,
    ) -> Result<Template, NameError> {
        let metric = self.plain(name);
        if metric
            .bytes()
            .any(|byte| matches!(byte, b'=' | b';') || byte.is_ascii_control())
        {
            return Err(NameError::Metric { metric });
        }
        let mut tags: Vec<(String, usize)> =
            (tags.into_iter().map(str::to_owned)).zip(0..).collect();
        tags.sort_unstable();
        let mut before: Option<&str> = None;
        for (tag, _) in &tags {
            let error = if !is_tag(tag) {
                NameError::Tag {
                    metric,
                    tag: tag.clone(),
                }
            } else if RESERVED.contains(&tag.as_str()) {
                NameError::Reserved {
                    metric,
                    tag: tag.clone(),
                }
            } else if before == Some(tag) {
                NameError::Twice {
                    metric,
                    tag: tag.clone(),
                }
            } else {
                before = Some(tag);
                continue;
            };
            return Err(error);
        }
        Ok(Template { metric, tags })
    }
}

fn is_tag(tag: &str) -> bool {
    tag.starts_with(|first: char| first.is_ascii_lowercase())
        && tag
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

/// A metric's name but for the values of its tags.
#[derive(Debug)]
pub(crate) struct Template {
    metric: String,
    /// In the order they are written, each with its place in the order given.
    tags: Vec<(String, usize)>,
}

/// The tag whose value is too long.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong(String);

impl Template {
    /// Appends the name with these values to an empty `name`.
    pub(super) fn write<'a>(
        &self,
        name: &mut String,
        value: impl Fn(usize) -> &'a [u8],
    ) -> Result<(), TooLong> {
        name.push_str(&self.metric);
        for (tag, at) in &self.tags {
            name.push('.');
            name.push_str(tag);
            name.push('=');
            let start = name.len();
            for &byte in value(*at) {
                if stands_for_itself(byte) {
                    name.push(char::from(byte));
                } else {
                    name.push_str(percent_encode_byte(byte));
                }
                if name.len().saturating_sub(start) > MAX_TAG_VALUE {
                    return Err(TooLong(tag.clone()));
                }
            }
            name.push(';');
        }
        Ok(())
    }

    /// The name with the same value for all tags.
    pub(super) fn with_all(&self, value: &'static str) -> String {
        let mut name = String::new();
        // A word of ours is not too long.
        let _ = self.write(&mut name, |_| value.as_bytes());
        name
    }
}

fn stands_for_itself(byte: u8) -> bool {
    (byte.is_ascii_graphic() || byte == b' ')
        && !matches!(byte, b'%' | b';' | b'=' | b',' | b'|' | b'"' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tagged(tags: &[(&str, &str)]) -> Result<String, String> {
        Names::of("jwt-auth")
            .tagged("refused", tags)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn tags_stand_after_the_name_in_the_order_of_their_names() {
        let name = "jwt_auth.refused.provider=a.b;.reason=expired;";
        assert_eq!(
            tagged(&[("reason", "expired"), ("provider", "a.b")]).unwrap(),
            name
        );
        assert_eq!(
            tagged(&[("provider", "a.b"), ("reason", "expired")]).unwrap(),
            name
        );
        assert_eq!(tagged(&[]).unwrap(), "jwt_auth.refused");
    }

    #[test]
    fn no_value_passes_for_another_tag_or_for_another_value() {
        for (value, written) in [
            ("https://login.example/a?b", "https://login.example/a?b"),
            ("x;.reason=expired", "x%3B.reason%3Dexpired"),
            ("x%3B", "x%253B"),
            ("a\nb\0c\u{7f}", "a%0Ab%00c%7F"),
            ("Zürich", "Z%C3%BCrich"),
            ("a,b|c\"d\\e", "a%2Cb%7Cc%22d%5Ce"),
            ("two words", "two words"),
            ("", ""),
        ] {
            assert_eq!(
                tagged(&[("issuer", value)]).unwrap(),
                format!("jwt_auth.refused.issuer={written};"),
            );
        }
    }

    #[test]
    fn a_name_that_is_no_label_is_refused() {
        for tag in ["", "Reason", "1st", "_a", "a-b", "a.b", "a=b", "naïve"] {
            let error = tagged(&[(tag, "x")]).unwrap_err();
            assert!(error.contains(&format!("`{tag}` is not")), "{error}");
        }
        for tag in ["le", "quantile"] {
            let error = tagged(&[(tag, "x")]).unwrap_err();
            assert!(error.contains("histogram"), "{error}");
        }
        let error = tagged(&[("a", "1"), ("b", "2"), ("a", "3")]).unwrap_err();
        assert!(error.contains("`a` stands there twice"), "{error}");
    }

    #[test]
    fn a_value_has_a_bound_and_so_has_what_stands_before_it() {
        assert!(tagged(&[("a", &"x".repeat(128))]).is_ok());
        for value in ["x".repeat(129), ";".repeat(43)] {
            let error = tagged(&[("a", &value)]).unwrap_err();
            assert!(error.contains("longer than 128 bytes"), "{error}");
        }
        for prefix in ["a=b", "a;b", "a\nb"] {
            assert!(Names::under(prefix).tagged("x", &[]).is_err(), "{prefix:?}");
        }
    }
}
