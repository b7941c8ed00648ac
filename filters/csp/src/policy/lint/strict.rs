//! How far the policy is from a strict one, and what browsers before CSP3 make of it.

use super::{Report, has, has_hash, has_nonce};
use crate::policy::Policy;
use crate::policy::finding::{Kind, Severity};
use crate::policy::name::Name;
use crate::policy::source::{Keyword, Source};

pub(super) fn check(policy: &Policy, report: &mut Report) {
    if let Some(directive) = policy.effective(&Name::ScriptSrc) {
        check_scripts(
            directive.name(),
            directive.sources().unwrap_or_default(),
            report,
        );
    }
    check_trusted_types(policy, report);
    check_reporting(policy, report);
}

fn check_scripts(name: &Name, sources: &[Source], report: &mut Report) {
    let dynamic = has(sources, Keyword::StrictDynamic);
    let by_element = has_nonce(sources) || has_hash(sources);
    let mut texts = sources.iter().map(ToString::to_string);
    if !dynamic && texts.any(|text| !text.starts_with('\'')) {
        report.say(
            (Severity::StrictCsp, Kind::StrictDynamic),
            name,
            None,
            "lists hosts or schemes, and most such lists can be got round: nonces or hashes with \
             'strict-dynamic' can not",
        );
    }
    if dynamic && !by_element {
        report.say(
            (Severity::Info, Kind::StrictDynamicNotStandalone),
            name,
            None,
            "'strict-dynamic' without a nonce or a hash lets no script of the page run",
        );
    }
    if by_element && !has(sources, Keyword::UnsafeInline) {
        report.say(
            (Severity::StrictCsp, Kind::UnsafeInlineFallback),
            name,
            None,
            "browsers before CSP2 need 'unsafe-inline', which the others ignore beside a nonce or \
             a hash",
        );
    }
    if dynamic && !sources.iter().any(is_fallback) {
        report.say(
            (Severity::StrictCsp, Kind::AllowlistFallback),
            name,
            None,
            "browsers before CSP3 need https: and http:, which the others ignore beside \
             'strict-dynamic'",
        );
    }
}

/// Whether it lets scripts in where `'strict-dynamic'` is not known.
fn is_fallback(source: &Source) -> bool {
    match source {
        Source::Any => true,
        Source::Scheme(scheme) => matches!(scheme.as_str(), "http" | "https"),
        source => source.to_string().contains('.'),
    }
}

fn check_trusted_types(policy: &Policy, report: &mut Report) {
    let required = policy.get(&Name::RequireTrustedTypesFor);
    let mut sinks = required
        .and_then(|it| it.tokens())
        .unwrap_or_default()
        .iter();
    if !sinks.any(|sink| **sink == *"'script'") {
        report.say(
            (Severity::Info, Kind::RequireTrustedTypesForScripts),
            &Name::RequireTrustedTypesFor,
            None,
            "`require-trusted-types-for 'script'` would keep text from becoming script in the DOM",
        );
    }
}

fn check_reporting(policy: &Policy, report: &mut Report) {
    let has_values = |name: &Name| policy.get(name).is_some_and(|it| !it.values().is_empty());
    if has_values(&Name::ReportUri) {
        return;
    }
    if has_values(&Name::ReportTo) {
        report.say(
            (Severity::Info, Kind::ReportToOnly),
            &Name::ReportTo,
            None,
            "not every browser reports by it yet: say `report-uri` too, which those ignore that do",
        );
    } else {
        report.say(
            (Severity::Info, Kind::ReportingDestinationMissing),
            &Name::ReportUri,
            None,
            "nobody is told what the policy blocks",
        );
    }
}
