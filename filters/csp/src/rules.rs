//! Rules, ready to be applied.

use legation::config::Mode;
use legation::http::header::CONTENT_SECURITY_POLICY_REPORT_ONLY;
use legation::http::{HeaderName, HeaderValue};
use legation::matcher::Matcher;

use crate::config::{self, Config, ContentType, Existing, ExistingHeaders, SecurityHeaders, Sent};
use crate::policy::{Name, Policy, Template};
use crate::reporting::Reporting;

/// A rule.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) when: Matcher,
    /// Nothing is done.
    pub(crate) disabled: bool,
    pub(crate) policies: Vec<Sending>,
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
            policies.push(Sending {
                template: Template::new(&policy),
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
            policies,
        }
    }

    /// Whether a response's nonce is needed.
    pub(crate) fn has_nonce(&self) -> bool {
        self.policies
            .iter()
            .any(|sending| sending.template.has_nonce())
    }

    /// Whether a header is for secure connections alone.
    pub(crate) fn needs_tls(&self) -> bool {
        self.headers.iter().any(Sent::needs_tls)
    }

    /// Whether responses of this type have policies. What has no type may be taken for a page.
    pub(crate) fn is_for(&self, content_type: Option<&[u8]>) -> bool {
        let (Some(types), Some(content_type)) = (&self.content_types, content_type) else {
            return true;
        };
        // Envoy joins several into one. Who knows which of them a browser takes.
        content_type.split(|byte| *byte == b',').any(|one| {
            let essence = essence(one);
            essence.is_empty()
                || types
                    .iter()
                    .any(|kind| essence.eq_ignore_ascii_case(kind.as_bytes()))
        })
    }
}

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
