//! What lets in what the policy is to keep out.

use super::{OF_SCRIPTS, Report, allows_nothing, bypass, has, has_hash, has_nonce};
use crate::policy::Policy;
use crate::policy::finding::{Kind, Severity};
use crate::policy::host::{Host, is_ipv4};
use crate::policy::name::Name;
use crate::policy::source::{Keyword, Slot, Source};

/// What ends in scripts that run, if it is not restricted.
const CAUSE_SCRIPTS: [Name; 5] = [
    Name::ScriptSrc,
    Name::ScriptSrcAttr,
    Name::ScriptSrcElem,
    Name::ObjectSrc,
    Name::BaseUri,
];

pub(super) fn check(policy: &Policy, report: &mut Report) {
    check_keywords(policy, report);
    check_wide(policy, report);
    check_missing(policy, report);
    check_script_hosts(policy, report);
    check_object_hosts(policy, report);
    check_values(policy, report);
    check_deprecated(policy, report);
}

fn check_keywords(policy: &Policy, report: &mut Report) {
    let table = [
        (
            Keyword::UnsafeInline,
            (Severity::High, Kind::ScriptUnsafeInline),
            "lets every script and event handler in the page run, injected ones too",
        ),
        (
            Keyword::UnsafeHashes,
            (Severity::MediumMaybe, Kind::ScriptUnsafeHashes),
            "lets event handlers run whose hash is listed, wherever they were injected: move them \
             into scripts",
        ),
        (
            Keyword::UnsafeEval,
            (Severity::MediumMaybe, Kind::ScriptUnsafeEval),
            "lets text become script, by eval() and the like",
        ),
    ];
    for (name, sources) in policy.decisive(&OF_SCRIPTS) {
        for (keyword, what, message) in table {
            if has(sources, keyword) {
                report.say(what, name, Some(keyword.as_str()), message);
            }
        }
    }
}

fn check_wide(policy: &Policy, report: &mut Report) {
    for (name, sources) in policy.decisive(&CAUSE_SCRIPTS) {
        for source in sources {
            let text = source.to_string();
            if matches!(text.as_str(), "data:" | "http:" | "https:") {
                report.say(
                    (Severity::High, Kind::PlainUrlSchemes),
                    name,
                    Some(&text),
                    "lets scripts in from wherever an attacker puts them",
                );
            }
            let wide = match source {
                Source::Any => true,
                Source::Host(host) => *host.host() == Host::Any && host.path().is_none(),
                _ => false,
            };
            if wide {
                report.say(
                    (Severity::High, Kind::PlainWildcard),
                    name,
                    Some(&text),
                    "lets in what any host serves",
                );
            }
        }
    }
}

fn check_missing(policy: &Policy, report: &mut Report) {
    let mut missing = |name: Name, message: &str| {
        report.say(
            (Severity::High, Kind::MissingDirectives),
            &name,
            None,
            message,
        );
    };
    if policy.effective(&Name::ObjectSrc).is_none() {
        missing(
            Name::ObjectSrc,
            "is missing, so that plugins are let in, which can run scripts: say `object-src 'none'`",
        );
    }
    let scripts = policy.sources(&Name::ScriptSrc);
    if scripts.is_none() {
        missing(Name::ScriptSrc, "is missing, so that any script may run");
    }
    let scripts = scripts.unwrap_or_default();
    let by_element =
        has_nonce(scripts) || has_hash(scripts) && has(scripts, Keyword::StrictDynamic);
    if by_element && policy.get(&Name::BaseUri).is_none() {
        missing(
            Name::BaseUri,
            "is missing, so that an injected <base> sends the page's scripts of relative URLs to \
             another host: say `base-uri 'none'` or `base-uri 'self'`",
        );
    }
}

fn check_script_hosts(policy: &Policy, report: &mut Report) {
    for (name, sources) in policy.decisive(&[Name::ScriptSrc, Name::ScriptSrcElem]) {
        for source in sources {
            let text = source.to_string();
            let mut bypass = |severity, message: String| {
                report.say(
                    (severity, Kind::ScriptAllowlistBypass),
                    name,
                    Some(&text),
                    message,
                );
            };
            if source.is(Keyword::Own) {
                let message = "is not enough where the host also serves JSONP, AngularJS or \
                               files of its users";
                bypass(Severity::MediumMaybe, message.to_owned());
                continue;
            }
            let is_host = matches!(source, Source::Host(_) | Source::Invalid(_));
            if !is_host || text.starts_with('\'') || !text.contains('.') {
                continue;
            }
            let known = bypass::of_scripts(&text, has(sources, Keyword::UnsafeEval));
            let severity = known
                .as_ref()
                .map_or(Severity::MediumMaybe, |_| Severity::High);
            let unknown = "no way round is known; see that it serves neither JSONP nor AngularJS";
            bypass(severity, known.unwrap_or_else(|| unknown.to_owned()));
        }
    }
}

