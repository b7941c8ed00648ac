//! What a valid token must say for its request to pass: scopes, claims, how and
//! when its subject signed in; and what an access token of RFC 9068 must have.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use deserr::{Deserr, IntoValue, Value as Written, ValuePointerRef};
use legation::config::{
    self, BoundedDuration, ConfigErrors, Given, NonEmpty, OneOrMany, Problem, Schema, exactly_one,
};
use legation::matcher::Regex;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::claim_path::ClaimPath;

/// A token's claims.
type Claims = Map<String, Value>;

/// Scopes that a token must grant: a list of which it must have all, or
/// `{all: […]}`, or `{any: […]}`.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({
    "anyOf": [
        generator.subschema_for::<OneOrMany<Scope>>(),
        generator.subschema_for::<Which>(),
    ],
})]
pub struct RequiredScopes {
    scopes: Box<[Box<str>]>,
    any: bool,
}

config::one_of! {
    /// Which of the scopes.
    enum Which {
        /// All of these.
        "all" => All(OneOrMany<Scope>),
        /// One of these.
        "any" => Any(OneOrMany<Scope>),
    }
}

/// One scope (RFC 6749, section 3.3).
#[derive(Schema)]
#[schema({ "type": "string", "pattern": r"^[!#-\[\]-~]+$" })]
struct Scope(Box<str>);

impl Deserr<ConfigErrors> for Scope {
    fn deserialize_from_value<V: IntoValue>(
        value: Written<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = config::string(value, location, "a scope")?;
        let is_scope = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        if !text.is_empty() && text.bytes().all(is_scope) {
            return Ok(Self(text.into()));
        }
        let problem = Problem::new("not a scope")
            .help("a scope is one word of visible ASCII characters; write several as a list");
        Err(ConfigErrors::at(location, problem))
    }
}

impl Deserr<ConfigErrors> for RequiredScopes {
    fn deserialize_from_value<V: IntoValue>(
        value: Written<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let (scopes, any) = match value {
            Written::Map(_) => match Which::deserialize_from_value(value, location)? {
                Which::All(scopes) => (scopes, false),
                Which::Any(scopes) => (scopes, true),
            },
            list => (OneOrMany::deserialize_from_value(list, location)?, false),
        };
        let scopes: Box<[_]> = scopes.into_iter().map(|Scope(scope)| scope).collect();
        if scopes.is_empty() {
            return Err(ConfigErrors::at(location, "no scope is given"));
        }
        Ok(Self { scopes, any })
    }
}

impl RequiredScopes {
    /// Whether the token grants them, by its claims `scope` (RFC 8693, section 4.2)
    /// and `scp` (as Entra ID and Okta call it), each of which may be a list or
    /// words in one text.
    pub fn check(&self, claims: &Claims) -> Result<(), Insufficient> {
        let granted = |scope: &str| {
            ["scope", "scp"].iter().any(|name| match claims.get(*name) {
                Some(Value::String(text)) => text.split(' ').any(|word| word == scope),
                Some(Value::Array(list)) => list.iter().any(|word| word == scope),
                _ => false,
            })
        };
        let mut scopes = self.scopes.iter();
        let enough = if self.any {
            scopes.any(|scope| granted(scope))
        } else {
            scopes.all(|scope| granted(scope))
        };
        if enough {
            Ok(())
        } else {
            Err(Insufficient::Scope)
        }
    }

    /// The `scope` of a challenge (RFC 6750, section 3): what access needs. Of
    /// several of which one will do, it names all.
    pub fn to_challenge(&self) -> String {
        self.scopes.join(" ")
    }
}

/// A claim that a token must have.
#[derive(Debug, Clone, Schema)]
#[schema(as = WrittenClaim)]
pub struct RequiredClaim {
    path: ClaimPath,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    In(Box<[Scalar]>),
    Matches(Regex),
    Contains(Box<[Scalar]>),
    Exists(bool),
}

/// A text, a number or a truth value.
#[derive(Debug, Clone, PartialEq, Schema)]
#[schema({ "type": ["string", "number", "boolean"] })]
struct Scalar(Value);

impl Deserr<ConfigErrors> for Scalar {
    fn deserialize_from_value<V: IntoValue>(
        value: Written<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        Ok(Self(match value {
            Written::Boolean(value) => value.into(),
            Written::Integer(value) => value.into(),
            Written::NegativeInteger(value) => value.into(),
            Written::Float(value) => value.into(),
            Written::String(value) => value.into(),
            Written::Null | Written::Sequence(_) | Written::Map(_) => {
                let problem = "expected a text, a number, `true` or `false`";
                return Err(ConfigErrors::at(location, problem));
            }
        }))
    }
}

