//! Policies, and where reports go.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{ConfigErrors, Key, OneOrMany, OrderedMap, Problem, Schema, Text, string};

use crate::policy::{Delivery, Directive, Name, Policy, Severity, Slot, lint};

/// A policy as it is written: a text, or directives and their values.
#[derive(Debug, Clone, Schema)]
#[schema({
    "anyOf": [
        { "type": "string", "minLength": 1 },
        {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": generator.subschema_for::<Values>(),
        },
    ],
})]
pub struct Written(Policy);

impl Written {
    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.0
    }

    /// Whether a nonce is written into it.
    pub fn has_nonce(&self) -> bool {
        self.0.has_slot(Slot::Nonce)
    }

    /// The endpoints it sends reports to, by name.
    pub fn reports_to(&self) -> impl Iterator<Item = &str> {
        let directive = self.0.get(&Name::ReportTo);
        let names = directive.and_then(Directive::tokens).unwrap_or_default();
        names.iter().map(|name| &**name)
    }
}

impl Deserr<ConfigErrors> for Written {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let policy = match value {
            Value::String(text) => of_text(&text, location)?,
            Value::Map(map) => of_directives(Value::<V>::Map(map), location)?,
            other => {
                // The message of a text that is none.
                string(
                    other,
                    location,
                    "a policy, as a text or as directives and their values",
                )?;
                Policy::default()
            }
        };
        let problem = if policy.is_empty() {
            Problem::new("a policy without directives").help("such as `default-src 'self'`")
        } else if policy.has_slot(Slot::Hashes) {
            Problem::new("there are no hashes to write in the place of `'sha256-{hash}'`")
                .help("write the hashes that learning has found into the policy")
        } else {
            return Ok(Self(policy));
        };
        Err(ConfigErrors::at(location, problem))
    }
}

/// Reads a text, and refuses what a browser would read as something else.
fn of_text(text: &str, at: ValuePointerRef<'_>) -> Result<Policy, ConfigErrors> {
    if let Some(char) = text
        .chars()
        .find(|char| *char == ',' || !matches!(char, ' '..='~'))
    {
        let problem = Problem::new(format!("{char:?} stands in the policy"));
        // What is said of the text around it would be of another policy.
        return Err(ConfigErrors::at(at, match char {
            ',' => problem.help("a comma begins another policy: write `;` between directives and a space between values"),
            _ => problem.help("a policy is a header's value: printable ASCII, on one line"),
        }));
    }
    let mut errors = None;
    let (policy, mut findings) = Policy::parse(text);
    findings.extend(lint(&policy, &Delivery::default()));
    findings.retain(|finding| finding.severity == Severity::Syntax);
    findings.dedup();
    for finding in findings {
        let problem = Problem::new(finding.to_string());
        ConfigErrors::add(&mut errors, ConfigErrors::at(at, problem));
    }
    ConfigErrors::check(errors, policy)
}

fn of_directives<V: IntoValue>(
    value: Value<V>,
    at: ValuePointerRef<'_>,
) -> Result<Policy, ConfigErrors> {
    let map = OrderedMap::<DirectiveName, Values>::deserialize_from_value(value, at)?;
    let mut errors = None;
    let mut directives = Vec::new();
    for (DirectiveName(name), values) in &map {
        let values = match values {
            // As if it were not there: one may switch it off by a variable.
            Values::Flag(false) => continue,
            Values::Flag(true) => &[][..],
            Values::List(values) => values,
        };
        match Directive::new(name, values) {
            Ok(directive) => directives.push(directive),
            Err(error) => {
                let at = at.push_key(name);
                let problem = Problem::new(error.to_string());
                ConfigErrors::add(&mut errors, ConfigErrors::at(at, problem));
            }
        }
    }
    ConfigErrors::check(errors, ())?;
    Policy::new(directives)
        .map_err(|name| ConfigErrors::at(at, Problem::new(format!("`{name}` is there twice"))))
}

/// The name of a directive, as it is written.
#[derive(Debug, PartialEq, Eq)]
struct DirectiveName(String);

impl Key for DirectiveName {
    fn from_key(key: &str) -> Result<Self, Problem> {
        Ok(Self(key.to_ascii_lowercase()))
    }
}

/// The values of a directive.
#[derive(Debug, Schema)]
#[schema({
    "anyOf": [
        { "type": "boolean" },
        generator.subschema_for::<OneOrMany<Text>>(),
    ],
})]
enum Values {
    /// It has none: whether it is there.
    Flag(bool),
    List(Vec<String>),
}

impl Deserr<ConfigErrors> for Values {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        match value {
            Value::Boolean(flag) => Ok(Self::Flag(flag)),
            other => {
                let list = OneOrMany::<Text>::deserialize_from_value(other, location)?;
                Ok(Self::List(list.into_iter().map(String::from).collect()))
            }
        }
    }
}

/// Where an endpoint's reports go: an `https` URL, or a path of the same origin.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({ "type": "string", "pattern": r#"^(https://|/)[^/"\\<>\s][^"\\<>\s]*$"# })]
pub struct Endpoint(Box<str>);

impl Endpoint {
    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deserr<ConfigErrors> for Endpoint {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "a URL")?;
        let rest = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix('/'));
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"\\<>".contains(&byte);
        if rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
            && text.bytes().all(is_plain)
        {
            return Ok(Self(text.into()));
        }
        let problem = Problem::new(format!("`{text}` is not where browsers send reports"))
            .help("an `https://` URL, or a path of the same site that begins with `/`");
        Err(ConfigErrors::at(location, problem))
    }
}
