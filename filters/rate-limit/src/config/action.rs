//! Actions: what the entries of a descriptor are made of.
//!
//! There are sixteen of them with much the same fields, so they are read by a table.

use std::net::IpAddr;
use std::rc::Rc;

use deserr::{Deserr, IntoValue, Map, Value, ValuePointerRef};
use ipnet::IpNet;
use legation::config::{
    Bounded, ConfigErrors, HeaderName, Key, NonEmpty, OneOrMany, Problem, Schema, only_entry,
    string, unknown_choice,
};
use legation::format::Format;
use legation::format::attributes::Path;
use legation::matcher::Matcher;

use super::forms::FORMS;
use super::template::PathTemplate;
use super::text::{request_format, text};

/// An action: it gives a descriptor one entry, or none.
#[derive(Debug, Clone, Schema)]
#[schema(with = super::forms::schema)]
pub struct Action {
    /// The entry's key.
    pub key: Rc<str>,
    /// Where its value is from.
    pub from: Origin,
    /// The value where there is none there.
    pub default_value: Option<Box<str>>,
    /// Whether a descriptor does without the entry where it has no value. Otherwise
    /// there is no descriptor then.
    pub skip_if_absent: bool,
}

/// Where an entry's value is from.
#[derive(Debug, Clone)]
pub enum Origin {
    /// The first value of a request header, or of a pseudo-header.
    Header(Box<str>),
    /// The first query parameter of that name, decoded.
    QueryParameter(Box<str>),
    /// The client's address.
    RemoteAddress,
    /// Its network, by these lengths of IPv4 and IPv6.
    MaskedRemoteAddress(u8, u8),
    /// An attribute of Envoy's.
    Attribute(Path),
    /// A claim, by the names of the members that lead to it, in the state that
    /// `jwt-auth` left behind.
    Claim(Path, Box<[Box<str>]>),
    /// The first of these templates that the path fits.
    Template(Box<[PathTemplate]>),
    /// Text.
    Format(Format),
    /// Text, where a test of the request came out so.
    When(Test, bool, Format),
}

/// A test of a request.
#[derive(Debug, Clone)]
pub enum Test {
    /// Of its headers or its query.
    Request(Matcher),
    /// Of the client's address.
    RemoteAddress(Box<[IpNet]>),
}

/// Actions of Envoy's that there are not.
fn instead(kind: &str) -> Option<Problem> {
    Some(match kind {
        "dynamic_metadata" => Problem::new("`dynamic_metadata` is deprecated")
            .help("write `metadata`, which reads the same unless told otherwise"),
        "extension" => Problem::new("a module cannot use Envoy's extensions")
            .help("`format` takes what Envoy's format strings can say"),
        _ => return None,
    })
}

/// The fields of an action, read.
#[derive(Default)]
struct Fields {
    given: Vec<String>,
    /// What names that which the value is from.
    name: String,
    key: Option<String>,
    value: Option<Format>,
    default_value: Option<Box<str>>,
    skip_if_absent: bool,
    expect: bool,
    networks: Vec<IpNet>,
    matcher: Matcher,
    lengths: (u8, u8),
    path: Vec<String>,
    of_route: bool,
    templates: Vec<PathTemplate>,
    capture: Option<String>,
}

