//! Cookies as browsers keep them (RFC 6265bis).

use std::time::{Duration, SystemTime};

use super::url::Url;

/// What a browser keeps of one: longer ones it drops (RFC 6265bis, section 5.6).
const MAX_COOKIE: usize = 4096;

/// A cookie that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Whose it is.
    pub domain: String,
    /// Whether that host alone gets it, and no subdomain.
    pub host_only: bool,
    /// Under which paths it is sent.
    pub path: String,
    /// Whether it is sent by HTTPS alone.
    pub secure: bool,
    /// Whether scripts cannot read it.
    pub http_only: bool,
    /// Whether it is kept apart for each site it is embedded in.
    pub partitioned: bool,
    /// `SameSite` as it was written.
    pub same_site: Option<String>,
    /// `Max-Age` as it was written, in seconds.
    pub max_age: Option<i64>,
    /// When it is dropped; none at the browser's end.
    until: Option<SystemTime>,
}

/// The cookies of one browser.
///
/// To it HTTPS is secure, and so are `localhost` and what ends with that, by whatever scheme. It has no list
/// of public suffixes, and does not look at `SameSite`: what a cookie says, tests read.
#[derive(Clone, Debug, Default)]
pub struct Jar {
    kept: Vec<Kept>,
    /// By how much its clock is ahead.
    ahead: Duration,
}

impl Jar {
    /// Takes the value of a `Set-Cookie`, or says why a browser would not.
    pub fn set(&mut self, url: &Url, line: &str) -> Result<(), String> {
        let cookie = self.read(url, line)?;
        let same = |one: &Kept| {
            (&one.name, &one.domain, &one.path) == (&cookie.name, &cookie.domain, &cookie.path)
                && one.host_only == cookie.host_only
                && one.partitioned == cookie.partitioned
        };
        let now = self.now();
        let place = self.kept.iter().position(same);
        match (place, cookie.until.is_some_and(|until| until <= now)) {
            (Some(place), true) => drop(self.kept.remove(place)),
            (Some(place), false) => self.kept[place] = cookie,
            (None, true) => {}
            (None, false) => self.kept.push(cookie),
        }
        Ok(())
    }

    /// The `Cookie` of a request to this address; none where there is nothing to send.
    pub fn header(&self, url: &Url) -> Option<String> {
        let mut sent: Vec<_> = self.kept().filter(|cookie| goes_to(cookie, url)).collect();
        // Longer paths first; those that came first stay first.
        sent.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs = sent
            .iter()
            .map(|cookie| format!("{}={}", cookie.name, cookie.value));
        let text = pairs.collect::<Vec<_>>().join("; ");
        (!text.is_empty()).then_some(text)
    }

    /// What is kept now.
    pub fn kept(&self) -> impl Iterator<Item = &Kept> {
        let now = self.now();
        let lives = move |one: &&Kept| one.until.is_none_or(|until| until > now);
        self.kept.iter().filter(lives)
    }

    /// The cookie of this name, whosever it is.
    pub fn get(&self, name: &str) -> Option<&Kept> {
        self.kept().find(|one| one.name == name)
    }

    /// The names of the cookies that this host has set.
    pub fn names(&self, host: &str) -> Vec<String> {
        let own = self.kept().filter(|one| one.domain == host);
        own.map(|one| one.name.clone()).collect()
    }

    /// Gives the cookie of this name another value: what an attacker does with his own browser.
    pub fn replace(&mut self, name: &str, value: &str) {
        for one in self.kept.iter_mut().filter(|one| one.name == name) {
            value.clone_into(&mut one.value);
        }
    }

    /// Puts in a cookie of the host's own, whoever it is from.
    pub fn put(&mut self, host: &str, name: &str, value: &str) {
        self.kept
            .retain(|one| (one.name.as_str(), one.domain.as_str()) != (name, host));
        self.kept.push(Kept {
            name: name.to_owned(),
            value: value.to_owned(),
            domain: host.to_owned(),
            host_only: true,
            path: "/".to_owned(),
            secure: false,
            http_only: false,
            partitioned: false,
            same_site: None,
            max_age: None,
            until: None,
        });
    }

    /// Drops the cookies that do not fit.
    pub fn retain(&mut self, fits: impl FnMut(&Kept) -> bool) {
        self.kept.retain(fits);
    }

