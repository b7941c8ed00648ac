//! The security headers beside the policy.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{
    ConfigErrors, Key, OneOrMany, OrderedMap, Problem, Schema, string, suggest,
};
use legation::http::{HeaderName, HeaderValue};

use super::names::RemovedName;

/// A year, in seconds: the least that the preload list of browsers takes.
const A_YEAR: u64 = 31_536_000;

/// A header that is known here: how it is written, and what it may hold.
#[derive(Debug)]
struct Known {
    /// In configurations.
    field: &'static str,
    /// On the wire.
    name: &'static str,
    /// What `true` stands for.
    usual: &'static str,
    check: fn(&str) -> Result<(), Problem>,
}

macro_rules! known {
    ($($field:literal, $name:literal, $usual:literal, $check:expr;)+) => {
        const KNOWN: &[Known] = &[$(Known { field: $field, name: $name, usual: $usual, check: $check }),+];
    };
}

// Usual values: the strictest that a page that asks for nothing special lives with
// (OWASP HTTP Headers Cheat Sheet; helmet's defaults where they are stricter).
known! {
    "strict_transport_security", "strict-transport-security", "max-age=31536000; includeSubDomains", strict_transport_security;
    "x_content_type_options", "x-content-type-options", "nosniff", |value| one_of(value, &["nosniff"]);
    "x_frame_options", "x-frame-options", "DENY", x_frame_options;
    "referrer_policy", "referrer-policy", "strict-origin-when-cross-origin", referrer_policy;
    "permissions_policy", "permissions-policy", "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()", permissions_policy;
    "cross_origin_opener_policy", "cross-origin-opener-policy", "same-origin", |value| one_of(before_parameters(value), &["same-origin", "same-origin-allow-popups", "noopener-allow-popups", "unsafe-none"]);
    "cross_origin_embedder_policy", "cross-origin-embedder-policy", "require-corp", |value| one_of(before_parameters(value), &["require-corp", "credentialless", "unsafe-none"]);
    "cross_origin_resource_policy", "cross-origin-resource-policy", "same-origin", |value| one_of(value, &["same-origin", "same-site", "cross-origin"]);
    "origin_agent_cluster", "origin-agent-cluster", "?1", |value| one_of(value, &["?1", "?0"]);
    "x_dns_prefetch_control", "x-dns-prefetch-control", "off", |value| one_of(value, &["off", "on"]);
    "x_download_options", "x-download-options", "noopen", |value| one_of(value, &["noopen"]);
    "x_permitted_cross_domain_policies", "x-permitted-cross-domain-policies", "none", |value| one_of(value, &["none", "master-only", "by-content-type", "by-ftp-filename", "all"]);
    "x_xss_protection", "x-xss-protection", "0", x_xss_protection;
    "clear_site_data", "clear-site-data", "\"cache\", \"cookies\", \"storage\"", clear_site_data;
}

/// A set of headers by one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr, Schema)]
#[deserr(error = ConfigErrors, rename_all = lowercase)]
pub enum Preset {
    /// For a site that shares nothing with others: `require-corp` too.
    Strict,
    /// Helmet 8's.
    Helmet,
    /// For answers that are no pages (OWASP REST Security Cheat Sheet).
    Api,
}