impl Scalar {
    /// Numbers are compared by what they are: 1 is 1.0. Nothing else is: `"1"` is a
    /// text.
    fn is(&self, value: &Value) -> bool {
        match (&self.0, value) {
            (Value::Number(one), Value::Number(other)) if one.is_f64() || other.is_f64() => {
                one.as_f64() == other.as_f64()
            }
            (one, other) => one == other,
        }
    }
}

/// A [`Regex`], as it is written.
#[derive(Schema)]
#[schema(as = Regex)]
struct Pattern(Regex);

impl Deserr<ConfigErrors> for Pattern {
    fn deserialize_from_value<V: IntoValue>(
        value: Written<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = config::string(value, location, "a regular expression")?;
        Regex::new(&text)
            .map(Self)
            .map_err(|problem| ConfigErrors::at(location, problem))
    }
}

#[derive(Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
#[schema({
    "allOf": [
        { "oneOf": schema::exactly_one(&["claim_name", "claim_path"]) },
        { "oneOf": schema::exactly_one(&["equals", "in", "regex", "contains", "exists"]) },
    ],
})]
struct WrittenClaim {
    /// Which claim: `a.b` is member `b` of claim `a`. Through a list it leads to each
    /// element.
    #[deserr(default)]
    claim_name: Given<String>,
    /// The same by the names of the members that lead to it, for those with dots in them.
    #[deserr(default)]
    claim_path: NonEmpty<String>,
    /// It is this text, number or truth value. Of a list, one element is.
    #[deserr(default)]
    equals: Given<Scalar>,
    /// The same, for one of these.
    #[deserr(default, rename = "in")]
    one_of: Given<NonEmpty<Scalar>>,
    /// The whole text matches. Of a list, one element.
    #[deserr(default)]
    regex: Given<Pattern>,
    /// It is a list that has this, or all of these.
    #[deserr(default)]
    contains: Given<OneOrMany<Scalar>>,
    /// `true`: it is there and not null; `false`: it is not.
    #[deserr(default)]
    exists: Given<bool>,
}

impl Deserr<ConfigErrors> for RequiredClaim {
    fn deserialize_from_value<V: IntoValue>(
        value: Written<V>,
        at: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let written = WrittenClaim::deserialize_from_value(value, at)?;
        let path = ClaimPath::given(written.claim_name, written.claim_path, at)?;
        exactly_one(
            at,
            &[
                ("equals", written.equals.0.is_some()),
                ("in", written.one_of.0.is_some()),
                ("regex", written.regex.0.is_some()),
                ("contains", written.contains.0.is_some()),
                ("exists", written.exists.0.is_some()),
            ],
        )?;
        let test = match written {
            WrittenClaim {
                equals: Given(Some(value)),
                ..
            } => Test::In([value].into()),
            WrittenClaim {
                one_of: Given(Some(values)),
                ..
            } => Test::In(values.into_iter().collect()),
            WrittenClaim {
                regex: Given(Some(pattern)),
                ..
            } => Test::Matches(pattern.0),
            WrittenClaim {
                contains: Given(Some(values)),
                ..
            } => {
                let values: Box<[_]> = values.into_iter().collect();
                if values.is_empty() {
                    return Err(ConfigErrors::at(
                        at.push_key("contains"),
                        "no value is given",
                    ));
                }
                Test::Contains(values)
            }
            WrittenClaim { exists, .. } => Test::Exists(exists.0.unwrap_or(true)),
        };
        Ok(Self { path, test })
    }
}

impl RequiredClaim {
    /// Whether the token has it.
    ///
    /// Where a list stands on the way, or at its end, one of its elements will do;
    /// only `contains` looks at the list itself, which must have all the values.
    pub fn check(&self, claims: &Claims) -> Result<(), Insufficient> {
        let found = self
            .path
            .segments()
            .split_first()
            .is_some_and(|(name, rest)| {
                claims
                    .get(&**name)
                    .is_some_and(|value| self.test.holds_at(value, rest))
            });
        let enough = match self.test {
            Test::Exists(wanted) => found == wanted,
            _ => found,
        };
        if enough {
            Ok(())
        } else {
            Err(Insufficient::Claim)
        }
    }

    /// Where the claim is.
    pub fn path(&self) -> &ClaimPath {
        &self.path
    }

    /// The claim's name, for log lines: `realm_access.roles`.
    pub fn name(&self) -> String {
        self.path.to_string()
    }
}

impl Test {
    fn holds_at(&self, value: &Value, path: &[Box<str>]) -> bool {
        match (path.split_first(), value) {
            (Some((name, rest)), Value::Object(members)) => members
                .get(&**name)
                .is_some_and(|value| self.holds_at(value, rest)),
            (Some(_), Value::Array(list)) => list.iter().any(|value| self.holds_at(value, path)),
            (Some(_), _) => false,
            (None, value) => self.holds(value),
        }
    }