impl Deserr<ConfigErrors> for Action {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let kinds: Vec<_> = FORMS.iter().map(|form| form.kind).collect();
        let (written, value) = only_entry(value, location, &kinds)?;
        let outer = location;
        let location = outer.push_key(&written);
        if let Some(problem) = instead(&written) {
            return Err(ConfigErrors::at(location, problem));
        }
        let Some(form) = FORMS.iter().find(|form| form.kind == written) else {
            return Err(unknown_choice(&written, outer, &kinds));
        };
        let mut fields = Fields {
            expect: true,
            lengths: (32, 128),
            ..Fields::default()
        };
        let fields_of = [form.required, form.optional].concat();
        let mut errors = None;
        let map = match value {
            Value::Map(map) => map,
            other => return Err(no_object(other, location)),
        };
        for (name, value) in map.into_iter() {
            let read = if fields_of.contains(&name.as_str()) {
                fields.read(&name, value.into_value(), location.push_key(&name))
            } else if name == "address_matcher" {
                let problem = Problem::new("ranges are written as `cidrs` here")
                    .help("write `cidrs: [10.0.0.0/8]`, and `invert_match` beside it");
                Err(ConfigErrors::at(location.push_key(&name), problem))
            } else if fields_of.is_empty() {
                let problem = Problem::new("unknown field").help("no field is known here");
                Err(ConfigErrors::at(location.push_key(&name), problem))
            } else {
                Err(unknown_choice(&name, location, &fields_of))
            };
            if let Err(error) = read {
                ConfigErrors::add(&mut errors, error);
            }
            fields.given.push(name);
        }
        for name in form.required {
            if !fields.given.iter().any(|given| given == name) {
                let missing = ConfigErrors::at(location.push_key(name), "missing field");
                ConfigErrors::add(&mut errors, missing);
            }
        }
        if let Some(errors) = errors {
            return Err(errors);
        }
        fields.into_action(&written, form.key, location)
    }
}

/// What is said of a value that is no object.
fn no_object<V: IntoValue>(value: Value<V>, location: ValuePointerRef<'_>) -> ConfigErrors {
    #[derive(Deserr)]
    #[deserr(error = ConfigErrors, deny_unknown_fields)]
    struct Nothing {}

    match Nothing::deserialize_from_value(value, location) {
        Err(errors) => errors,
        Ok(Nothing {}) => ConfigErrors::at(location, "expected an object"),
    }
}

impl Fields {
    fn read<V: IntoValue>(
        &mut self,
        field: &str,
        value: Value<V>,
        at: ValuePointerRef<'_>,
    ) -> Result<(), ConfigErrors> {
        match field {
            "header_name" => {
                let name = string(value, at, "the name of a header")?;
                self.name = header_name(&name).map_err(|problem| ConfigErrors::at(at, problem))?;
            }
            "query_parameter_name" => self.name = text(value, at)?,
            "name" => {
                self.name = text(value, at)?;
                self.value = Some(cookie(&self.name).ok_or_else(|| {
                    let problem = format!("{:?} is not the name of a cookie", self.name);
                    ConfigErrors::at(at, problem)
                })?);
            }
            "filter_state" => {
                self.name = string(value, at, "the name of a filter state")?;
                check_state(&self.name).map_err(|problem| ConfigErrors::at(at, problem))?;
            }
            "descriptor_key" => self.key = Some(text(value, at)?),
            "descriptor_value" | "format" => {
                let written_empty = matches!(&value, Value::String(text) if text.is_empty());
                let format = Format::deserialize_from_value(value, at)?;
                if written_empty {
                    return Err(ConfigErrors::at(at, "must not be empty"));
                }
                request_format(&format).map_err(|problem| ConfigErrors::at(at, problem))?;
                self.value = Some(format);
            }
            "default_value" => self.default_value = Some(text(value, at)?.into()),
            "skip_if_absent" => self.skip_if_absent = bool::deserialize_from_value(value, at)?,
            "expect_match" => self.expect = bool::deserialize_from_value(value, at)?,
            "invert_match" => self.expect = !bool::deserialize_from_value(value, at)?,
            "cidrs" => {
                let list = OneOrMany::<Network>::deserialize_from_value(value, at)?;
                self.networks = list.into_iter().map(|network| network.0).collect();
            }
            "headers" => self.matcher = Matcher::read_tests("headers", value, at)?,
            "query_parameters" => self.matcher = Matcher::read_tests("query", value, at)?,
            "v4_prefix_mask_len" => {
                let length = Bounded::<0, 32>::deserialize_from_value(value, at)?.get();
                self.lengths.0 = u8::try_from(length).unwrap_or(32);
            }
            "v6_prefix_mask_len" => {
                let length = Bounded::<0, 128>::deserialize_from_value(value, at)?.get();
                self.lengths.1 = u8::try_from(length).unwrap_or(128);
            }
            "metadata_key" => {
                let key = MetadataKey::deserialize_from_value(value, at)?;
                self.name = key.key;
                self.path = key.path.into_iter().map(|segment| segment.key).collect();
            }
            "source" => {
                let source = Source::deserialize_from_value(value, at)?;
                self.of_route = matches!(source, Source::RouteEntry);
            }
            "claim" => self.path = claim(value, at)?,
            "template" => {
                let list = OneOrMany::<PathTemplate>::deserialize_from_value(value, at)?;
                self.templates = list.into_iter().collect();
            }
            "capture" => self.capture = Some(text(value, at)?),
            _ => {}
        }
        Ok(())
    }

