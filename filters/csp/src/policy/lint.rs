//! What is wrong with a policy.
//!
//! The checks, their severities and the hosts in `hosts.rs` are those of Google's CSP Evaluator
//! 1.1.8 (Apache-2.0) for browsers that know Level 3; a test compares the two. Those of
//! `level3.rs` are what the text of CSP3 adds.

mod bypass;
mod hosts;
mod level3;
mod security;
mod strict;
mod syntax;

use super::Policy;
use super::directive::{Directive, Value};
use super::finding::{Finding, Kind, Severity};
use super::name::Name;
use super::source::{Keyword, Source};

/// How a policy gets to a browser, and what with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// In what it is sent.
    pub by: By,
    /// Whether each response has the very same policy, so that a nonce in it is known to all.
    pub fixed: bool,
    /// The names that `Reporting-Endpoints` gives to URLs; none where that is not known.
    pub endpoints: Option<&'a [&'a str]>,
}

/// In what a policy is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum By {
    /// `Content-Security-Policy`
    #[default]
    Header,
    /// `Content-Security-Policy-Report-Only`
    ReportOnlyHeader,
    /// `<meta http-equiv="Content-Security-Policy">`
    Meta,
}

/// All that is to be said about a policy; in the order of the checks.
pub fn lint(policy: &Policy, delivery: &Delivery<'_>) -> Vec<Finding> {
    let mut report = Report::default();
    let effective = effective(policy, &mut report);
    strict::check(policy, &mut report);
    security::check(&effective, &mut report);
    syntax::check(&effective, &mut report);
    level3::check(policy, delivery, &mut report);
    report.findings
}

/// The directives that decide about scripts.
const OF_SCRIPTS: [Name; 3] = [Name::ScriptSrc, Name::ScriptSrcAttr, Name::ScriptSrcElem];

#[derive(Debug, Default)]
struct Report {
    findings: Vec<Finding>,
}

impl Report {
    fn say(
        &mut self,
        (severity, kind): (Severity, Kind),
        directive: &Name,
        value: Option<&str>,
        message: impl Into<String>,
    ) {
        let finding = Finding::new(severity, kind, directive.as_str(), value, message);
        self.findings.push(finding);
    }
}

/// The policy without what its own values switch off for scripts (sections 6.7.3.2 and
/// 6.7.1.1).
fn effective(policy: &Policy, report: &mut Report) -> Policy {
    let mut effective = policy.clone();
    for (name, sources) in policy.decisive(&OF_SCRIPTS) {
        let mut off: Vec<(&Source, &str)> = Vec::new();
        let mut others = sources.iter();
        if others.any(|source| source.is_nonce() || source.is_hash()) {
            let inline = sources
                .iter()
                .filter(|source| source.is(Keyword::UnsafeInline));
            off.extend(inline.map(|source| {
                (
                    source,
                    "does nothing beside a nonce or a hash, but for browsers before CSP2",
                )
            }));
        }
        if has(sources, Keyword::StrictDynamic) {
            let listed = sources.iter().filter(|source| {
                let is_off = off.iter().any(|(known, _)| known == source);
                !is_off && is_switched_off_by_dynamic(source)
            });
            let listed: Vec<&Source> = listed.collect();
            off.extend(listed.into_iter().map(|source| {
                (source, "does nothing for scripts beside 'strict-dynamic', but for browsers before CSP3")
            }));
        }
        for (source, why) in &off {
            let text = source.to_string();
            report.say((Severity::None, Kind::Ignored), name, Some(&text), *why);
        }
        effective.retain_sources(name, |source| {
            !off.iter().any(|(known, _)| *known == source)
        });
    }
    effective
}

fn is_switched_off_by_dynamic(source: &Source) -> bool {
    match source {
        Source::Keyword(keyword) => matches!(keyword, Keyword::Own | Keyword::UnsafeInline),
        Source::Any | Source::Scheme(_) | Source::Host(_) => true,
        Source::Invalid(text) => !text.starts_with('\''),
        Source::Nonce(_) | Source::Hash(_) | Source::Slot(_) => false,
    }
}

impl Policy {
    fn retain_sources(&mut self, name: &Name, keep: impl Fn(&Source) -> bool) {
        let of_name = self.directives.iter_mut().filter(|it| it.name() == name);
        for directive in of_name {
            if let Value::Sources(sources) = directive.value() {
                let kept = sources.iter().filter(|source| keep(source)).cloned();
                *directive = Directive::of_sources(name.clone(), kept.collect());
            }
        }
    }

    /// The directives that decide for these names, each once.
    fn decisive<'a>(&'a self, names: &[Name]) -> Vec<(&'a Name, &'a [Source])> {
        let mut decisive: Vec<(&Name, &[Source])> = Vec::new();
        for directive in names.iter().filter_map(|name| self.effective(name)) {
            let known = decisive.iter().any(|(name, _)| *name == directive.name());
            if let Some(sources) = directive.sources().filter(|_| !known) {
                decisive.push((directive.name(), sources));
            }
        }
        decisive
    }
}

fn has(sources: &[Source], keyword: Keyword) -> bool {
    super::allow::has(sources, keyword)
}

fn has_nonce(sources: &[Source]) -> bool {
    sources.iter().any(Source::is_nonce)
}

fn has_hash(sources: &[Source]) -> bool {
    sources.iter().any(Source::is_hash)
}

/// Whether a list allows nothing at all (section 6.7.2.7): `'none'` does, where it is alone.
fn allows_nothing(sources: &[Source]) -> bool {
    sources.iter().all(|source| source.is(Keyword::None))
}
