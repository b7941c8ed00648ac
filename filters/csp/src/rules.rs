//! Rules, ready to be applied.

use legation::config::Mode;
use legation::http::header::CONTENT_SECURITY_POLICY_REPORT_ONLY;
use legation::http::{HeaderName, HeaderValue};
use legation::matcher::Matcher;

use crate::config::{
    self, Config, ContentType, Existing, ExistingHeaders, Label, SecurityHeaders, Sent,
};
use crate::policy::{Name, Policy, Template};
use crate::reporting::Reporting;

/// A rule.
#[derive(Debug)]
pub(crate) struct Rule {
    /// What the log calls it, if not by its number.
    pub(crate) name: Option<Label>,
    pub(crate) when: Matcher,
    /// Nothing is done.
    pub(crate) disabled: bool,
    pub(crate) policies: Vec<Sending>,
    /// Whether a response's nonce is needed.
    pub(crate) has_nonce: bool,
    pub(crate) existing_policy: Existing,
    /// `None`: every response.
    content_types: Option<Box<[Box<str>]>>,
    /// Where the upstream is told of the nonce.
    pub(crate) nonce_header: Option<HeaderName>,
    pub(crate) pages: Pages,
    pub(crate) headers: Box<[Sent]>,
    pub(crate) existing_headers: ExistingHeaders,
    pub(crate) removed: Box<[HeaderName]>,
    /// Where reports go, if a policy says so by name.
    pub(crate) endpoints: Option<HeaderValue>,
    pub(crate) learn: bool,
}

/// What is done with pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pages {
    /// They are not looked at.
    Pass,
    /// What they use is noted.
    Read,
    /// They get nonces.
    Change,
}

/// A policy and the header it is sent in.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) header: HeaderName,
    pub(crate) template: Template,
    /// What is sent, where it is the same in each response.
    pub(crate) fixed: Option<Box<str>>,
    /// To be merged with the upstream's.
    pub(crate) policy: Policy,
    /// Whether another is sent in this header.
    pub(crate) is_second: bool,
}

impl Rule {
    pub(crate) fn all(config: &mut Config, reporting: &Reporting) -> Vec<Self> {
        let mode = config.mode;
        let rules = std::mem::take(&mut config.rules).into_iter();
        rules.map(|rule| Self::new(rule, mode, reporting)).collect()
    }

    fn new(rule: config::Rule, mode: Mode, reporting: &Reporting) -> Self {
        let preset = rule.preset.0;
        let is_enforced = mode == Mode::Enforce;
        let mut policies = Vec::new();
        for (header, policy) in rule.sent_policies() {
            let policy = reporting.added_to(policy);
            let header = if is_enforced {
                header
            } else {
                CONTENT_SECURITY_POLICY_REPORT_ONLY
            };
            let is_second = policies
                .iter()
                .any(|earlier: &Sending| earlier.header == header);
            let template = Template::new(&policy);
            policies.push(Sending {
                fixed: template.is_fixed().then(|| policy.to_string().into()),
                template,
                header,
                policy,
                is_second,
            });
        }
        let by_name = |sending: &Sending| sending.policy.get(&Name::ReportTo).is_some();
        let endpoints = policies.iter().any(by_name).then(|| reporting.endpoints());
        let nonce = rule.nonce.0.unwrap_or_default();
        let pages = if nonce.rewrites() {
            Pages::Change
        } else if rule.learn {
            Pages::Read
        } else {
            Pages::Pass
        };
        let types = rule.content_types.0.map(|types| {
            types
                .iter()
                .map(|kind| kind.as_str().into())
                .collect::<Box<[Box<str>]>>()
        });
        let (headers, removed) = if is_enforced {
            let removed = SecurityHeaders::removed(preset, rule.remove_headers);
            (rule.security_headers.sent(preset), removed)
        } else {
            (Vec::new(), Vec::new())
        };
        Self {
            name: rule.name.0,
            when: rule.when,
            disabled: rule.disabled,
            existing_policy: rule.existing_policy,
            content_types: match types {
                Some(types) if types.iter().any(|kind| &**kind == "*/*") => None,
                Some(types) => Some(types),
                None => Some(ContentType::PAGES.map(Into::into).into()),
            },
            nonce_header: nonce
                .request_header
                .0
                .map(legation::config::HeaderName::into_inner),
            pages,
            headers: headers.into(),
            existing_headers: rule.existing_headers,
            removed: removed.into(),
            endpoints: endpoints.flatten(),
            learn: rule.learn,
            has_nonce: policies.iter().any(|sending| sending.template.has_nonce()),
            policies,
        }
    }

    /// Whether a response's policy is for it alone.
    pub(crate) fn is_each_its_own(&self) -> bool {
        self.has_nonce || self.pages != Pages::Pass
    }