    fn into_action(
        self,
        kind: &str,
        key: &str,
        at: ValuePointerRef<'_>,
    ) -> Result<Action, ConfigErrors> {
        let format = || self.value.clone().map(Origin::Format);
        let when = |test: Test| {
            let value = self.value.clone();
            value.map(|value| Origin::When(test, self.expect, value))
        };
        let attribute =
            |path: &str| Path::parse(path).map_err(|problem| ConfigErrors::at(at, problem));
        let from = match kind {
            "source_cluster" => Some(Origin::Attribute(attribute("xds.node.cluster")?)),
            "destination_cluster" => Some(Origin::Attribute(attribute("xds.cluster_name")?)),
            "request_headers" => Some(Origin::Header(self.name.as_str().into())),
            "query_parameters" => Some(Origin::QueryParameter(self.name.as_str().into())),
            "remote_address" => Some(Origin::RemoteAddress),
            "masked_remote_address" => {
                let (v4, v6) = self.lengths;
                Some(Origin::MaskedRemoteAddress(v4, v6))
            }
            "remote_address_match" => when(Test::RemoteAddress(self.networks.as_slice().into())),
            "header_value_match" | "query_parameter_value_match" => {
                when(Test::Request(self.matcher.clone()))
            }
            "metadata" => {
                let start = if self.of_route {
                    "xds.route_metadata"
                } else {
                    "metadata"
                };
                let names = std::iter::once(&self.name).chain(&self.path);
                let path = format!("{start}.filter_metadata{}", bracketed(names));
                let at = at.push_key("metadata_key");
                let path = Path::parse(&path);
                let path = path.map_err(|_| {
                    let problem = "a name in it holds a NUL byte or both kinds of quotation marks";
                    ConfigErrors::at(at, problem)
                })?;
                Some(Origin::Attribute(path))
            }
            "jwt_claim" => {
                let state = format!("wasm.{}", self.name);
                let path = format!("filter_state{}", bracketed(std::iter::once(&state)));
                let path = Path::parse(&path);
                let path = path.map_err(|_| {
                    let problem = "the name holds both kinds of quotation marks";
                    ConfigErrors::at(at.push_key("filter_state"), problem)
                })?;
                let claim = self.path.iter().map(|name| name.as_str().into());
                Some(Origin::Claim(path, claim.collect()))
            }
            "path_template" => {
                let mut templates = self.templates.clone();
                if let Some(name) = &self.capture {
                    let all = templates.iter_mut();
                    let without = all.map(|one| one.find(name)).position(|found| !found);
                    if let Some(index) = without {
                        let problem =
                            format!("template {} has no `{{{name}}}`", index.saturating_add(1));
                        let problem = Problem::new(problem)
                            .help("each of them needs the part whose text is to be the value");
                        return Err(ConfigErrors::at(at.push_key("capture"), problem));
                    }
                }
                Some(Origin::Template(templates.into()))
            }
            "method" => Some(Origin::Header(":method".into())),
            _ => format(),
        };
        // Without its value the action was refused before.
        let from = from.ok_or_else(|| ConfigErrors::at(at, "no value is given"))?;
        Ok(Action {
            key: self.key.as_deref().unwrap_or(key).into(),
            from,
            default_value: self.default_value,
            skip_if_absent: self.skip_if_absent,
        })
    }
}

