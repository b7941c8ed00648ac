//! Query parameters.

use std::borrow::Cow;

use super::path::split_path;

/// The parameters of a `:path`'s query in order, decoded. Text that is not UTF-8
/// is read lossily.
pub(crate) fn query_parameters(path: &[u8]) -> form_urlencoded::Parse<'_> {
    form_urlencoded::parse(split_path(path).1)
}

/// The first parameter of that name.
pub(crate) fn query_parameter<'a>(path: &'a [u8], name: &str) -> Option<Cow<'a, str>> {
    query_parameters(path)
        .find(|(known, _)| known == name)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_query_parameters() {
        for (path, value) in [
            ("/p?a=1", Some("1")),
            ("/p?b=0&a=1&a=2", Some("1")),
            ("/p?a=x+y%20z%C3%A9", Some("x y zé")),
            ("/p?%61=1", Some("1")),
            ("/p?a", Some("")),
            ("/p?a=1#&a=2", Some("1")),
            ("/p#?a=1", None),
            ("/p?A=1", None),
            ("/p", None),
            ("", None),
            ("/p?a=%ff%zz%", Some("\u{fffd}%zz%")),
        ] {
            assert_eq!(
                query_parameter(path.as_bytes(), "a").as_deref(),
                value,
                "{path}"
            );
        }
    }
}