    /// Lets time pass for the cookies.
    pub fn age(&mut self, time: Duration) {
        self.ahead += time;
    }

    fn now(&self) -> SystemTime {
        SystemTime::now() + self.ahead
    }

    fn read(&self, url: &Url, line: &str) -> Result<Kept, String> {
        let bad = |why: &str| Err(format!("{why}: {line}"));
        if line
            .bytes()
            .any(|byte| byte.is_ascii_control() && byte != b'\t')
        {
            return bad("control characters");
        }
        let mut parts = line.split(';').map(str::trim);
        let first = parts.next().unwrap_or_default();
        let (name, value) = first.split_once('=').unwrap_or(("", first));
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() {
            return bad("no name");
        }
        if name.len() + value.len() > MAX_COOKIE {
            return bad("more than 4096 bytes");
        }
        let mut cookie = Kept {
            name: name.to_owned(),
            value: value.to_owned(),
            domain: url.host().to_owned(),
            host_only: true,
            path: default_path(url),
            secure: false,
            http_only: false,
            partitioned: false,
            same_site: None,
            max_age: None,
            until: None,
        };
        let mut expires = None;
        let mut path_is_root = false;
        for part in parts {
            let (attribute, value) = part.split_once('=').unwrap_or((part, ""));
            match attribute.trim().to_ascii_lowercase().as_str() {
                "domain" if !value.is_empty() => {
                    let domain = value.trim_start_matches('.').to_ascii_lowercase();
                    if !within(url.host(), &domain) {
                        return bad("another's domain");
                    }
                    cookie.domain = domain;
                    cookie.host_only = false;
                }
                "path" => {
                    path_is_root = value == "/";
                    if value.starts_with('/') {
                        value.clone_into(&mut cookie.path);
                    }
                }
                "secure" => cookie.secure = true,
                "httponly" => cookie.http_only = true,
                "partitioned" => cookie.partitioned = true,
                "samesite" => cookie.same_site = Some(value.to_owned()),
                "max-age" => {
                    let seconds = value.parse();
                    cookie.max_age = Some(seconds.map_err(|_| format!("bad Max-Age: {line}"))?);
                }
                "expires" => expires = httpdate::parse_http_date(value).ok(),
                _ => {}
            }
        }
        cookie.until = match cookie.max_age {
            Some(seconds) => {
                let seconds = u64::try_from(seconds).unwrap_or(0);
                Some(match seconds {
                    0 => SystemTime::UNIX_EPOCH,
                    some => self.now() + Duration::from_secs(some),
                })
            }
            None => expires,
        };
        let trusted = is_trusted(url);
        if cookie.secure && !trusted {
            return bad("Secure from an insecure place");
        }
        let none = cookie.same_site.as_deref();
        if none.is_some_and(|it| it.eq_ignore_ascii_case("none")) && !cookie.secure {
            return bad("SameSite=None without Secure");
        }
        if cookie.partitioned && !cookie.secure {
            return bad("Partitioned without Secure");
        }
        let prefix = |prefix: &str| {
            let start = name.get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        if prefix("__Secure-") && !cookie.secure {
            return bad("__Secure- without Secure");
        }
        if prefix("__Host-") && !(cookie.secure && cookie.host_only && path_is_root) {
            return bad("__Host- without Secure, or with a Domain, or without Path=/");
        }
        Ok(cookie)
    }
}

fn is_trusted(url: &Url) -> bool {
    url.scheme == "https" || within(url.host(), "localhost")
}

fn within(host: &str, domain: &str) -> bool {
    host == domain
        || host
            .strip_suffix(domain)
            .is_some_and(|rest| rest.ends_with('.'))
}

fn goes_to(cookie: &Kept, url: &Url) -> bool {
    let host = if cookie.host_only {
        url.host() == cookie.domain
    } else {
        within(url.host(), &cookie.domain)
    };
    let path = url.path_alone();
    let below = path
        .strip_prefix(&cookie.path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || cookie.path.ends_with('/'));
    host && below && (!cookie.secure || is_trusted(url))
}

fn default_path(url: &Url) -> String {
    match url.path_alone().rsplit_once('/') {
        Some((folder, _)) if !folder.is_empty() => folder.to_owned(),
        _ => "/".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> Url {
        Url::parse(url).expect("an address")
    }

    fn sent(lines: &[&str], set_at: &str, sent_to: &str) -> String {
        let mut jar = Jar::default();
        for line in lines {
            jar.set(&at(set_at), line).expect("a good cookie");
        }
        jar.header(&at(sent_to)).unwrap_or_default()
    }

    #[test]
    fn cookies_go_where_they_belong() {
        let app = "https://app.example/a/b";
        for (line, to, header) in [
            ("n=v", "https://app.example/a/", "n=v"),
            ("n=v", "https://app.example/ab", ""),
            ("n=v; Path=/", "https://app.example/x?y", "n=v"),
            ("n=v; Path=/", "https://www.app.example/", ""),
            (
                "n=v; Path=/; Domain=.app.example",
                "https://www.app.example/",
                "n=v",
            ),
            (
                "n=v; Path=/; Domain=example",
                "https://other.example/",
                "n=v",
            ),
            ("n=v; Path=/x", "https://app.example/x", "n=v"),
            ("n=v; Path=/x", "https://app.example/x/y", "n=v"),
            ("n=v; Path=/x", "https://app.example/xy", ""),
            ("n=v; Path=/; Secure", "http://app.example/", ""),
            ("n=v; Path=/", "http://app.example:8080/", "n=v"),
            ("n=v; Path=/; Max-Age=0", "https://app.example/", ""),
            ("n=v; Path=/; Max-Age=-1", "https://app.example/", ""),
            (
                "n=v; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
                "https://app.example/",
                "",
            ),
            (
                "n=v; Path=/; Max-Age=9; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
                "https://app.example/",
                "n=v",
            ),
            (
                "__Host-n=v; Path=/; Secure",
                "https://app.example/",
                "__Host-n=v",
            ),
        ] {
            assert_eq!(sent(&[line], app, to), header, "{line} to {to}");
        }
        let two = ["a=1; Path=/", "b=2; Path=/x", "a=3; Path=/"];
        assert_eq!(sent(&two, app, "https://app.example/x"), "b=2; a=3");
    }

    #[test]
    fn what_browsers_do_not_take_is_refused() {
        let long = format!("n={}", "v".repeat(4096));
        for (line, set_at) in [
            ("n=v; Secure", "http://app.example/"),
            ("__Secure-n=v", "https://app.example/"),
            ("__Host-n=v; Path=/", "https://app.example/"),
            ("__host-n=v; Path=/", "https://app.example/"),
            ("__Host-n=v; Secure", "https://app.example/"),
            ("__Host-n=v; Secure; Path=/x", "https://app.example/"),
            (
                "__Host-n=v; Secure; Path=/; Domain=app.example",
                "https://app.example/",
            ),
            ("n=v; Domain=other.example", "https://app.example/"),
            ("n=v; Domain=p.example", "https://app.example/"),
            ("n=v; SameSite=None", "https://app.example/"),
            ("n=v; Partitioned", "https://app.example/"),
            ("n=v; Max-Age=soon", "https://app.example/"),
            ("=v", "https://app.example/"),
            (&long, "https://app.example/"),
        ] {
            let refused = Jar::default().set(&at(set_at), line);
            assert!(refused.is_err(), "{line}");
        }
    }

    #[test]
    fn localhost_is_secure_to_it_and_time_passes() {
        let app = at("http://app.localhost:10000/");
        let mut jar = Jar::default();
        jar.set(&app, "__Host-n=v; Path=/; Secure; Max-Age=60")
            .unwrap();
        assert_eq!(jar.header(&app).as_deref(), Some("__Host-n=v"));
        jar.age(Duration::from_secs(61));
        assert_eq!(jar.header(&app), None);
        assert!(jar.get("__Host-n").is_none());
    }

    #[test]
    fn a_cookie_is_cleared_by_its_own_domain_and_path_alone() {
        let app = at("https://app.example/");
        let mut jar = Jar::default();
        jar.set(&app, "n=v; Path=/; Domain=app.example").unwrap();
        jar.set(&app, "n=; Path=/; Max-Age=0").unwrap();
        jar.set(&app, "n=; Path=/x; Domain=app.example; Max-Age=0")
            .unwrap();
        assert_eq!(jar.header(&app).as_deref(), Some("n=v"));
        jar.set(&app, "n=; Path=/; Domain=app.example; Max-Age=0")
            .unwrap();
        assert_eq!(jar.header(&app), None);
    }
}
