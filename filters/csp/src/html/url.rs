//! URLs in pages, as a browser's URL parser sees them, and what a policy says of them.

/// How much of a URL is kept, in bytes.
const KEPT: usize = 256;

/// What a URL in a page leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// Nothing that a policy looks at: an empty one, a fragment, `about:`.
    Nothing,
    /// A script: the whole of it, as it is hashed.
    Script(String),
    /// A place that a source expression names.
    Source(Source),
    /// One of which it would take a whole URL parser to know.
    Unreadable,
}

/// A source expression, and the URL for which it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) expression: Box<str>,
    /// Without query and fragment, which may be anybody's secrets.
    pub(super) url: Box<str>,
}

/// What a URL leads to in a page of that base, if it has a `base`.
pub(super) fn target(url: &str, base: Option<&Source>) -> Target {
    let url = url
        .trim_matches(|c: char| c <= ' ')
        .replace(['\t', '\n', '\r'], "");
    if url.is_empty() || url.starts_with('#') {
        return Target::Nothing;
    }
    match scheme(&url) {
        None => relative(&url, base),
        Some((scheme, rest)) => match &*scheme {
            "javascript" => script(rest),
            "about" => Target::Nothing,
            "http" | "https" | "ws" | "wss" | "ftp" => absolute(&scheme, rest),
            _ => {
                // What is within it tells nothing, and may be the whole of an image.
                let expression = format!("{scheme}:").into_boxed_str();
                Target::Source(Source {
                    url: expression.clone(),
                    expression,
                })
            }
        },
    }
}

/// A URL's scheme in lower case, and what follows.
fn scheme(url: &str) -> Option<(String, &str)> {
    let (scheme, rest) = url.split_once(':')?;
    let letters = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    letters.then(|| (scheme.to_ascii_lowercase(), rest))
}

/// A `javascript:` URL is hashed as a whole. The policy asks for the URL as it is serialized and
/// Chromium for it unescaped, which is the same where nothing is to be escaped.
fn script(rest: &str) -> Target {
    let (path, tail) = rest
        .find(['?', '#'])
        .and_then(|at| rest.split_at_checked(at))
        .unwrap_or((rest, ""));
    let plain = rest
        .bytes()
        .all(|byte| (b' '..=b'~').contains(&byte) && byte != b'%')
        && !tail.contains([' ', '"', '<', '>', '`'])
        && !path.ends_with(' ');
    if plain {
        Target::Script(format!("javascript:{rest}"))
    } else {
        Target::Unreadable
    }
}

fn relative(url: &str, base: Option<&Source>) -> Target {
    if url.starts_with(['/', '\\']) && url.get(1..).is_some_and(|url| url.starts_with(['/', '\\']))
    {
        return absolute("", url);
    }
    Target::Source(Source {
        expression: base.map_or_else(|| "'self'".into(), |base| base.expression.clone()),
        url: kept(url),
    })
}

/// A URL with a host. Without a scheme it has that of the page, as its expression has.
fn absolute(scheme: &str, rest: &str) -> Target {
    let after = rest.trim_start_matches(['/', '\\']);
    if after.len() == rest.len() {
        // `https:a.js` is relative in a page of that scheme, and is not in others.
        return Target::Unreadable;
    }
    let end = after.find(['/', '\\', '?', '#']).unwrap_or(after.len());
    let (authority, path) = after.split_at_checked(end).unwrap_or((after, ""));
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host)
        .to_ascii_lowercase();
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port),
        _ => (&*host, ""),
    };
    let named = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if !named || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        // An address of IPv6 is in no source expression, and others would have to be written in
        // another way.
        return Target::Unreadable;
    }
    let port = match (scheme, port) {
        (_, "") | ("http" | "ws", "80") | ("https" | "wss", "443") | ("ftp", "21") => String::new(),
        (_, port) => format!(":{port}"),
    };
    let scheme = match scheme {
        "" => String::new(),
        scheme => format!("{scheme}://"),
    };
    let expression = format!("{scheme}{name}{port}");
    Target::Source(Source {
        url: kept(&format!("{expression}{path}")),
        expression: expression.into(),
    })
}

/// What is kept of a URL.
fn kept(url: &str) -> Box<str> {
    let end = url.find(['?', '#']).unwrap_or(url.len()).min(KEPT);
    let end = (0..=end).rev().find(|&at| url.is_char_boundary(at));
    end.and_then(|end| url.get(..end))
        .unwrap_or_default()
        .into()
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn source(expression: &str, url: &str) -> Target {
        Target::Source(Source {
            expression: expression.into(),
            url: url.into(),
        })
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn says_what_a_url_leads_to() {
        for (url, expected) in [
            ("", Target::Nothing),
            (" \t\n", Target::Nothing),
            ("#top", Target::Nothing),
            ("about:blank", Target::Nothing),
            ("/a.js", source("'self'", "/a.js")),
            (" a/b.js?key=secret#x ", source("'self'", "a/b.js")),
            ("?key=secret", source("'self'", "")),
            ("a:b/c.js", source("a:", "a:")),
            ("./a:b.js", source("'self'", "./a:b.js")),
            (
                "https://cdn.example/a.js",
                source("https://cdn.example", "https://cdn.example/a.js"),
            ),
            (
                "HTTPS://CDN.Example:443/A.js",
                source("https://cdn.example", "https://cdn.example/A.js"),
            ),
            (
                "http://cdn.example:8080",
                source("http://cdn.example:8080", "http://cdn.example:8080"),
            ),
            (
                "https://me:it@cdn.example?x",
                source("https://cdn.example", "https://cdn.example"),
            ),
            ("//cdn.example/a", source("cdn.example", "cdn.example/a")),
            (
                "\\\\cdn.example\\a",
                source("cdn.example", "cdn.example\\a"),
            ),
            (
                "https:\\\\cdn.example/a",
                source("https://cdn.example", "https://cdn.example/a"),
            ),
            (
                "ht\ntps:/\t/cdn.example/",
                source("https://cdn.example", "https://cdn.example/"),
            ),
            (
                "wss://cdn.example:443/",
                source("wss://cdn.example", "wss://cdn.example/"),
            ),
            ("data:image/png;base64,AAAA", source("data:", "data:")),
            ("blob:https://a.example/1", source("blob:", "blob:")),
            ("https:a.js", Target::Unreadable),
            ("https://[::1]:80/", Target::Unreadable),
            ("https://bücher.example/", Target::Unreadable),
            ("https://a%2eexample/", Target::Unreadable),
            ("https://", Target::Unreadable),
            ("javascript:f();", Target::Script("javascript:f();".into())),
            (
                " Java\nScript:f( 1 )",
                Target::Script("javascript:f( 1 )".into()),
            ),
            ("javascript:f('ä')", Target::Unreadable),
            ("javascript:f(1%202)", Target::Unreadable),
            ("javascript:a?\"b\":c", Target::Unreadable),
        ] {
            assert_eq!(target(url, None), expected, "{url}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_relative_is_so_to_the_base() {
        let base = Source {
            expression: "https://cdn.example".into(),
            url: "".into(),
        };
        assert_eq!(
            target("a.js", Some(&base)),
            source("https://cdn.example", "a.js")
        );
        assert_eq!(
            target("//b.example/a.js", Some(&base)),
            source("b.example", "b.example/a.js")
        );
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn keeps_no_more_of_a_url_than_a_line() {
        let Target::Source(source) = target(&format!("/{}", "ä".repeat(500)), None) else {
            panic!("no source");
        };
        assert_eq!(source.url.len(), 255);
    }
}
