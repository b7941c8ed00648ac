//! How a matcher is written in a configuration.

use std::net::IpAddr;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use ipnet::IpNet;

use super::host::HostMatch;
use super::named::{HeaderMatch, Named, ParameterMatch};
use super::path_match::PathMatch;
use super::{Matcher, Test};
use crate::config::{self, ConfigErrors, Given, NonEmpty, OneOrMany, Percent, Problem, quoted};

/// `all`, `any` and `not` in each other, at most this deep.
const MAX_NESTING: usize = 16;

#[derive(Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct Fields {
    #[deserr(default)]
    path: OneOrMany<PathMatch>,
    #[deserr(default)]
    method: OneOrMany<Method>,
    #[deserr(default)]
    host: OneOrMany<HostMatch>,
    #[deserr(default)]
    headers: OneOrMany<HeaderMatch>,
    #[deserr(default)]
    query: OneOrMany<ParameterMatch>,
    #[deserr(default)]
    cookies: OneOrMany<ParameterMatch>,
    #[deserr(default)]
    source_ip: OneOrMany<Network>,
    #[deserr(default)]
    percentage: Given<Percent>,
    #[deserr(default)]
    all: NonEmpty<Matcher>,
    #[deserr(default)]
    any: NonEmpty<Matcher>,
    #[deserr(default)]
    not: Given<Box<Matcher>>,
}

impl Deserr<ConfigErrors> for Matcher {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        if nesting(location) > MAX_NESTING {
            let problem = format!("`all`, `any` and `not` are nested more than {MAX_NESTING} deep");
            return Err(ConfigErrors::at(location, problem));
        }
        Fields::deserialize_from_value(value, location).map(Self::from)
    }
}

fn nesting(location: ValuePointerRef<'_>) -> usize {
    let mut depth = 0_usize;
    let mut rest = &location;
    loop {
        match rest {
            ValuePointerRef::Origin => return depth,
            ValuePointerRef::Index { prev, .. } => rest = prev,
            ValuePointerRef::Key { key, prev } => {
                if matches!(*key, "all" | "any" | "not") {
                    depth = depth.saturating_add(1);
                }
                rest = prev;
            }
        }
    }
}

/// The cheap tests first, those that ask the host for more last.
impl From<Fields> for Matcher {
    fn from(fields: Fields) -> Self {
        let mut tests = Vec::new();
        let boxed = |list: OneOrMany<ParameterMatch>, kind: fn(Named) -> Test| {
            list.into_iter().map(move |test| kind(test.0))
        };
        if !fields.method.is_empty() {
            let methods = fields.method.into_iter().map(|method| method.0);
            tests.push(Test::Method(methods.collect()));
        }
        if !fields.host.is_empty() {
            tests.push(Test::Host(fields.host.into_iter().collect()));
        }
        if !fields.path.is_empty() {
            tests.push(Test::Path(fields.path.into_iter().collect()));
        }
        tests.extend(fields.headers.into_iter().map(|test| Test::Header(test.0)));
        tests.extend(boxed(fields.query, Test::Query));
        tests.extend(boxed(fields.cookies, Test::Cookie));
        if !fields.source_ip.is_empty() {
            let networks = fields.source_ip.into_iter().map(|network| network.0);
            tests.push(Test::Source(networks.collect()));
        }
        // A matcher that takes everything adds nothing to `all`, and makes `any`
        // take everything.
        let all = fields
            .all
            .into_iter()
            .filter(|test| !test.is_unconditional());
        tests.extend(all.flat_map(|test| test.tests));
        if !fields.any.is_empty() && !fields.any.iter().any(Self::is_unconditional) {
            tests.push(Test::Any(fields.any.into_iter().collect()));
        }
        if let Some(test) = fields.not.0 {
            tests.push(Test::Not(*test));
        }
        if let Some(percent) = fields.percentage.0
            && percent != Percent::ALL
        {
            tests.push(Test::Percentage(percent));
        }
        Self {
            tests: tests.into_boxed_slice(),
        }
    }
}

struct Method(Box<str>);

impl Deserr<ConfigErrors> for Method {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = config::string(value, location, "a method, such as \"GET\"")?;
        let problem = if http::Method::from_bytes(text.as_bytes()).is_err() {
            Problem::new(format!("{} is not a method", quoted(&text)))
        } else if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
            Problem::new("methods are in upper case")
                .help(format!("write `{}`", text.to_ascii_uppercase()))
        } else {
            return Ok(Self(text.into()));
        };
        Err(ConfigErrors::at(location, problem))
    }
}

struct Network(IpNet);

impl Deserr<ConfigErrors> for Network {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = config::string(
            value,
            location,
            "an address or a network, such as \"10.0.0.0/8\"",
        )?;
        let network = match text.parse::<IpAddr>() {
            Ok(address) => Some(IpNet::from(address.to_canonical())),
            Err(_) => text.parse::<IpNet>().ok().map(|network| network.trunc()),
        };
        network.map(Self).ok_or_else(|| {
            let problem = Problem::new(format!("{} is not an address or a network", quoted(&text)));
            ConfigErrors::at(
                location,
                problem.help("write 10.0.0.0/8, 192.0.2.1 or 2001:db8::/32"),
            )
        })
    }
}