    fn holds(&self, value: &Value) -> bool {
        // One level: a list within the list is an element, and no text.
        let any = |test: &dyn Fn(&Value) -> bool| match value {
            Value::Array(list) => list.iter().any(test),
            value => test(value),
        };
        match self {
            Self::In(values) => any(&|value| values.iter().any(|wanted| wanted.is(value))),
            Self::Matches(regex) => any(&|value| {
                value
                    .as_str()
                    .is_some_and(|text| regex.is_match(text.as_bytes()))
            }),
            Self::Contains(values) => value.as_array().is_some_and(|list| {
                values
                    .iter()
                    .all(|wanted| list.iter().any(|value| wanted.is(value)))
            }),
            Self::Exists(_) => !value.is_null(),
        }
    }
}

/// How and when a token's subject must have signed in (RFC 9470).
#[derive(Debug, Clone, Default, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = check_authentication -> ConfigErrors)]
#[schema({ "minProperties": 1 })]
pub struct RequiredAuthentication {
    /// The `acr` of which the token has one: any unless given.
    #[deserr(default)]
    pub acr_values: OneOrMany<String>,
    /// How long ago `auth_time` may be: 1 s to 1 year, any time unless given.
    #[deserr(default)]
    pub max_age: Given<BoundedDuration<1_000, 31_536_000_000>>,
}

fn check_authentication(
    required: RequiredAuthentication,
    at: ValuePointerRef<'_>,
) -> Result<RequiredAuthentication, ConfigErrors> {
    if required.acr_values.is_empty() && required.max_age.0.is_none() {
        let problem = Problem::new("nothing is required").help("give `acr_values` or `max_age`");
        return Err(ConfigErrors::at(at, problem));
    }
    // RFC 9470, section 3, has them separated by spaces.
    let is_word =
        |value: &String| !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic());
    let mut errors = None;
    for (index, value) in required.acr_values.iter().enumerate() {
        if !is_word(value) {
            let list = at.push_key("acr_values");
            let problem = "not one word of visible ASCII characters";
            ConfigErrors::add(
                &mut errors,
                ConfigErrors::at(list.push_index(index), problem),
            );
        }
    }
    ConfigErrors::check(errors, required)
}

impl RequiredAuthentication {
    /// How long ago it may be.
    pub fn max_age(&self) -> Option<Duration> {
        self.max_age.0.map(BoundedDuration::get)
    }

    /// Whether the token's subject has signed in so.
    pub fn check(&self, claims: &Claims, now: SystemTime) -> Result<(), Insufficient> {
        if !self.acr_values.is_empty() {
            let acr = claims.get("acr").and_then(Value::as_str);
            if !acr.is_some_and(|acr| self.acr_values.iter().any(|wanted| wanted == acr)) {
                return Err(Insufficient::Authentication);
            }
        }
        if let Some(max_age) = self.max_age() {
            let then = claims.get("auth_time").and_then(Value::as_f64);
            let then = then.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            let until = then
                .and_then(|then| UNIX_EPOCH.checked_add(then))
                .and_then(|then| then.checked_add(max_age));
            if until.is_none_or(|until| until < now) {
                return Err(Insufficient::Authentication);
            }
        }
        Ok(())
    }
}

/// What a valid token lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Insufficient {
    /// A scope.
    #[error("the token lacks a scope")]
    Scope,
    /// A claim.
    #[error("the token lacks a claim")]
    Claim,
    /// A sign-in that is strong or late enough.
    #[error("the token's subject has to sign in again")]
    Authentication,
}

/// A kind of token, with rules of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr, Schema)]
#[deserr(error = ConfigErrors)]
pub enum Profile {
    /// Access tokens of RFC 9068.
    #[deserr(rename = "rfc9068")]
    Rfc9068,
}

/// Why a token is none of its profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProfileError {
    /// It is of another type: an ID token, for one.
    #[error("the token's `typ` is not `at+jwt`")]
    Type,
    /// A claim is missing, or of the wrong type.
    #[error("the token lacks a proper `{0}`")]
    Claim(&'static str),
}

impl Profile {
    /// Whether a token is of this kind, by its header's `typ` and its claims. Their
    /// values are not looked at here.
    pub fn check(self, typ: Option<&str>, claims: &Claims) -> Result<(), ProfileError> {
        let Self::Rfc9068 = self;
        // RFC 9068, section 4; without case by RFC 7515, section 4.1.9.
        let is = |name: &str| typ.is_some_and(|typ| typ.eq_ignore_ascii_case(name));
        if !is("at+jwt") && !is("application/at+jwt") {
            return Err(ProfileError::Type);
        }
        // Section 2.2.
        let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
        for name in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"] {
            let is_proper = claims.get(name).is_some_and(|value| match (name, value) {
                ("exp" | "iat", value) => value.is_number(),
                ("aud", Value::Array(list)) => !list.is_empty() && list.iter().all(is_text),
                (_, value) => is_text(value),
            });
            if !is_proper {
                return Err(ProfileError::Claim(name));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