    /// Whether nothing is read of a response but its type.
    pub(crate) fn reads_type_alone(&self) -> bool {
        let reads_policy = matches!(self.existing_policy, Existing::Keep | Existing::Merge);
        let reads_others =
            self.existing_headers == ExistingHeaders::Keep && !self.headers.is_empty();
        !self.is_each_its_own() && !reads_policy && !reads_others
    }

    /// Whether a header is for secure connections alone.
    pub(crate) fn needs_tls(&self) -> bool {
        self.headers.iter().any(Sent::needs_tls)
    }

    /// Whether responses have policies whatever their type.
    pub(crate) fn takes_every_type(&self) -> bool {
        self.content_types.is_none()
    }

    /// Whether responses of this type have policies, or what a browser may take for one.
    pub(crate) fn is_for(&self, content_type: &[u8]) -> bool {
        let Some(types) = &self.content_types else {
            return true;
        };
        // Of several the last that is one counts (Fetch, "extract a MIME type").
        content_type.split(|byte| *byte == b',').any(|part| {
            let essence = essence(part);
            let is_it = |kind: &str| essence.eq_ignore_ascii_case(kind.as_bytes());
            !essence.contains(&b'/')
                || types.iter().any(|kind| is_it(kind))
                || GUESSED.iter().any(|kind| is_it(kind))
        })
    }
}

/// Types that browsers take for none, and look at the content (MIME Sniffing, section 7).
const GUESSED: [&str; 3] = ["unknown/unknown", "application/unknown", "*/*"];

/// A media type without its parameters.
pub(crate) fn essence(content_type: &[u8]) -> &[u8] {
    let end = content_type.iter().position(|byte| *byte == b';');
    content_type
        .get(..end.unwrap_or(content_type.len()))
        .unwrap_or_default()
        .trim_ascii()
}

/// The `charset` of a content type (RFC 9110, section 8.3.2).
pub(crate) fn charset(content_type: &[u8]) -> Option<String> {
    let content_type = str::from_utf8(content_type).ok()?;
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_it = name.trim().eq_ignore_ascii_case("charset");
        is_it.then(|| value.trim().trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    /// The one rule of a configuration.
    fn rule(json: &str) -> Rule {
        let json = format!(r#"{{"rules":[{json}]}}"#);
        let mut config = legation::config::parse::<Config>(json.as_bytes()).unwrap();
        let reporting = Reporting::of(&config);
        Rule::all(&mut config, &reporting).remove(0)
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn policies_are_for_what_browsers_may_show_as_pages() {
        let rule = rule(r#"{"preset":"helmet"}"#);
        for (content_type, expected) in [
            ("text/html", true),
            ("Text/HTML ; charset=x", true),
            (" application/xhtml+xml", true),
            ("text/htmlx", false),
            ("text/plain", false),
            ("application/json", false),
            ("image/svg+xml", false),
            // Of several the last counts, where it is one.
            ("text/plain, text/html", true),
            ("text/html,text/plain", true),
            ("text/plain, application/json", false),
            // Browsers look at what is in it.
            ("", true),
            ("html", true),
            (";charset=utf-8", true),
            ("unknown/unknown", true),
            ("*/*", true),
        ] {
            let found = rule.is_for(content_type.as_bytes());
            assert_eq!(found, expected, "{content_type}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn other_types_can_be_named() {
        let scripts = rule(r#"{"preset":"helmet","content_types":["Text/JavaScript"]}"#);
        assert!(scripts.is_for(b"text/javascript"));
        assert!(!scripts.is_for(b"text/html"));
        assert!(!scripts.takes_every_type());
        let all = rule(r#"{"preset":"api","content_types":["text/html","*/*"]}"#);
        assert!(all.takes_every_type());
        assert!(all.is_for(b"application/json"));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_charset_is_found_among_parameters() {
        for (content_type, expected) in [
            ("text/html", None),
            ("text/html; charset=utf-8", Some("utf-8")),
            (
                "text/html;a=b; CharSet=\"windows-1252\" ",
                Some("windows-1252"),
            ),
            ("text/html; charset", None),
            ("charset=utf-8", None),
        ] {
            let found = charset(content_type.as_bytes());
            assert_eq!(found.as_deref(), expected, "{content_type}");
        }
        assert_eq!(charset(b"text/html; charset=\xff"), None);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_policy_without_a_nonce_is_written_once() {
        let fixed = rule(r#"{"policy":"default-src 'self'"}"#);
        assert_eq!(
            fixed
                .policies
                .first()
                .and_then(|sending| sending.fixed.as_deref()),
            Some("default-src 'self'")
        );
        assert!(fixed.reads_type_alone());
        let own = rule(r#"{"preset":"strict","nonce":{"request_header":"x-nonce"}}"#);
        assert!(own.has_nonce);
        assert!(own.policies.iter().all(|sending| sending.fixed.is_none()));
        assert!(!own.reads_type_alone());
    }
}