impl Preset {
    /// The headers.
    fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Strict => &[
                (
                    "strict_transport_security",
                    "max-age=63072000; includeSubDomains",
                ),
                ("x_content_type_options", "nosniff"),
                ("x_frame_options", "DENY"),
                ("referrer_policy", "no-referrer"),
                (
                    "permissions_policy",
                    "accelerometer=(), autoplay=(), camera=(), display-capture=(), encrypted-media=(), fullscreen=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), picture-in-picture=(), publickey-credentials-get=(), screen-wake-lock=(), usb=(), web-share=(), xr-spatial-tracking=()",
                ),
                ("cross_origin_opener_policy", "same-origin"),
                ("cross_origin_embedder_policy", "require-corp"),
                ("cross_origin_resource_policy", "same-origin"),
                ("origin_agent_cluster", "?1"),
                ("x_dns_prefetch_control", "off"),
                ("x_permitted_cross_domain_policies", "none"),
                ("x_xss_protection", "0"),
            ],
            Self::Helmet => &[
                ("cross_origin_opener_policy", "same-origin"),
                ("cross_origin_resource_policy", "same-origin"),
                ("origin_agent_cluster", "?1"),
                ("referrer_policy", "no-referrer"),
                (
                    "strict_transport_security",
                    "max-age=31536000; includeSubDomains",
                ),
                ("x_content_type_options", "nosniff"),
                ("x_dns_prefetch_control", "off"),
                ("x_download_options", "noopen"),
                ("x_frame_options", "SAMEORIGIN"),
                ("x_permitted_cross_domain_policies", "none"),
                ("x_xss_protection", "0"),
            ],
            Self::Api => &[
                (
                    "strict_transport_security",
                    "max-age=63072000; includeSubDomains",
                ),
                ("x_content_type_options", "nosniff"),
                ("x_frame_options", "DENY"),
                ("referrer_policy", "no-referrer"),
                ("cross_origin_resource_policy", "same-origin"),
            ],
        }
    }

    /// What it takes away: names of what runs behind the gateway.
    fn removed(self) -> &'static [&'static str] {
        match self {
            Self::Strict | Self::Api => &[
                "x-powered-by",
                "server",
                "x-aspnet-version",
                "x-aspnetmvc-version",
            ],
            Self::Helmet => &["x-powered-by"],
        }
    }

    /// The policy, where a rule gives none. `has_nonce`: pages get nonces.
    pub fn policy(self, has_nonce: bool) -> &'static str {
        match self {
            Self::Strict if has_nonce => {
                "default-src 'self'; script-src 'nonce-{nonce}' 'strict-dynamic'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; upgrade-insecure-requests"
            }
            Self::Strict => {
                "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; upgrade-insecure-requests"
            }
            Self::Helmet => {
                "default-src 'self'; base-uri 'self'; font-src 'self' https: data:; form-action 'self'; frame-ancestors 'self'; img-src 'self' data:; object-src 'none'; script-src 'self'; script-src-attr 'none'; style-src 'self' https: 'unsafe-inline'; upgrade-insecure-requests"
            }
            Self::Api => "default-src 'none'; frame-ancestors 'none'",
        }
    }
}

/// The headers of a rule as they are written.
#[derive(Debug, Default, Schema)]
#[schema({
    "type": "object",
    "properties": KNOWN
        .iter()
        .map(|known| {
            let text = format!("A value, `false` for none, or `true` for `{}`.", known.usual);
            let schema = schema::json!({ "type": ["string", "boolean"], "description": text });
            (known.field, schema)
        })
        .collect::<std::collections::BTreeMap<_, _>>(),
    "additionalProperties": false,
})]
pub struct SecurityHeaders(Vec<(Field, Choice)>);

/// A header's field, by its place in the list of those that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Field(&'static Known);

impl PartialEq for Known {
    fn eq(&self, other: &Self) -> bool {
        self.field == other.field
    }
}

impl Eq for Known {}

impl Field {
    fn named(name: &str) -> Option<Self> {
        KNOWN.iter().find(|known| known.field == name).map(Self)
    }
}

impl Key for Field {
    fn from_key(key: &str) -> Result<Self, Problem> {
        let fields = KNOWN.iter().map(|known| known.field);
        Self::named(key).ok_or_else(|| {
            let problem = Problem::new("no header of this name is known here");
            // As on the wire, it is written with `-`.
            match suggest(&key.to_ascii_lowercase().replace('-', "_"), fields) {
                Some(field) => problem.help(format!("did you mean `{field}`?")),
                None => problem.help("other headers are header-tag's to set"),
            }
        })
    }
}

/// What becomes of a header.
#[derive(Debug)]
enum Choice {
    /// It is not sent, also where the preset has it.
    Off,
    /// It is sent with its usual value.
    Usual,
    Value(String),
}

