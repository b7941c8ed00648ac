//! Counting without a host call a request.

use std::fmt;

use legation::Configure;
use legation::metrics::Tally;

use crate::config::Config;
use crate::matched::Matched;

/// The counters. They are added up here and handed to the host by
/// [`flush`](Self::flush), and when the configuration goes.
#[derive(Debug)]
pub(crate) struct Counts {
    matched: Tally,
    unmatched: Tally,
    empty_values: Tally,
    /// What each rule is called, and its counter where it has a name.
    rules: Box<[(Box<str>, Option<Tally>)]>,
    some_rule_has_a_name: bool,
}

impl Counts {
    pub(crate) fn new(config: &Config, host: &mut Configure) -> Self {
        if let Some(prefix) = &config.stat_prefix.0 {
            host.stat_prefix(prefix.as_str());
        }
        let rules = config.rules.iter().enumerate();
        let rules = rules.map(|(index, rule)| match &rule.name.0 {
            None => (index.to_string().into(), None),
            Some(name) => {
                let tally = Tally::new(host.counter(&format!("rule.{name}.matched")));
                (name.as_str().into(), Some(tally))
            }
        });
        let rules: Box<[(_, Option<_>)]> = rules.collect();
        Self {
            some_rule_has_a_name: rules.iter().any(|(_, tally)| tally.is_some()),
            matched: Tally::new(host.counter("requests_matched")),
            unmatched: Tally::new(host.counter("requests_unmatched")),
            empty_values: Tally::new(host.counter("values_empty")),
            rules,
        }
    }

    /// Counts a request and the rules that matched it.
    pub(crate) fn request(&self, matched: &Matched) {
        if matched.is_empty() {
            self.unmatched.add(1);
            return;
        }
        self.matched.add(1);
        if !self.some_rule_has_a_name {
            return;
        }
        for rule in matched.iter() {
            if let Some((_, Some(tally))) = self.rules.get(rule) {
                tally.add(1);
            }
        }
    }

    /// Counts values that came out empty.
    pub(crate) fn empty_values(&self, values: u64) {
        self.empty_values.add(values);
    }

    /// What the rules that matched are called: their names, or their numbers.
    pub(crate) fn names<'a>(&'a self, matched: &'a Matched) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| {
            for (nth, rule) in matched.iter().enumerate() {
                let separator = if nth == 0 { "" } else { "," };
                let name = self.rules.get(rule).map_or("", |(name, _)| name);
                write!(f, "{separator}{name}")?;
            }
            Ok(())
        })
    }

    /// Hands the host what was counted since the last time.
    pub(crate) fn flush(&self) {
        for tally in [&self.matched, &self.unmatched, &self.empty_values] {
            tally.flush();
        }
        for (_, tally) in &self.rules {
            tally.iter().for_each(Tally::flush);
        }
    }
}
