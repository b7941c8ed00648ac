//! Addresses as browsers read them.

use std::fmt;

use anyhow::{Context, Result, bail};

/// An `http` or `https` address, absolute, without a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// `http` or `https`.
    pub scheme: String,
    /// The host, with its port where that is not the scheme's own.
    pub authority: String,
    /// The path with its query; `/` at least.
    pub path: String,
}

impl Url {
    /// Reads an absolute address.
    pub fn parse(text: &str) -> Result<Self> {
        let (scheme, rest) =
            split_scheme(text).with_context(|| format!("{text:?} has no scheme"))?;
        Self::of(&scheme, rest).with_context(|| format!("{text:?} is no address of a page"))
    }

    /// Where a `Location` leads from here, by the rules of browsers (WHATWG's URL): tabs and line ends
    /// are nothing, `\` is `/`, any number of slashes begins an authority after `https:`.
    pub fn join(&self, location: &str) -> Result<Self> {
        let text: String = location
            .trim_matches(|letter| letter <= ' ')
            .chars()
            .filter(|letter| !['\t', '\n', '\r'].contains(letter))
            .collect();
        if let Some((scheme, rest)) = split_scheme(&text) {
            let relative = scheme == self.scheme && !rest.starts_with(['/', '\\']);
            if !relative {
                return Self::of(&scheme, rest)
                    .with_context(|| format!("{location:?} is no address of a page"));
            }
            return Ok(self.with_relative(rest));
        }
        let slashes = text.chars().take_while(|one| ['/', '\\'].contains(one));
        if slashes.count() >= 2 {
            return Self::of(&self.scheme, &text);
        }
        Ok(self.with_relative(&text))
    }

    /// The host alone, in lower case.
    pub fn host(&self) -> &str {
        match self.authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => &self.authority,
        }
    }

    /// Scheme and authority.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }

    /// The path without its query.
    pub fn path_alone(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    /// The parameters of the query, decoded, in order.
    pub fn parameters(&self) -> Vec<(String, String)> {
        let query = self.path.split_once('?').map_or("", |(_, query)| query);
        form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect()
    }

    /// A parameter of the query, decoded; none where it comes twice.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut all = self.parameters();
        all.retain(|(one, _)| one == name);
        match all.len() {
            1 => all.pop().map(|(_, value)| value),
            _ => None,
        }
    }

    /// The same address with a parameter set to this, or without it.
    #[must_use]
    pub fn with_parameter(&self, name: &str, value: Option<&str>) -> Self {
        let mut all = self.parameters();
        all.retain(|(one, _)| one != name);
        all.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(all)
            .finish();
        let mut other = self.clone();
        other.path = format!("{}?{query}", self.path_alone());
        other
    }

    fn of(scheme: &str, rest: &str) -> Result<Self> {
        if !["http", "https"].contains(&scheme) {
            bail!("`{scheme}` is not followed");
        }
        let rest = rest.trim_start_matches(['/', '\\']);
        let end = rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let authority = authority.rsplit('@').next().unwrap_or_default();
        if authority.is_empty() {
            bail!("it has no host");
        }
        let own_port = if scheme == "http" { ":80" } else { ":443" };
        let authority = authority.to_ascii_lowercase();
        let authority = authority.strip_suffix(own_port).unwrap_or(&authority);
        let base = Self {
            scheme: scheme.to_owned(),
            authority: authority.to_owned(),
            path: "/".to_owned(),
        };
        Ok(base.with_relative(path))
    }

    fn with_relative(&self, reference: &str) -> Self {
        let reference = reference.split('#').next().unwrap_or_default();
        let (path, query) = match reference.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (reference, None),
        };
        let path = path.replace('\\', "/");
        let own = self.path_alone();
        let path = match (path.as_str(), query) {
            ("", None) => self.path.clone(),
            ("", Some(_)) => own.to_owned(),
            (absolute, _) if absolute.starts_with('/') => absolute.to_owned(),
            (relative, _) => {
                let folder = own.rsplit_once('/').map_or("", |(folder, _)| folder);
                format!("{folder}/{relative}")
            }
        };
        let path = match query {
            Some(query) => format!("{path}?{query}"),
            None => path,
        };
        let mut other = self.clone();
        other.path = path;
        other
    }
}

impl fmt::Display for Url {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}://{}{}", self.scheme, self.authority, self.path)
    }
}

fn split_scheme(text: &str) -> Option<(String, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let mut letters = scheme.bytes();
    let first = letters.next()?.is_ascii_alphabetic();
    let others = letters.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    (first && others).then(|| (scheme.to_ascii_lowercase(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_lead_where_browsers_go() -> Result<()> {
        let here = Url::parse("https://app.example/a/b?c=d#e")?;
        assert_eq!(here.to_string(), "https://app.example/a/b?c=d");
        for (location, leads_to) in [
            ("/x", "https://app.example/x"),
            ("x", "https://app.example/a/x"),
            ("?x", "https://app.example/a/b?x"),
            ("", "https://app.example/a/b?c=d"),
            ("https:x", "https://app.example/a/x"),
            ("http:evil.example", "http://evil.example/"),
            ("//evil.example", "https://evil.example/"),
            ("/\\evil.example/x", "https://evil.example/x"),
            ("\\\\evil.example", "https://evil.example/"),
            ("/\t/evil.example", "https://evil.example/"),
            ("https:/evil.example", "https://evil.example/"),
            ("https:\\\\evil.example", "https://evil.example/"),
            (
                "https://app.example@EVIL.example:443/",
                "https://evil.example/",
            ),
            (
                "https://evil.example:8443?x",
                "https://evil.example:8443/?x",
            ),
        ] {
            assert_eq!(here.join(location)?.to_string(), leads_to, "{location:?}");
        }
        assert!(here.join("javascript:alert(1)").is_err());
        assert!(here.join("https://").is_err());
        Ok(())
    }

    #[test]
    fn parameters_are_read_and_changed() -> Result<()> {
        let url = Url::parse("http://a.localhost:81/cb?code=a%20b&state=c+d&x=1&x=2")?;
        assert_eq!(url.host(), "a.localhost");
        assert_eq!(url.parameter("code").as_deref(), Some("a b"));
        assert_eq!(url.parameter("state").as_deref(), Some("c d"));
        assert_eq!(url.parameter("x"), None);
        let other = url
            .with_parameter("x", None)
            .with_parameter("code", Some("&"));
        assert_eq!(other.path, "/cb?state=c+d&code=%26");
        Ok(())
    }
}
