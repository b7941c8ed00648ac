//! What is not read as it was meant.

use super::Report;
use crate::policy::Policy;
use crate::policy::directive::{Directive, unquoted};
use crate::policy::finding::{Kind, Severity};
use crate::policy::name::{Name, Takes};
use crate::policy::source::Source;

pub(super) fn check(policy: &Policy, report: &mut Report) {
    for directive in policy.directives() {
        check_name(directive.name(), report);
        for text in directive.values() {
            check_semicolon(directive, &text, report);
            check_keyword(directive, &text, report);
        }
    }
}

fn check_name(name: &Name, report: &mut Report) {
    if let Name::Unknown(text) = name {
        let message = if text.ends_with(':') {
            "no colon stands after the name of a directive"
        } else {
            "no browser knows this directive"
        };
        let what = (Severity::Syntax, Kind::UnknownDirective);
        report.say(what, name, None, message);
    }
}

fn check_semicolon(directive: &Directive, text: &str, report: &mut Report) {
    if !matches!(Name::parse(text), Name::Unknown(_)) {
        report.say(
            (Severity::Syntax, Kind::MissingSemicolon),
            directive.name(),
            Some(text),
            "is the name of a directive: a semicolon is missing before it",
        );
    }
}

fn check_keyword(directive: &Directive, text: &str, report: &mut Report) {
    let name = directive.name();
    let mut say = |message: String| {
        report.say(
            (Severity::Syntax, Kind::InvalidKeyword),
            name,
            Some(text),
            message,
        );
    };
    // Names and URLs, which may be any.
    let has_keywords = match name {
        Name::ReportTo | Name::ReportUri | Name::Sandbox => false,
        _ => name.takes() != Takes::Nothing,
    };
    if has_keywords && lacks_marks(text) {
        say(format!(
            "wants quotation marks: '{}'",
            text.trim_matches('\'')
        ));
    } else if text.starts_with('\'') {
        let known = match name {
            Name::RequireTrustedTypesFor | Name::TrustedTypes | Name::Webrtc => {
                directive.misfit(text).is_none()
            }
            _ => !matches!(Source::parse(text), Source::Invalid(_)),
        };
        if !known {
            say("no browser knows this keyword".to_owned());
        }
    }
}

/// Whether it is a keyword, a nonce or a hash without its quotation marks, or looks like one.
fn lacks_marks(text: &str) -> bool {
    let looks = ["nonce-", "sha256-", "sha384-", "sha512-"];
    let mut looks = looks.iter();
    unquoted(text) || looks.any(|prefix| text.starts_with(prefix))
}
