//! What only shows when fields are looked at together.

use deserr::ValuePointerRef;
use legation::config::{ConfigErrors, Problem, exactly_one};

use super::{Action, Body, Config, Field, Redact, Rule};
use crate::json::Kind;

/// More paths than this a body is not held against: each is looked for at each value.
const MOST_PATHS: usize = 200;

/// A shorter secret is guessed.
const SHORTEST_SECRET: usize = 16;

pub(super) fn config(config: Config, at: ValuePointerRef<'_>) -> Result<Config, ConfigErrors> {
    let mut errors = None;
    let list = at.push_key("rules");
    let mut ended_by = None;
    for (index, rule) in config.rules.iter().enumerate() {
        match ended_by {
            None if rule.matcher.is_unconditional() => ended_by = Some(index),
            None => {}
            Some(earlier) => {
                let problem = Problem::new("the rule is never reached").help(format!(
                    "rules[{earlier}] takes every request, and the first rule that matches is the one"
                ));
                ConfigErrors::add(
                    &mut errors,
                    ConfigErrors::at(list.push_index(index), problem),
                );
            }
        }
    }
    ConfigErrors::check(errors, config)
}

pub(super) fn rule(rule: Rule, at: ValuePointerRef<'_>) -> Result<Rule, ConfigErrors> {
    let does_something = rule.request.0.is_some() || rule.response.0.is_some();
    let problem = match (does_something, rule.disabled) {
        (true, true) => Problem::new("the rule is `disabled` and has something to do").help(
            "`disabled: true` leaves the bodies alone; to switch a rule off, take it out",
        ),
        (false, false) => Problem::new("the rule does nothing").help(
            "give it a `request` or a `response`, or have it leave the bodies alone by `disabled: true`",
        ),
        _ => {
            let at = at.push_key("response");
            let response = rule.response.0.as_ref();
            if response.is_some_and(|body| body.required) {
                let problem = Problem::new("a response without a body is one")
                    .help("`required` is for requests");
                return Err(ConfigErrors::at(at.push_key("required"), problem));
            }
            if response.is_some_and(|body| body.ext_authz.0.is_some()) {
                let problem = Problem::new("a response flows, and is not held until it is judged")
                    .help("`ext_authz` is for requests");
                return Err(ConfigErrors::at(at.push_key("ext_authz"), problem));
            }
            return Ok(rule);
        }
    };
    Err(ConfigErrors::at(at, problem))
}

pub(super) fn body(body: Body, at: ValuePointerRef<'_>) -> Result<Body, ConfigErrors> {
    let says_something = body.required
        || body.max_bytes.0.is_some()
        || body.content_types.0.is_some()
        || body.json.0.is_some()
        || !body.fields.is_empty()
        || !body.redact.is_empty()
        || body.ext_authz.0.is_some();
    if !says_something {
        let problem = Problem::new("nothing is said of the body").help(
            "give it `max_bytes`, `content_types`, `json`, `fields`, `redact` or `ext_authz`",
        );
        return Err(ConfigErrors::at(at, problem));
    }
    let paths = body.fields.len().saturating_add(body.redact.len());
    if paths > MOST_PATHS {
        let problem = format!("{paths} of `fields` and `redact`, at most {MOST_PATHS} are allowed");
        return Err(ConfigErrors::at(at, problem));
    }
    Ok(body)
}

pub(super) fn field(field: Field, at: ValuePointerRef<'_>) -> Result<Field, ConfigErrors> {
    let of_text =
        field.pattern.0.is_some() || field.min_length.0.is_some() || field.max_length.0.is_some();
    let of_number = field.minimum.0.is_some() || field.maximum.0.is_some();
    let says_more = field.required
        || !field.kinds.is_empty()
        || !field.choices.is_empty()
        || of_text
        || of_number;
    let kinds = |kind: Kind| field.kinds.contains(&kind);
    let is_said = !field.kinds.is_empty();
    let problem = if field.forbidden && says_more {
        Problem::new("what is `forbidden` is not looked at any further")
            .help("leave out what else is said of it")
    } else if !field.forbidden && !says_more {
        Problem::new("nothing is said of the field")
            .help("give it `required`, `forbidden`, `type`, `pattern`, `enum` or bounds")
    } else if of_text && is_said && !kinds(Kind::String) {
        Problem::new("`pattern`, `min_length` and `max_length` are for texts")
            .help("have `type` allow `string`")
    } else if of_number && is_said && !kinds(Kind::Number) && !kinds(Kind::Integer) {
        Problem::new("`minimum` and `maximum` are for numbers")
            .help("have `type` allow `number` or `integer`")
    } else if of_text && of_number && !is_said {
        Problem::new("bounds of texts and of numbers").help("say in `type` what it may be")
    } else if bounds_cross(&field) {
        Problem::new("no value is within these bounds").help("the lower one goes first")
    } else {
        return Ok(field);
    };
    Err(ConfigErrors::at(at, problem))
}

fn bounds_cross(field: &Field) -> bool {
    let lengths = field.min_length.0.zip(field.max_length.0);
    let numbers = field.minimum.0.zip(field.maximum.0);
    lengths.is_some_and(|(min, max)| min > max) || numbers.is_some_and(|(min, max)| min.0 > max.0)
}

pub(super) fn redact(redact: Redact, at: ValuePointerRef<'_>) -> Result<Redact, ConfigErrors> {
    exactly_one(
        at,
        &[
            ("path", redact.path.0.is_some()),
            ("preset", redact.preset.0.is_some()),
            ("pattern", redact.pattern.0.is_some()),
        ],
    )?;
    let masks = redact.action == Action::Mask;
    if !masks && (redact.replacement.0.is_some() || redact.keep_last.0.is_some()) {
        let problem = Problem::new("`replacement` and `keep_last` are for the action `mask`");
        return Err(ConfigErrors::at(at, problem));
    }
    let hashes = redact.action == Action::Hash;
    let secret = redact.secret.0.as_ref();
    if !hashes && (secret.is_some() || redact.digits.0.is_some()) {
        let problem = Problem::new("`secret` and `digits` are for the action `hash`");
        return Err(ConfigErrors::at(at, problem));
    }
    if hashes && secret.is_none_or(|secret| secret.expose().len() < SHORTEST_SECRET) {
        let problem = Problem::new(format!(
            "the action `hash` takes a secret of {SHORTEST_SECRET} bytes at least"
        ));
        let help = "whoever knows it finds out what was hashed by trying: have it from \
            `secret: {environment_variable: NAME}`";
        return Err(ConfigErrors::at(at.push_key("secret"), problem.help(help)));
    }
    let is_root = redact.path.0.as_ref().is_some_and(|path| path.0.is_root());
    if redact.action == Action::Remove && is_root {
        let problem = Problem::new("without the whole document nothing is left")
            .help("`deny` the message, or `mask` it");
        return Err(ConfigErrors::at(at.push_key("path"), problem));
    }
    Ok(redact)
}
