//! What CSP3 says of a policy beyond its security.

use super::{By, Delivery, Report};
use crate::policy::Policy;
use crate::policy::directive::Directive;
use crate::policy::finding::{Kind, Severity};
use crate::policy::name::{Name, Takes};
use crate::policy::source::{Keyword, Source};

pub(super) fn check(policy: &Policy, delivery: &Delivery<'_>, report: &mut Report) {
    for directive in policy.directives() {
        check_delivery(directive.name(), delivery.by, report);
        check_texts(directive, report);
        if let Some(sources) = directive.sources() {
            check_sources(directive.name(), sources, delivery, report);
        } else {
            check_tokens(directive, delivery, report);
        }
    }
}

/// Sections 3.3 (`<meta>`), 6.3.1 (`sandbox`), and those of the other documents.
fn check_delivery(name: &Name, by: By, report: &mut Report) {
    let message = match (by, name) {
        (By::ReportOnlyHeader, Name::Sandbox | Name::UpgradeInsecureRequests) => {
            "does nothing in a policy that only reports"
        }
        (By::Meta, Name::ReportUri | Name::FrameAncestors | Name::Sandbox) => {
            "does nothing in a <meta>: send it in a header"
        }
        _ => return,
    };
    report.say((Severity::Info, Kind::NoEffect), name, None, message);
}

fn check_texts(directive: &Directive, report: &mut Report) {
    for text in directive.values() {
        if text.contains(',') {
            report.say(
                (Severity::Syntax, Kind::Comma),
                directive.name(),
                Some(&text),
                "has a comma, at which the policy ends in a header: percent-encode it as %2C",
            );
        }
        if text.contains(|c: char| c.is_ascii_control()) {
            report.say(
                (Severity::Syntax, Kind::ControlCharacter),
                directive.name(),
                Some(&text),
                "has a control character, which no policy has",
            );
        }
    }
}

fn check_sources(name: &Name, sources: &[Source], delivery: &Delivery<'_>, report: &mut Report) {
    for source in sources {
        let text = source.to_string();
        let mut say = |severity, kind, message: &str| {
            report.say((severity, kind), name, Some(&text), message);
        };
        match source {
            Source::Keyword(Keyword::None) if sources.len() > 1 => say(
                Severity::Syntax,
                Kind::NoneBesideOthers,
                "does nothing beside other sources: leave it or them out",
            ),
            Source::Hash(hash) if !hash.is_whole() => say(
                Severity::Syntax,
                Kind::HashLength,
                "is not as long as such a hash is with its padding, and matches nothing",
            ),
            Source::Nonce(_) if delivery.fixed => say(
                Severity::High,
                Kind::StaticNonce,
                "is the same in every response, and so known to an attacker: write 'nonce-{nonce}'",
            ),
            Source::Invalid(invalid) if !invalid.starts_with('\'') => say(
                Severity::Syntax,
                Kind::InvalidSource,
                "is no source that a browser can read",
            ),
            source if !has_effect(name, source) => {
                say(
                    Severity::Info,
                    Kind::NoEffect,
                    "does nothing in this directive",
                );
            }
            _ => {}
        }
    }
}

/// Whether a directive looks at such a source.
fn has_effect(name: &Name, source: &Source) -> bool {
    let of_styles = matches!(
        name,
        Name::StyleSrc | Name::StyleSrcElem | Name::StyleSrcAttr
    );
    let of_all = matches!(
        name,
        Name::DefaultSrc | Name::ScriptSrc | Name::ScriptSrcElem | Name::ScriptSrcAttr
    );
    match source {
        Source::Keyword(keyword) => match keyword {
            Keyword::None | Keyword::Own => true,
            Keyword::UnsafeAllowRedirects => *name == Name::NavigateTo,
            Keyword::UnsafeInline | Keyword::UnsafeHashes | Keyword::ReportSample => {
                of_all || of_styles
            }
            _ => of_all,
        },
        source if source.is_nonce() || source.is_hash() => of_all || of_styles,
        _ => true,
    }
}

fn check_tokens(directive: &Directive, delivery: &Delivery<'_>, report: &mut Report) {
    let name = directive.name();
    let tokens = directive.tokens().unwrap_or_default();
    for token in tokens {
        // What begins with a quotation mark was looked at as a keyword.
        let known = directive.misfit(token).filter(|_| !token.starts_with('\''));
        let message = if name.takes() == Takes::Nothing {
            "does nothing: the directive takes no value".to_owned()
        } else if let Some(known) = known {
            format!("is not known here: write {known}")
        } else {
            continue;
        };
        report.say(
            (Severity::Syntax, Kind::InvalidValue),
            name,
            Some(token),
            message,
        );
    }
    if *name != Name::ReportTo {
        return;
    }
    // Only the first is looked at (section 6.5.2).
    for token in tokens.iter().skip(1) {
        let message = "does nothing: `report-to` names one endpoint";
        report.say(
            (Severity::Syntax, Kind::InvalidValue),
            name,
            Some(token),
            message,
        );
    }
    if let (Some(endpoint), Some(known)) = (tokens.first(), delivery.endpoints)
        && !known.contains(&&**endpoint)
    {
        report.say(
            (Severity::Medium, Kind::UnknownEndpoint),
            name,
            Some(endpoint),
            "no Reporting-Endpoints gives this name a URL, so that nobody gets the reports",
        );
    }
}