fn check_object_hosts(policy: &Policy, report: &mut Report) {
    let flash = "application/x-shockwave-flash";
    let types = policy.get(&Name::PluginTypes).and_then(|it| it.tokens());
    if types.is_some_and(|types| !types.iter().any(|known| **known == *flash)) {
        return;
    }
    let Some(directive) = policy.effective(&Name::ObjectSrc) else {
        return;
    };
    let sources = directive.sources().unwrap_or_default();
    if allows_nothing(sources) {
        return;
    }
    for source in sources.iter().filter(|source| !source.is(Keyword::None)) {
        let text = source.to_string();
        if let Some(host) = bypass::of_objects(&text) {
            report.say(
                (Severity::High, Kind::ObjectAllowlistBypass),
                directive.name(),
                Some(&text),
                format!("{host} is known to serve Flash files that get round the policy"),
            );
        } else if *directive.name() == Name::ObjectSrc {
            report.say(
                (Severity::MediumMaybe, Kind::ObjectAllowlistBypass),
                directive.name(),
                Some(&text),
                "lets plugins in: `object-src 'none'` is what almost every page needs",
            );
        }
    }
}

/// What any value of any directive may have.
fn check_values(policy: &Policy, report: &mut Report) {
    for directive in policy.directives() {
        let name = directive.name();
        for text in directive.values() {
            check_address(name, &text, report);
            check_nonce(name, &text, report);
            if text.starts_with("http://") {
                let message = if *name == Name::ReportUri {
                    "reports are sent where others can read them: use https"
                } else {
                    "lets in what others can alter on its way: use https"
                };
                report.say(
                    (Severity::Medium, Kind::SrcHttp),
                    name,
                    Some(&text),
                    message,
                );
            }
        }
    }
}

fn check_address(name: &Name, text: &str, report: &mut Report) {
    let host = bypass::host_and_path(text).0;
    let is_address = is_ipv4(host) || host.starts_with('[') && host.ends_with(']');
    if !is_address {
        return;
    }
    let message = if host == "127.0.0.1" {
        "is this machine, which is of use in development only"
    } else {
        "is an address, and CSP3 lets none match but 127.0.0.1: name a host"
    };
    report.say((Severity::Info, Kind::IpSource), name, Some(text), message);
}

fn check_nonce(name: &Name, text: &str, report: &mut Report) {
    let quoted = text
        .strip_prefix("'nonce-")
        .and_then(|rest| rest.strip_suffix('\''));
    let Some(nonce) = quoted.filter(|nonce| !nonce.is_empty() && text != Slot::Nonce.as_str())
    else {
        return;
    };
    if nonce.len() < 8 {
        report.say(
            (Severity::Medium, Kind::NonceLength),
            name,
            Some(text),
            "is too short not to be guessed: take 128 random bits, 22 characters of base64",
        );
    }
    if matches!(Source::parse(text), Source::Invalid(_)) {
        report.say(
            (Severity::Info, Kind::NonceCharset),
            name,
            Some(text),
            "has a character that is not of base64, so that browsers ignore it",
        );
    }
}

fn check_deprecated(policy: &Policy, report: &mut Report) {
    for directive in policy.directives() {
        let instead = match directive.name() {
            Name::ReflectedXss => "browsers have given it up, and the X-XSS-Protection that it set",
            Name::Referrer => "browsers have given it up: send Referrer-Policy",
            Name::DisownOpener => "browsers have given it up: send Cross-Origin-Opener-Policy",
            Name::PrefetchSrc => "browsers have given it up: `default-src` decides",
            Name::PluginTypes => "browsers have given it up: say `object-src 'none'`",
            Name::NavigateTo => "browsers have given it up, and nothing has taken its place",
            Name::RequireSriFor => "browsers have given it up: send Integrity-Policy",
            Name::BlockAllMixedContent => "browsers block or upgrade all of it without being told",
            _ => continue,
        };
        let what = (Severity::Info, Kind::DeprecatedDirective);
        report.say(what, directive.name(), None, instead);
    }
}
