//! Which requests something is for: the matcher that all filters share.
//!
//! A matcher is an object whose keys must all hold; an empty one takes every
//! request.
//!
//! | key | holds for |
//! |---|---|
//! | `path` | a path, or one of several: `{prefix: /api/}`, … (below); a string is an exact path |
//! | `method` | a method, or one of several: `[GET, HEAD]` |
//! | `host` | a host, or one of several: `api.example.com`, `*.example.com`; case, port and a dot at the end make no difference |
//! | `headers` | all of these headers: `[{name: x-a, exact: b}]`, … (below) |
//! | `query` | all of these query parameters, decoded; written as headers are |
//! | `cookies` | all of these cookies; written as headers are |
//! | `source_ip` | a client's address, or one of several: `10.0.0.0/8` |
//! | `percentage` | this share of requests, from 0 to 100 |
//! | `all`, `any` | all, or one, of these matchers |
//! | `not` | what this matcher does not take |
//!
//! **Paths** are tested in [normal form](normalize_path), without query and
//! fragment, by one of:
//! `exact`; `prefix`, which is plain text (`/api` takes `/apis` too; write
//! `/api/`, or the next); `path_separated_prefix`, which takes the path and what
//! lies below it (`/api` takes `/api` and `/api/x`); `suffix`; `contains`;
//! `regex`, which must match the whole path; `template`, whose `*` and `{name}`
//! take one segment and whose `/**` at the end takes all that follow, and none
//! (`/users/{id}/**`). `ignore_case` goes with each. A test that no path in
//! normal form can pass is an error. A request without a path passes none.
//!
//! **Headers**, query parameters and cookies are tested by `exact`, `prefix`,
//! `suffix`, `contains`, `regex` (of the whole value), `present` (true or false)
//! or `range` (`{start: 1, end: 10}` without its end), with `ignore_case` for
//! the value. One that is sent several times passes if one of its values does:
//! they are never joined. `invert_match` is as in Envoy: the name must be there
//! and none of its values may pass. To take requests without it as well, put the
//! test into `not`.
//!
//! **Percentages** look at one random number a request. So `percentage: 10` and
//! `percentage: 30` in two rules of which the first that matches is taken split
//! requests 10 to 20, as Envoy's runtime fractions do.
//!
//! A filter may have [conditions of its own](Conditions) beside these, under keys of
//! their own, which go into `all`, `any` and `not` as the others do.
//!
//! An error while a fact is asked for ends the matching, and is the caller's to
//! judge.

mod conditions;
mod effort;
mod fields;
mod host;
mod named;
mod parameters;
mod path;
mod path_match;
mod readings;
mod request;
mod rewrite;
#[cfg(not(target_family = "wasm"))]
mod schema;
mod string;
mod template;
mod written;

use std::borrow::Cow;

use ipnet::IpNet;

use crate::config::Percent;

pub use conditions::{Conditions, Holds, NoMore};
pub use effort::{Effort, Reach};
pub use host::HostMatch;
pub use named::Named;
pub use path::{Ambiguity, normalize_path};
pub use path_match::PathMatch;
pub use readings::other_readings;
pub use request::{Request, RequestView, is_cors_preflight, parse_address};
pub use rewrite::RegexRewrite;
pub use string::{Regex, StringMatch};

pub(crate) use parameters::query_parameter;
pub(crate) use path::split_path;

/// Which requests something is for. The default takes all. `M`: a filter's own
/// [conditions](Conditions), beside those that all filters have.
#[derive(Debug, Clone)]
pub struct Matcher<M = NoMore> {
    tests: Box<[Test<M>]>,
}

/// Without a bound on `M`, which deriving it would ask for.
impl<M> Default for Matcher<M> {
    fn default() -> Self {
        Self {
            tests: Box::new([]),
        }
    }
}

#[derive(Debug, Clone)]
enum Test<M> {
    Method(Vec<Box<str>>),
    Host(Vec<HostMatch>),
    Path(Vec<PathMatch>),
    Header(Named),
    Query(Named),
    Cookie(Named),
    Source(Vec<IpNet>),
    More(M),
    Any(Vec<Matcher<M>>),
    Not(Matcher<M>),
    Percentage(Percent),
}

/// What matching may ask of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// How many headers it may read, pseudo-headers included.
    pub header_reads: usize,
    /// Whether it may ask for the client's address.
    pub source_address: bool,
    /// Whether it may draw the random number.
    pub random: bool,
}