impl Deserr<ConfigErrors> for Choice {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        match value {
            Value::Boolean(true) => Ok(Self::Usual),
            Value::Boolean(false) => Ok(Self::Off),
            other => string(
                other,
                location,
                "the header's value, `true` for its usual value, or `false`",
            )
            .map(Self::Value),
        }
    }
}

impl Deserr<ConfigErrors> for SecurityHeaders {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let map = OrderedMap::<Field, Choice>::deserialize_from_value(value, location)?;
        let mut errors = None;
        for (field, choice) in &map {
            if let Choice::Value(value) = choice
                && let Err(problem) = is_one_line(value).and_then(|()| (field.0.check)(value))
            {
                let at = location.push_key(field.0.field);
                ConfigErrors::add(&mut errors, ConfigErrors::at(at, problem));
            }
        }
        ConfigErrors::check(errors, Self(map.into_iter().collect()))
    }
}

/// A header that is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Its name.
    pub name: HeaderName,
    /// Its value.
    pub value: HeaderValue,
}

impl Sent {
    /// Whether it is for connections that are secure alone (RFC 6797, section 7.2).
    pub fn needs_tls(&self) -> bool {
        self.name == legation::http::header::STRICT_TRANSPORT_SECURITY
    }
}

impl SecurityHeaders {
    /// Whether nothing is written.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The headers that a rule sends.
    pub fn sent(&self, preset: Option<Preset>) -> Vec<Sent> {
        let preset = preset.map_or(&[][..], Preset::headers).iter();
        let mut values: Vec<(Field, &str)> = preset
            .filter_map(|(field, value)| Some((Field::named(field)?, *value)))
            .collect();
        for (field, choice) in &self.0 {
            values.retain(|(known, _)| known != field);
            match choice {
                Choice::Off => {}
                Choice::Usual => values.push((*field, field.0.usual)),
                Choice::Value(value) => values.push((*field, value)),
            }
        }
        let sent = values.into_iter().filter_map(|(field, value)| {
            Some(Sent {
                name: HeaderName::from_static(field.0.name),
                value: HeaderValue::from_str(value).ok()?,
            })
        });
        sent.collect()
    }

    /// The headers that a rule takes away.
    pub fn removed(preset: Option<Preset>, given: OneOrMany<RemovedName>) -> Vec<HeaderName> {
        let preset = preset.map_or(&[][..], Preset::removed).iter();
        let mut names: Vec<HeaderName> = preset.map(|name| HeaderName::from_static(name)).collect();
        for name in given {
            if !names.contains(name.get()) {
                names.push(name.into_inner());
            }
        }
        names
    }
}

/// What the checks of single headers need not look for.
fn is_one_line(value: &str) -> Result<(), Problem> {
    let is_printable = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let is_bare = value == value.trim();
    if is_printable && is_bare {
        return Ok(());
    }
    Err(Problem::new(format!("{value:?} is no header's value"))
        .help("printable ASCII on one line, without spaces around it"))
}

fn one_of(value: &str, allowed: &[&str]) -> Result<(), Problem> {
    if allowed.contains(&value) {
        return Ok(());
    }
    let problem = Problem::new(format!("`{value}` is not a value of this header"));
    Err(problem.help(format!("one of: {}", allowed.join(", "))))
}

/// `same-origin; report-to="x"`: browsers take a `report-to` beside the value.
fn before_parameters(value: &str) -> &str {
    value.split(';').next().unwrap_or_default().trim_end()
}

/// Without the quotation marks around it, if it has any.
fn unquoted(value: &str) -> &str {
    let inner = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'));
    inner.unwrap_or(value)
}

