//! What only shows when fields are looked at together.

use deserr::ValuePointerRef;
use legation::config::{ConfigErrors, Given, Problem};
use legation::http::header::CONTENT_SECURITY_POLICY;

use super::{Config, Lint, Preset, Rule, Written};
use crate::policy::{Finding, Severity};

pub(super) fn rule(rule: Rule, at: ValuePointerRef<'_>) -> Result<Rule, ConfigErrors> {
    let has_policy = rule.policy.0.is_some() || rule.report_only_policy.0.is_some();
    let does_something = has_policy
        || rule.preset.0.is_some()
        || rule.nonce.0.is_some()
        || rule.learn
        || !rule.security_headers.is_empty()
        || !rule.remove_headers.is_empty();
    if does_something && rule.disabled {
        let problem = Problem::new("the rule is `disabled` and has something to do").help(
            "`disabled: true` leaves the responses to the requests it matches alone; to switch a rule off, take it out",
        );
        return Err(ConfigErrors::at(at, problem));
    }
    if !does_something && !rule.disabled {
        let problem = Problem::new("the rule does nothing").help(
            "give it a `preset`, a `policy`, a `report_only_policy` or `security_headers`, or have it leave its responses alone by `disabled: true`",
        );
        return Err(ConfigErrors::at(at, problem));
    }
    let mut errors = None;
    let mut add = |field: &str, problem: Problem| {
        ConfigErrors::add(&mut errors, ConfigErrors::at(at.push_key(field), problem));
    };
    let has_nonce = |written: &&Given<Written>| written.0.as_ref().is_some_and(Written::has_nonce);
    let fields = [
        ("policy", &rule.policy),
        ("report_only_policy", &rule.report_only_policy),
    ];
    let with_nonce = fields.iter().find(|(_, written)| has_nonce(written));
    // A preset takes a nonce where it has no policy in its place.
    let preset_takes_it = rule.preset.0 == Some(Preset::Strict) && rule.policy.0.is_none();
    match (with_nonce, &rule.nonce.0) {
        (Some((field, _)), None) => add(
            field,
            Problem::new("the policy has a nonce that nobody is told of").help(
                "say in `nonce` who is: the upstream (`request_header`), or its pages (`placeholder`, `elements`)",
            ),
        ),
        (None, Some(_)) if !preset_takes_it => add(
            "nonce",
            Problem::new("no policy of the rule has a nonce")
                .help("put `'nonce-{nonce}'` into its `script-src`"),
        ),
        _ => {}
    }
    ConfigErrors::check(errors, rule)
}

pub(super) fn config(config: Config, at: ValuePointerRef<'_>) -> Result<Config, ConfigErrors> {
    let mut errors = None;
    let mut add = |at: ValuePointerRef<'_>, problem: Problem| {
        ConfigErrors::add(&mut errors, ConfigErrors::at(at, problem));
    };
    let list = at.push_key("rules");
    let mut ended_by = None;
    for (index, rule) in config.rules.iter().enumerate() {
        let at = list.push_index(index);
        let mut earlier = config.rules.iter().take(index);
        if let Some(name) = &rule.name.0
            && earlier.any(|other| other.name == rule.name)
        {
            let problem = Problem::new(format!("another rule is called `{name}`"))
                .help("the log calls rules by their names: give each its own");
            add(at.push_key("name"), problem);
        }
        match ended_by {
            None if rule.when.is_unconditional() => ended_by = Some(index),
            None => {}
            Some(earlier) => {
                let problem = Problem::new("the rule is never reached").help(format!(
                    "rules[{earlier}] takes every request, and the first rule that matches is the one"
                ));
                add(at, problem);
            }
        }
        if config.lint == Lint::Deny {
            let enforced = rule.sent_policies().into_iter();
            for (_, policy) in enforced.filter(|(header, _)| header == CONTENT_SECURITY_POLICY) {
                let field = if rule.policy.0.is_some() {
                    "policy"
                } else {
                    "preset"
                };
                let at = at.push_key(field);
                let weak = |finding: &Finding| finding.severity <= Severity::Medium;
                let findings = super::findings(&CONTENT_SECURITY_POLICY, &policy);
                for finding in findings.into_iter().filter(weak) {
                    add(at, Problem::new(finding.to_string()));
                }
            }
        }
        for (field, written) in [
            ("policy", &rule.policy.0),
            ("report_only_policy", &rule.report_only_policy.0),
        ] {
            let Some(written) = written else { continue };
            let at = at.push_key(field);
            for name in written.reports_to() {
                let is_known = |(known, _): &(super::EndpointName, _)| known.as_str() == name;
                if !config.reporting_endpoints.iter().any(is_known) {
                    let problem =
                        Problem::new(format!("`report-to {name}`: there is no such endpoint"))
                            .help("name it and its URL in `reporting_endpoints`");
                    add(at, problem);
                }
            }
        }
    }
    let learns = config.rules.iter().position(|rule| rule.learn);
    match (learns, &config.learning.0) {
        (Some(index), None) => {
            let problem = Problem::new("what is learned can be read nowhere")
                .help("give `learning` a `path`, and say in `allow` who may read it");
            add(list.push_index(index).push_key("learn"), problem);
        }
        (None, Some(_)) => {
            let problem =
                Problem::new("no rule learns").help("give those that are to learn `learn: true`");
            add(at.push_key("learning"), problem);
        }
        _ => {}
    }
    if let (Some(collector), Some(learning)) = (&config.collector.0, &config.learning.0)
        && collector.path == learning.path
    {
        let problem =
            Problem::new("the collector has this path").help("give each a path of its own");
        add(at.push_key("learning").push_key("path"), problem);
    }
    ConfigErrors::check(errors, config)
}
