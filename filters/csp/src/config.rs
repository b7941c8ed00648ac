//! What users write.
//!
//! Each type checks what it can see, at its own place in the document, so that a
//! configuration with several mistakes is answered with all of them.

mod check;
mod collector;
mod content_type;
mod learning;
mod names;
mod nonce;
mod policy;
mod security;

use deserr::Deserr;
use legation::config::{
    ConfigErrors, Given, Mode, NonEmpty, OneOrMany, OrderedMap, Schema, StatPrefix,
};
use legation::http::HeaderName;
use legation::http::header::{CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY_REPORT_ONLY};
use legation::matcher::Matcher;

use crate::policy::{By, Delivery, Finding, Policy, lint};

pub use collector::{Collector, Path};
pub use content_type::ContentType;
pub use learning::Learning;
pub use names::{EndpointName, Label, RemovedName};
pub use nonce::Nonce;
pub use policy::{Endpoint, Written};
pub use security::{Preset, SecurityHeaders, Sent};

/// What a rule that learns reports, where it has no report-only policy of its own: all that
/// a page uses.
const LEARNING_POLICY: &str =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The whole configuration.
#[derive(Debug, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = check::config -> ConfigErrors)]
#[schema(readme = "Options")]
pub struct Config {
    /// What is done to the responses to which requests: the first that matches.
    pub rules: NonEmpty<Rule>,
    /// Where `report-to` in policies sends reports: `Reporting-Endpoints`.
    #[deserr(default)]
    pub reporting_endpoints: OrderedMap<EndpointName, Endpoint>,
    /// Takes reports in.
    #[deserr(default)]
    pub collector: Given<Collector>,
    /// Notes what pages use, and proposes a policy.
    #[deserr(default)]
    pub learning: Given<Learning>,
    /// What is done with what the linter has to say.
    #[deserr(default)]
    pub lint: Lint,
    /// In report mode `policy` is sent as report-only, and no other header is touched.
    #[deserr(default)]
    pub mode: Mode,
    /// The first word of the counters' names, `csp` unless given.
    #[deserr(default)]
    pub stat_prefix: Given<StatPrefix>,
}

/// A rule: which requests, and what their responses get.
#[derive(Debug, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = check::rule -> ConfigErrors)]
#[schema(readme = "A rule")]
pub struct Rule {
    /// What the rule is called in the log: its number, unless given.
    #[deserr(default)]
    pub name: Given<Label>,
    /// Which requests it is for: all, unless given.
    #[deserr(default)]
    pub when: Matcher,
    /// Leaves the responses to the requests it matches as they are.
    #[deserr(default)]
    pub disabled: bool,
    /// A policy and headers by one name; what is written beside it goes before it.
    #[deserr(default)]
    pub preset: Given<Preset>,
    /// `Content-Security-Policy`.
    #[deserr(default)]
    pub policy: Given<Written>,
    /// `Content-Security-Policy-Report-Only`.
    #[deserr(default)]
    pub report_only_policy: Given<Written>,
    /// What becomes of a policy that the upstream has sent.
    #[deserr(default)]
    pub existing_policy: Existing,
    /// Which responses have policies: pages, unless given.
    #[deserr(default)]
    pub content_types: Given<NonEmpty<ContentType>>,
    /// Whether what pages use is noted for the proposal.
    #[deserr(default)]
    pub learn: bool,
    /// Who is told of the nonce.
    #[deserr(default)]
    pub nonce: Given<Nonce>,
    /// The other headers.
    #[deserr(default)]
    pub security_headers: SecurityHeaders,
    /// What becomes of those that the upstream has sent.
    #[deserr(default)]
    pub existing_headers: ExistingHeaders,
    /// Headers that are taken away.
    #[deserr(default)]
    pub remove_headers: OneOrMany<RemovedName>,
}

impl Rule {
    /// The policies that are sent, each with its header.
    pub(crate) fn sent_policies(&self) -> Vec<(HeaderName, Policy)> {
        let parse = |text: &str| Policy::parse(text).0;
        let given = |written: &Given<Written>| Some(written.0.as_ref()?.policy().clone());
        let preset = || {
            let has_nonce = self.nonce.0.is_some();
            self.preset.0.map(|preset| parse(preset.policy(has_nonce)))
        };
        let learning = || self.learn.then(|| parse(LEARNING_POLICY));
        let enforced = given(&self.policy).or_else(preset);
        let reported = given(&self.report_only_policy).or_else(learning);
        let enforced = enforced.map(|policy| (CONTENT_SECURITY_POLICY, policy));
        let reported = reported.map(|policy| (CONTENT_SECURITY_POLICY_REPORT_ONLY, policy));
        enforced.into_iter().chain(reported).collect()
    }
}

/// What the linter has to say of a policy that is sent in this header.
pub(crate) fn findings(header: &HeaderName, policy: &Policy) -> Vec<Finding> {
    let by = if header == CONTENT_SECURITY_POLICY {
        By::Header
    } else {
        By::ReportOnlyHeader
    };
    // What is written in a configuration is the same in each response.
    let delivery = Delivery {
        by,
        fixed: true,
        ..Delivery::default()
    };
    lint(policy, &delivery)
}

/// What becomes of a policy that the upstream has sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserr, Schema)]
#[deserr(error = ConfigErrors, rename_all = lowercase)]
pub enum Existing {
    /// Ours takes its place.
    #[default]
    Replace,
    /// Ours is sent beside it: browsers hold pages to both.
    Append,
    /// Ours is not sent.
    Keep,
    /// One policy is sent that allows what both allow; where no policy says that,
    /// both are.
    Merge,
}

/// What becomes of other headers that the upstream has sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserr, Schema)]
#[deserr(error = ConfigErrors, rename_all = lowercase)]
pub enum ExistingHeaders {
    /// Ours take their place.
    #[default]
    Replace,
    /// Ours are not sent.
    Keep,
}

/// What is done with what the linter has to say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserr, Schema)]
#[deserr(error = ConfigErrors, rename_all = lowercase)]
pub enum Lint {
    /// A policy that browsers do not read as it is written is refused; what is weak
    /// is logged.
    #[default]
    Warn,
    /// What is weak is refused too, unless the policy is report-only.
    Deny,
    /// Nothing is logged.
    Off,
}
