//! How a matcher is written in a configuration.

use std::net::IpAddr;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use ipnet::IpNet;

use super::host::HostMatch;
use super::named::Named;
use super::path_match::PathMatch;
use super::{Conditions, Matcher, NoMore, Test};
use crate::config::{self, ConfigErrors, Percent, Problem, is_token, object, quoted};

/// `all`, `any` and `not` in each other, at most this deep.
const MAX_NESTING: usize = 16;

/// In the order in which they are looked at: the cheap tests first, those that
/// ask the host for more last.
struct Fields<M> {
    methods: Vec<Box<str>>,
    hosts: Vec<HostMatch>,
    paths: Vec<PathMatch>,
    named: Vec<Test<M>>,
    networks: Vec<IpNet>,
    own: Vec<M>,
    all: Vec<Matcher<M>>,
    any: Vec<Matcher<M>>,
    not: Option<Matcher<M>>,
    percentage: Option<Percent>,
}

/// Without a bound on `M`, which deriving it would ask for.
impl<M> Default for Fields<M> {
    fn default() -> Self {
        Self {
            methods: Vec::new(),
            hosts: Vec::new(),
            paths: Vec::new(),
            named: Vec::new(),
            networks: Vec::new(),
            own: Vec::new(),
            all: Vec::new(),
            any: Vec::new(),
            not: None,
            percentage: None,
        }
    }
}

const KEYS: &[&str] = &[
    "path",
    "method",
    "host",
    "headers",
    "query",
    "cookies",
    "source_ip",
    "percentage",
    "all",
    "any",
    "not",
];

impl<M: Conditions> Deserr<ConfigErrors> for Matcher<M> {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        if nesting(location) > MAX_NESTING {
            let problem = format!("`all`, `any` and `not` are nested more than {MAX_NESTING} deep");
            return Err(ConfigErrors::at(location, problem));
        }
        let mut fields = Fields::default();
        let keys = [KEYS, M::KEYS].concat();
        object::fields(value, location, &keys, &mut |key, value, location| {
            fields.read(key, value, location)
        })?;
        Ok(fields.into())
    }
}

impl Matcher {
    /// Reads what may stand under one of a matcher's keys, such as `headers`: for
    /// configurations in which such tests have a place of their own.
    pub fn read_tests<V: IntoValue>(
        key: &str,
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let mut fields = Fields::<NoMore>::default();
        fields.read(key, value, location)?;
        Ok(fields.into())
    }
}

impl<M: Conditions> Fields<M> {
    fn read<V: IntoValue>(
        &mut self,
        key: &str,
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<(), ConfigErrors> {
        match key {
            "percentage" => {
                self.percentage = Some(Percent::deserialize_from_value(value, location)?);
                Ok(())
            }
            "not" => {
                self.not = Some(Matcher::deserialize_from_value(value, location)?);
                Ok(())
            }
            "all" | "any" => object::elements(value, location, &mut |_, value, location| {
                let list = if key == "all" {
                    &mut self.all
                } else {
                    &mut self.any
                };
                object::push(list, value, location)
            }),
            own if M::KEYS.contains(&own) => {
                self.own.extend(M::read(own, value, location)?);
                Ok(())
            }
            _ => object::one_or_many(value, location, &mut |_, value, location| {
                self.read_test(key, value, location)
            }),
        }
    }

    fn read_test<V: IntoValue>(
        &mut self,
        key: &str,
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<(), ConfigErrors> {
        match key {
            "path" => object::push(&mut self.paths, value, location)?,
            "host" => object::push(&mut self.hosts, value, location)?,
            "headers" => {
                let test = Named::read_header(value, location)?;
                self.named.push(Test::Header(test));
            }
            "query" => self.named.push(Test::Query(Named::read(value, location)?)),
            "cookies" => self.named.push(Test::Cookie(Named::read(value, location)?)),
            "source_ip" => {
                let expected = "an address or a network, such as \"10.0.0.0/8\"";
                let text = config::string(value, location, expected)?;
                let network = network(&text);
                let network = network.map_err(|problem| ConfigErrors::at(location, problem))?;
                self.networks.push(network);
            }
            _ => {
                let text = config::string(value, location, "a method, such as \"GET\"")?;
                check_method(&text).map_err(|problem| ConfigErrors::at(location, problem))?;
                self.methods.push(text.into());
            }
        }
        Ok(())
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

impl<M> From<Fields<M>> for Matcher<M> {
    fn from(fields: Fields<M>) -> Self {
        let mut tests = Vec::new();
        if !fields.methods.is_empty() {
            tests.push(Test::Method(fields.methods));
        }
        if !fields.hosts.is_empty() {
            tests.push(Test::Host(fields.hosts));
        }
        if !fields.paths.is_empty() {
            tests.push(Test::Path(fields.paths));
        }
        tests.extend(fields.named);
        if !fields.networks.is_empty() {
            tests.push(Test::Source(fields.networks));
        }
        tests.extend(fields.own.into_iter().map(Test::More));
        for matcher in fields.all {
            tests.extend(matcher.tests);
        }
        // A matcher that takes everything makes `any` take everything.
        if !fields.any.is_empty() && !fields.any.iter().any(Self::is_unconditional) {
            tests.push(Test::Any(fields.any));
        }
        if let Some(matcher) = fields.not {
            tests.push(Test::Not(matcher));
        }
        if let Some(percent) = fields.percentage
            && percent != Percent::ALL
        {
            tests.push(Test::Percentage(percent));
        }
        Self {
            tests: tests.into_boxed_slice(),
        }
    }
}

fn check_method(text: &str) -> Result<(), Problem> {
    if !is_token(text) {
        return Err(Problem::new(format!("{} is not a method", quoted(text))));
    }
    if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Err(Problem::new("methods are in upper case")
            .help(format!("write `{}`", text.to_ascii_uppercase())));
    }
    Ok(())
}

fn network(text: &str) -> Result<IpNet, Problem> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => Some(IpNet::from(address.to_canonical())),
        Err(_) => text.parse::<IpNet>().ok().map(|network| network.trunc()),
    };
    network.ok_or_else(|| {
        Problem::new(format!("{} is not an address or a network", quoted(text)))
            .help("write 10.0.0.0/8, 192.0.2.1 or 2001:db8::/32")
    })
}
