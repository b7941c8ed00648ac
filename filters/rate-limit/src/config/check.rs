//! What can only be seen where all parts of a configuration are.

use deserr::ValuePointerRef;
use legation::config::{ConfigErrors, Problem};

use super::Written;
use super::action::Action;
use super::descriptor::{Entry, Unnamed};
use super::limit::Limit;
use super::rate_limit::RateLimit;

/// The errors of a configuration whose parts are right, each by itself; of the limits
/// at the top, if those are.
pub(super) fn errors(
    config: &Written,
    default_limits: Option<&[Limit]>,
    at: ValuePointerRef<'_>,
) -> Option<ConfigErrors> {
    let has_no_default = default_limits.is_some_and(<[_]>::is_empty);
    let mut errors = None;
    let mut add = |at: ValuePointerRef<'_>, problem: Problem| {
        ConfigErrors::add(&mut errors, ConfigErrors::at(at, problem));
    };
    let service = config.rate_limit_service.0.as_ref();
    if has_no_default && config.descriptors.is_empty() && service.is_none() {
        let problem = Problem::new("nothing is limited").help(
            "give a limit for all requests (`token_bucket`, …), or `descriptors` with theirs, or a `rate_limit_service`",
        );
        add(at, problem);
    }
    if service.is_some() && config.rate_limits.is_empty() {
        let problem = Problem::new("the service is never asked")
            .help("say by `rate_limits` what it is asked about");
        add(at.push_key("rate_limit_service"), problem);
    }
    if has_no_default && config.always_consume_default_token_bucket.0 == Some(true) {
        let problem = Problem::new("there is no limit at the top that could be consumed")
            .help("give one, such as `token_bucket`, or leave this out");
        add(at.push_key("always_consume_default_token_bucket"), problem);
    }
    let list = at.push_key("rate_limits");
    for (index, rate_limit) in config.rate_limits.iter().enumerate() {
        if rate_limit.limit.0.is_some() && service.is_none() {
            let problem = Problem::new("it is for a rate limit service, and none is asked")
                .help("leave it out, or give a `rate_limit_service`");
            add(list.push_index(index).push_key("limit"), problem);
        }
    }
    let list = at.push_key("descriptors");
    for (index, descriptor) in config.descriptors.iter().enumerate() {
        let at = list.push_index(index);
        let mut earlier = config.descriptors.iter().take(index);
        if let Some(other) = earlier.position(|other| other.entries == descriptor.entries) {
            let problem = Problem::new(format!("descriptors[{other}] has the same entries"))
                .help("several limits for them are a list under `limits`");
            add(at.push_key("entries"), problem);
        }
        let mut earlier = config.descriptors.iter().take(index);
        if let Some(name) = &descriptor.name
            && earlier.any(|other| other.name.as_ref() == Some(name))
        {
            let problem = Problem::new(format!("another descriptor is called `{name}`"))
                .help("each is counted under its name: give each its own");
            add(at.push_key("name"), problem);
        }
        if let Some(problem) = never_made(descriptor, &config.rate_limits) {
            add(at.push_key("entries"), problem);
        }
    }
    if config.lease.0.is_some() {
        let is_concurrency = |limit: &Limit| matches!(limit, Limit::Concurrency(_));
        let of_descriptors = config.descriptors.iter().flat_map(Unnamed::limits);
        let mut all = default_limits
            .unwrap_or_default()
            .iter()
            .chain(of_descriptors);
        if all.any(is_concurrency) {
            let problem = Problem::new("`concurrency` cannot be leased").help(
                "leave the lease out, or have the filter twice, once with `concurrency` alone",
            );
            add(at.push_key("lease"), problem);
        }
    }
    errors
}

/// Why no request has this descriptor.
fn never_made(descriptor: &Unnamed, rate_limits: &[RateLimit]) -> Option<Problem> {
    let entries = &*descriptor.entries;
    let any = |same: fn(&Action, &Entry) -> bool| {
        let mut all = rate_limits.iter();
        all.position(|one| makes(&one.actions, entries, same))
    };
    if any(has_value).is_some() {
        return None;
    }
    let never = |help: String| {
        Some(Problem::new("none of `rate_limits` makes such a descriptor").help(help))
    };
    if rate_limits.is_empty() {
        return never("add one whose actions have these keys, in this order".to_owned());
    }
    if let Some(index) = any(has_key) {
        return never(format!(
            "the keys are those of rate_limits[{index}], and a value is another there"
        ));
    }
    let same_keys = |one: &RateLimit| {
        let mut keys: Vec<_> = one.actions.iter().map(|action| &*action.key).collect();
        let mut wanted: Vec<_> = entries.iter().map(|entry| &*entry.key).collect();
        keys.sort_unstable();
        wanted.sort_unstable();
        keys == wanted
    };
    if let Some(index) = rate_limits.iter().position(same_keys) {
        return never(format!(
            "rate_limits[{index}] has its keys in another order"
        ));
    }
    let keys = |one: &RateLimit| {
        let keys = one.actions.iter().map(|action| &*action.key);
        keys.collect::<Vec<_>>().join(", ")
    };
    let known: Vec<_> = rate_limits.iter().take(4).map(keys).collect();
    let more = if rate_limits.len() > 4 { "; …" } else { "" };
    never(format!(
        "the keys and their order must be those of one's actions: {}{more}",
        known.join("; ")
    ))
}

fn has_key(action: &Action, entry: &Entry) -> bool {
    *action.key == *entry.key
}

fn has_value(action: &Action, entry: &Entry) -> bool {
    let Some(wanted) = &entry.value else {
        return has_key(action, entry);
    };
    let is_default = action.default_value.as_ref() == Some(wanted);
    let is_other = action
        .only_value()
        .is_some_and(|value| value != wanted.as_bytes());
    has_key(action, entry) && (is_default || !is_other)
}

/// Whether actions can make these entries, some of them perhaps left out that may be.
fn makes(actions: &[Action], entries: &[Entry], same: fn(&Action, &Entry) -> bool) -> bool {
    // How many entries may have been made so far: each number that is possible.
    let mut made = vec![false; entries.len().saturating_add(1)];
    if let Some(none) = made.first_mut() {
        *none = true;
    }
    for action in actions {
        let mut next = vec![false; made.len()];
        for (index, _) in made.iter().enumerate().filter(|(_, possible)| **possible) {
            if action.skip_if_absent
                && let Some(skipped) = next.get_mut(index)
            {
                *skipped = true;
            }
            if entries.get(index).is_some_and(|entry| same(action, entry))
                && let Some(one_more) = next.get_mut(index.saturating_add(1))
            {
                *one_more = true;
            }
        }
        made = next;
    }
    made.last() == Some(&true)
}