/// RFC 6797, section 6.1.
fn strict_transport_security(value: &str) -> Result<(), Problem> {
    let mut max_age = None;
    let mut include_subdomains = false;
    let mut preload = false;
    for directive in value
        .split(';')
        .map(str::trim)
        .filter(|text| !text.is_empty())
    {
        let (name, value) = match directive.split_once('=') {
            None => (directive, None),
            Some((name, value)) => (name.trim_end(), Some(unquoted(value.trim_start()))),
        };
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match value {
            Some(value) if is("max-age") && max_age.is_none() => {
                let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
                let seconds = value.parse().ok().filter(|_: &u64| is_number);
                max_age = Some(seconds.ok_or_else(|| {
                    Problem::new(format!("`max-age` is a number of seconds, got `{value}`"))
                })?);
            }
            None if is("includeSubDomains") && !include_subdomains => include_subdomains = true,
            None if is("preload") && !preload => preload = true,
            _ => {
                return Err(Problem::new(format!("`{directive}` is not one of its directives"))
                    .help("write `max-age=SECONDS`, then `includeSubDomains` and `preload` as wanted, each once, with `;` between them"));
            }
        }
    }
    let Some(max_age) = max_age else {
        return Err(Problem::new("`max-age` is missing").help("such as `max-age=31536000`"));
    };
    if preload && (!include_subdomains || max_age < A_YEAR) {
        return Err(
            Problem::new("`preload` without what browsers' lists ask of it")
                .help("it takes `includeSubDomains` and a `max-age` of 31536000 (a year) at least"),
        );
    }
    Ok(())
}

fn x_frame_options(value: &str) -> Result<(), Problem> {
    let upper = value.to_ascii_uppercase();
    if upper.starts_with("ALLOW-FROM") {
        return Err(Problem::new("browsers do not know `ALLOW-FROM` any more")
            .help("name the origins in the policy's `frame-ancestors`"));
    }
    one_of(&upper, &["DENY", "SAMEORIGIN"])
}

fn referrer_policy(value: &str) -> Result<(), Problem> {
    // A list: browsers take the last that they know.
    value.split(',').map(str::trim).try_for_each(|policy| {
        one_of(
            policy,
            &[
                "no-referrer",
                "no-referrer-when-downgrade",
                "origin",
                "origin-when-cross-origin",
                "same-origin",
                "strict-origin",
                "strict-origin-when-cross-origin",
                "unsafe-url",
            ],
        )
    })
}

/// A dictionary of RFC 9651, as far as the header's grammar uses it.
fn permissions_policy(value: &str) -> Result<(), Problem> {
    let feature = |item: &str| -> Option<()> {
        let (name, allowed) = item.split_once('=')?;
        let is_name_byte =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || !name.bytes().all(is_name_byte) {
            return None;
        }
        let is_origin = |text: &str| {
            let inner = text
                .strip_prefix('"')
                .and_then(|text| text.strip_suffix('"'));
            inner.is_some_and(|text| !text.is_empty() && !text.contains(['"', '\\', ' ']))
        };
        let is_member = |text: &str| matches!(text, "self" | "src" | "*") || is_origin(text);
        match allowed.strip_prefix('(') {
            None => is_member(allowed).then_some(()),
            Some(list) => {
                let list = list.strip_suffix(')')?;
                list.split(' ')
                    .filter(|text| !text.is_empty())
                    .all(is_member)
                    .then_some(())
            }
        }
    };
    for item in value.split(',').map(str::trim) {
        if feature(item).is_none() {
            return Err(Problem::new(format!("`{item}` is not a feature and who may use it"))
                .help(r#"such as `camera=()`, `geolocation=(self "https://maps.example")` or `fullscreen=*`, with `,` between them"#));
        }
    }
    Ok(())
}

fn x_xss_protection(value: &str) -> Result<(), Problem> {
    if value == "0" {
        return Ok(());
    }
    Err(Problem::new(
        "only `0` is safe: the filter that it switches on makes holes in pages of its own",
    )
    .help("leave it to the policy"))
}

fn clear_site_data(value: &str) -> Result<(), Problem> {
    value.split(',').map(str::trim).try_for_each(|item| {
        one_of(
            item,
            &[
                "\"cache\"",
                "\"cookies\"",
                "\"storage\"",
                "\"executionContexts\"",
                "\"clientHints\"",
                "\"prefetchCache\"",
                "\"prerenderCache\"",
                "\"*\"",
            ],
        )
    })
}

#[cfg(test)]
mod tests;
