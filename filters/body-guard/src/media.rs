//! Media types (RFC 9110, section 8.3.1): which bodies are taken, and how they are read.

/// A media type, or many: `application/json`, `application/*+json`, `text/*`, `*/*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaRange(Box<str>);

/// How a body is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As JSON.
    Json,
    /// As text.
    Text,
    /// Not at all.
    Other,
}

impl MediaRange {
    /// Reads a range. `None` where it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let (kind, subtype) = text.split_once('/')?;
        let is_token_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        let is_token = |text: &str| !text.is_empty() && text.bytes().all(is_token_byte);
        let is_range = match (kind, subtype) {
            ("*", "*") => true,
            (kind, "*") => is_token(kind),
            (kind, subtype) => {
                let suffix = subtype.strip_prefix("*+").unwrap_or(subtype);
                is_token(kind) && is_token(suffix)
            }
        };
        is_range.then(|| Self(text.into()))
    }

    /// Whether it is every type.
    pub(crate) fn is_any(&self) -> bool {
        &*self.0 == "*/*"
    }

    /// Whether a type is one of these.
    fn takes(&self, essence: &str) -> bool {
        let (Some((kind, subtype)), Some((given, given_subtype))) =
            (self.0.split_once('/'), essence.split_once('/'))
        else {
            return false;
        };
        let takes_subtype = match subtype.strip_prefix('*') {
            Some(suffix) => given_subtype.ends_with(suffix),
            None => subtype == given_subtype,
        };
        (kind == "*" || kind == given) && takes_subtype
    }
}

/// A `content-type`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MediaType {
    /// In lower case, without parameters.
    essence: Box<str>,
    is_utf8: bool,
}

impl MediaType {
    /// Reads a `content-type`. `None` where it is none: that of several too.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let value = str::from_utf8(value).ok()?;
        let mut parts = value.split(';');
        let essence = parts.next()?.trim().to_ascii_lowercase();
        MediaRange::parse(&essence).filter(|_| !essence.contains('*'))?;
        let mut is_utf8 = true;
        for parameter in parts {
            let (name, value) = match parameter.split_once('=') {
                Some((name, value)) => (name.trim(), value.trim()),
                None if parameter.trim().is_empty() => continue,
                None => return None,
            };
            if name.eq_ignore_ascii_case("charset") {
                let value = value.trim_matches('"');
                // ASCII is a part of UTF-8.
                is_utf8 &= ["utf-8", "utf8", "us-ascii"]
                    .iter()
                    .any(|known| value.eq_ignore_ascii_case(known));
            }
        }
        Some(Self {
            essence: essence.into(),
            is_utf8,
        })
    }

    pub(crate) fn is_in(&self, ranges: &[MediaRange]) -> bool {
        ranges.iter().any(|range| range.takes(&self.essence))
    }

    pub(crate) fn is_utf8(&self) -> bool {
        self.is_utf8
    }

    pub(crate) fn form(&self) -> Form {
        let essence = &*self.essence;
        if essence == "application/json" || essence.ends_with("+json") || essence == "text/json" {
            Form::Json
        } else if essence.starts_with("text/")
            || essence == "application/xml"
            || essence.ends_with("+xml")
        {
            Form::Text
        } else {
            Form::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn ranges_take_what_they_say() {
        for (range, essence, expected) in [
            ("application/json", "application/json", true),
            ("Application/JSON", "application/json", true),
            ("application/json", "application/json5", false),
            ("application/*+json", "application/problem+json", true),
            ("application/*+json", "application/json", false),
            ("text/*", "text/plain", true),
            ("text/*", "application/text", false),
            ("*/*", "image/png", true),
        ] {
            let range = MediaRange::parse(range).unwrap();
            assert_eq!(range.takes(essence), expected, "{range:?} {essence}");
        }
        for wrong in [
            "",
            "json",
            "application/",
            "/json",
            "a/b;c=d",
            "*/json",
            "a/b*",
            "a/b/c",
            "a b/c",
        ] {
            assert_eq!(MediaRange::parse(wrong), None, "{wrong}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn types_are_read_with_their_parameters() {
        for (value, expected) in [
            ("application/json", Some((Form::Json, true))),
            (
                " Application/Vnd.Api+JSON ; Charset=\"UTF-8\"",
                Some((Form::Json, true)),
            ),
            (
                "application/json; charset=utf-16",
                Some((Form::Json, false)),
            ),
            (
                "application/json; charset=utf-8; charset=utf-7",
                Some((Form::Json, false)),
            ),
            ("application/json;", Some((Form::Json, true))),
            ("text/html; a=b", Some((Form::Text, true))),
            ("image/svg+xml", Some((Form::Text, true))),
            ("image/png", Some((Form::Other, true))),
            ("application/json, text/plain", None),
            ("application/json; charset", None),
            ("*/*", None),
            ("json", None),
            ("", None),
        ] {
            let read = MediaType::parse(value.as_bytes());
            let read = read.map(|media| (media.form(), media.is_utf8()));
            assert_eq!(read, expected, "{value}");
        }
        assert_eq!(MediaType::parse(b"application/json; a=\xff"), None);
    }
}