impl Needs {
    /// What these and those ask.
    #[must_use]
    pub const fn merge(self, other: Self) -> Self {
        Self {
            header_reads: self.header_reads.saturating_add(other.header_reads),
            source_address: self.source_address || other.source_address,
            random: self.random || other.random,
        }
    }
}

impl<M> Matcher<M> {
    /// Whether it takes a request.
    pub fn matches<V: RequestView + ?Sized>(
        &self,
        request: &mut Request<'_, V>,
    ) -> Result<bool, V::Error>
    where
        M: Holds<V>,
    {
        for test in &self.tests {
            if !test.holds(request)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether it takes every request, without a look at any.
    pub fn is_unconditional(&self) -> bool {
        self.tests.is_empty()
    }

    /// The first of the `path` tests of this matcher itself, and of those under
    /// `all`, that takes this path and has a part of this name: a template's `{name}`, a
    /// regex's `(?P<name>…)`. What is under `any` and `not` has none to give.
    pub fn capture<'p>(&self, path: &'p [u8], name: &str) -> Option<Cow<'p, [u8]>> {
        let mut paths = self.tests.iter().filter_map(Test::paths).flatten();
        paths.find_map(|test| test.capture(path, name))
    }

    /// Whether [`capture`](Self::capture) could find a part of this name.
    pub fn captures(&self, name: &str) -> bool {
        let mut paths = self.tests.iter().filter_map(Test::paths).flatten();
        paths.any(|test| test.captures(name))
    }

    /// Hands over each condition of the filter's own, wherever it stands.
    pub fn each_own<'m>(&'m self, take: &mut dyn FnMut(&'m M)) {
        for test in &self.tests {
            match test {
                Test::More(own) => take(own),
                Test::Any(matchers) => matchers.iter().for_each(|one| one.each_own(take)),
                Test::Not(matcher) => matcher.each_own(take),
                _ => {}
            }
        }
    }
}

impl<M: Conditions> Matcher<M> {
    /// What matching may ask of a request.
    pub fn needs(&self) -> Needs {
        let needs = self.tests.iter().map(Test::needs);
        needs.fold(Needs::default(), Needs::merge)
    }
}

impl<M> Test<M> {
    fn paths(&self) -> Option<&[PathMatch]> {
        match self {
            Self::Path(paths) => Some(paths),
            _ => None,
        }
    }

    fn holds<V: RequestView + ?Sized>(&self, request: &mut Request<'_, V>) -> Result<bool, V::Error>
    where
        M: Holds<V>,
    {
        Ok(match self {
            Self::Method(methods) => {
                let method = request.view().header(":method")?;
                method.is_some_and(|sent| methods.iter().any(|known| known.as_bytes() == sent))
            }
            Self::Host(hosts) => {
                let authority = request.view().header(":authority")?;
                authority.is_some_and(|sent| hosts.iter().any(|host| host.matches(sent)))
            }
            Self::Path(paths) => {
                let path = request.path()?;
                path.is_some_and(|sent| paths.iter().any(|path| path.matches(sent)))
            }
            Self::Header(test) => test.header(request.view())?,
            Self::Query(test) => test.query(request.view())?,
            Self::Cookie(test) => test.cookie(request.view())?,
            Self::Source(networks) => {
                let address = request.source_address()?;
                address.is_some_and(|sent| networks.iter().any(|network| network.contains(&sent)))
            }
            Self::More(own) => own.holds(request)?,
            Self::Any(matchers) => {
                for matcher in matchers {
                    if matcher.matches(request)? {
                        return Ok(true);
                    }
                }
                false
            }
            Self::Not(matcher) => !matcher.matches(request)?,
            Self::Percentage(percent) => percent.admits(request.random()?),
        })
    }
}

impl<M: Conditions> Test<M> {
    fn needs(&self) -> Needs {
        match self {
            Self::Any(matchers) => {
                let needs = matchers.iter().map(Matcher::needs);
                needs.fold(Needs::default(), Needs::merge)
            }
            Self::Not(matcher) => matcher.needs(),
            Self::More(own) => own.needs(),
            Self::Source(_) => Needs {
                source_address: true,
                ..Needs::default()
            },
            Self::Percentage(_) => Needs {
                random: true,
                ..Needs::default()
            },
            Self::Method(_)
            | Self::Host(_)
            | Self::Path(_)
            | Self::Header(_)
            | Self::Query(_)
            | Self::Cookie(_) => Needs {
                header_reads: 1,
                ..Needs::default()
            },
        }
    }
}