impl Action {
    /// The value, where it is the same for all requests that have one.
    pub(crate) fn only_value(&self) -> Option<&[u8]> {
        match &self.from {
            Origin::Format(value) | Origin::When(_, _, value) => value.as_literal(),
            _ => None,
        }
    }
}

/// `['a']['b']`
fn bracketed<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let mut path = String::new();
    for name in names {
        let quote = if name.contains('\'') { '"' } else { '\'' };
        path.push('[');
        path.push(quote);
        path.push_str(name);
        path.push(quote);
        path.push(']');
    }
    path
}

/// Pseudo-headers are keys like others here: nothing is changed by them.
fn header_name(name: &str) -> Result<String, Problem> {
    match name.to_ascii_lowercase().as_str() {
        "host" => Ok(":authority".to_owned()),
        name @ (":path" | ":method" | ":authority" | ":scheme") => Ok(name.to_owned()),
        name => Ok(HeaderName::from_key(name)?.as_str().to_owned()),
    }
}

fn cookie(name: &str) -> Option<Format> {
    let is_token = legation::http::HeaderName::from_bytes(name.as_bytes()).is_ok();
    // Nothing in a token but the percent sign means anything to a format.
    if !is_token || name.contains('%') {
        return None;
    }
    format!("%COOKIE({name})%").parse().ok()
}

fn check_state(name: &str) -> Result<(), Problem> {
    if name.starts_with("wasm.") {
        return Err(Problem::new("the name is given without `wasm.`")
            .help("write what `payload_in_filter_state` of jwt-auth says"));
    }
    legation::filter_state::check_name(name).map_err(|error| error.to_string().into())
}

/// `a.b` is `b` of `a`; a list names the members one by one.
fn claim<V: IntoValue>(
    value: Value<V>,
    at: ValuePointerRef<'_>,
) -> Result<Vec<String>, ConfigErrors> {
    let path = match value {
        Value::Sequence(_) => {
            let list = NonEmpty::<String>::deserialize_from_value(value, at)?;
            list.into_iter().collect()
        }
        value => {
            let text = string(value, at, "the name of a claim, or a list of names")?;
            text.split('.').map(str::to_owned).collect::<Vec<_>>()
        }
    };
    if path.iter().any(String::is_empty) {
        return Err(ConfigErrors::at(at, "the name of a claim is missing"));
    }
    Ok(path)
}

#[derive(Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = MetadataKey::check -> ConfigErrors)]
pub(super) struct MetadataKey {
    /// The filter's name.
    key: String,
    /// The names of the members that lead to the value.
    path: NonEmpty<Segment>,
}

#[derive(Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct Segment {
    /// A name.
    key: String,
}

impl MetadataKey {
    fn check(self, at: ValuePointerRef<'_>) -> Result<Self, ConfigErrors> {
        let mut names = std::iter::once(&self.key).chain(self.path.iter().map(|one| &one.key));
        if names.any(String::is_empty) {
            return Err(ConfigErrors::at(at, "a name in it is empty"));
        }
        Ok(self)
    }
}

#[derive(Deserr, Schema)]
#[deserr(error = ConfigErrors)]
pub(super) enum Source {
    /// The request's: what other filters left.
    #[deserr(rename = "DYNAMIC")]
    Dynamic,
    /// The route's.
    #[deserr(rename = "ROUTE_ENTRY")]
    RouteEntry,
}
#[derive(Schema)]
#[schema({ "type": "string", "pattern": r"^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$" })]
pub(super) struct Network(IpNet);

impl Deserr<ConfigErrors> for Network {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let expected = "an address or a network, such as \"10.0.0.0/8\"";
        let text = string(value, location, expected)?;
        let network = match text.parse::<IpAddr>() {
            Ok(address) => Some(IpNet::from(address.to_canonical())),
            Err(_) => text.parse::<IpNet>().ok().map(|network| network.trunc()),
        };
        network.map(Self).ok_or_else(|| {
            let problem = Problem::new(format!("{text:?} is not an address or a network"))
                .help("write 10.0.0.0/8, 192.0.2.1 or 2001:db8::/32");
            ConfigErrors::at(location, problem)
        })
    }
}
