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
//! An error while a fact is asked for ends the matching, and is the caller's to
//! judge.

mod fields;
mod host;
mod named;
mod parameters;
mod path;
mod path_match;
mod readings;
mod request;
mod string;
mod template;
mod written;

use ipnet::IpNet;

use crate::config::Percent;
use named::Named;

pub use host::HostMatch;
pub use path::{Ambiguity, normalize_path};
pub use path_match::PathMatch;
pub use readings::other_readings;
pub use request::{Request, RequestView, parse_address};
pub use string::{Regex, StringMatch};

pub(crate) use parameters::{cookies, query_parameter};
pub(crate) use path::split_path;

/// Which requests something is for. The default takes all.
#[derive(Debug, Clone, Default)]
pub struct Matcher {
    tests: Box<[Test]>,
}

#[derive(Debug, Clone)]
enum Test {
    Method(Vec<Box<str>>),
    Host(Vec<HostMatch>),
    Path(Vec<PathMatch>),
    Header(Named),
    Query(Named),
    Cookie(Named),
    Source(Vec<IpNet>),
    Any(Vec<Matcher>),
    Not(Matcher),
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

impl Matcher {
    /// Whether it takes a request.
    pub fn matches<V: RequestView + ?Sized>(
        &self,
        request: &mut Request<'_, V>,
    ) -> Result<bool, V::Error> {
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

    /// What matching may ask of a request.
    pub fn needs(&self) -> Needs {
        let needs = self.tests.iter().map(Test::needs);
        needs.fold(Needs::default(), Needs::merge)
    }
}

impl Test {
    fn holds<V: RequestView + ?Sized>(
        &self,
        request: &mut Request<'_, V>,
    ) -> Result<bool, V::Error> {
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

    fn needs(&self) -> Needs {
        match self {
            Self::Any(matchers) => {
                let needs = matchers.iter().map(Matcher::needs);
                needs.fold(Needs::default(), Needs::merge)
            }
            Self::Not(matcher) => matcher.needs(),
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
