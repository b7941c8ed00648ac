//! Which rules apply, and what comes of it.

use legation::config::{Given, Mode};
use legation::http::HeaderName;
use legation::matcher;

use crate::block::Block;
use crate::buckets::{Assigned, Buckets};
use crate::config::{self, Apply, Changes, Config, Name, Statuses, TrailerChanges, When};
use crate::matched::Matched;
use crate::message::{Message, Request, Response};
use crate::scope::Scope;
use crate::strings::Strings;

/// The rules, ready to be applied.
#[derive(Debug)]
pub(crate) struct Rules {
    strip: Box<[HeaderName]>,
    list: Box<[Rule]>,
    buckets: Buckets,
    mode: Mode,
}

#[derive(Debug)]
struct Rule {
    when: When,
    request: Option<Block>,
    request_trailers: Option<Block>,
    response: Option<OnResponse>,
    response_trailers: Option<Block>,
    /// Whether no later rule is looked at where this one matches.
    ends: bool,
}

#[derive(Debug)]
struct OnResponse {
    when_status: Statuses,
    block: Block,
}

/// What was decided about a request.
#[derive(Debug, Default)]
pub(crate) struct Decision {
    /// The rules that matched it.
    pub(crate) matched: Matched,
    /// Whether one of them is to change what comes later.
    pub(crate) awaits_more: bool,
    /// The buckets that were asked for.
    pub(crate) assigned: Assigned,
    /// Values that came out empty, so that nothing was written for them.
    pub(crate) empty_values: u64,
}

impl Rules {
    pub(crate) fn new(config: Config) -> Self {
        let apply = config.apply;
        let rules = config.rules.into_iter().map(|rule| Rule::new(rule, apply));
        let mut rules = Self {
            strip: config.strip.into_iter().map(Name::into_inner).collect(),
            list: rules.collect(),
            buckets: Buckets::new(config.weighted_buckets),
            mode: config.mode,
        };
        rules.find_lone_reads();
        rules
    }

    /// Matches the rules and changes the request.
    pub(crate) fn on_request<M: Request>(
        &self,
        message: &mut M,
        scratch: &mut Strings,
    ) -> Result<Decision, M::Error> {
        let enforced = self.mode == Mode::Enforce;
        if enforced {
            for name in &self.strip {
                message.remove(name)?;
            }
        }
        let mut decision = Decision::default();
        let mut scope = Scope::new(message, &self.buckets, Assigned::default());
        let mut request = matcher::Request::new(&mut scope);
        let mut needs_request = false;
        for (index, rule) in self.list.iter().enumerate() {
            if !rule.when.matches(&mut request)? {
                continue;
            }
            decision.matched.insert(index);
            for later in rule.later().filter(|_| enforced) {
                decision.awaits_more = true;
                needs_request |= later.asks_for_the_request();
                for experiment in later.experiments() {
                    request.view().bucket(experiment)?;
                }
            }
            if let Some(block) = rule.request.as_ref().filter(|_| enforced) {
                request.view().when = Some(&rule.when);
                let empty = block.apply(request.view(), scratch)?;
                decision.empty_values = decision.empty_values.saturating_add(empty);
            }
            if rule.ends {
                break;
            }
        }
        if needs_request {
            request.view().keep()?;
        }
        decision.assigned = scope.assigned();
        Ok(decision)
    }

    /// Changes the response as the rules that matched its request say. Gives
    /// the number of values that came out empty.
    pub(crate) fn on_response<M: Response>(
        &self,
        matched: &Matched,
        assigned: Assigned,
        message: &mut M,
        scratch: &mut Strings,
    ) -> Result<u64, M::Error> {
        let mut scope = Scope::new(message, &self.buckets, assigned);
        let mut empty_values = 0_u64;
        for index in matched.iter() {
            let Some(rule) = self.list.get(index) else {
                continue;
            };
            let Some(response) = &rule.response else {
                continue;
            };
            if response.is_for(&mut scope)? {
                scope.when = Some(&rule.when);
                let empty = response.block.apply(&mut scope, scratch)?;
                empty_values = empty_values.saturating_add(empty);
            }
        }
        Ok(empty_values)
    }

    /// Changes trailers of the request as the rules that matched it say. Gives the number of
    /// values that came out empty.
    pub(crate) fn on_request_trailers<M: Message>(
        &self,
        matched: &Matched,
        assigned: Assigned,
        message: &mut M,
        scratch: &mut Strings,
    ) -> Result<u64, M::Error> {
        self.apply(matched, assigned, message, scratch, |rule| {
            rule.request_trailers.as_ref()
        })
    }

    /// Changes trailers of the response as the rules that matched its request say. Gives the
    /// number of values that came out empty.
    pub(crate) fn on_response_trailers<M: Message>(
        &self,
        matched: &Matched,
        assigned: Assigned,
        message: &mut M,
        scratch: &mut Strings,
    ) -> Result<u64, M::Error> {
        self.apply(matched, assigned, message, scratch, |rule| {
            rule.response_trailers.as_ref()
        })
    }

    /// What these rules are to change the response's trailers by.
    pub(crate) fn for_response_trailers<'a>(
        &'a self,
        matched: &'a Matched,
    ) -> impl Iterator<Item = &'a Block> {
        let rules = matched.iter().filter_map(|index| self.list.get(index));
        rules.filter_map(|rule| rule.response_trailers.as_ref())
    }

    fn apply<M: Message>(
        &self,
        matched: &Matched,
        assigned: Assigned,
        message: &mut M,
        scratch: &mut Strings,
        block: impl Fn(&Rule) -> Option<&Block>,
    ) -> Result<u64, M::Error> {
        let mut scope = Scope::new(message, &self.buckets, assigned);
        let mut empty_values = 0_u64;
        for rule in matched.iter().filter_map(|index| self.list.get(index)) {
            if let Some(block) = block(rule) {
                scope.when = Some(&rule.when);
                let empty = block.apply(&mut scope, scratch)?;
                empty_values = empty_values.saturating_add(empty);
            }
        }
        Ok(empty_values)
    }

    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// Where all rules together read a message once at most, the block that
    /// does is told.
    fn find_lone_reads(&mut self) {
        let requests = self.list.iter().map(|rule| {
            let block = rule.request.as_ref().map_or(0, Block::request_reads);
            let kept = usize::from(rule.later().any(Block::asks_for_the_request));
            let reads = rule.when.needs().header_reads.saturating_add(block);
            reads.saturating_add(kept)
        });
        // What a bucket's key reads is read once, of whatever rule asks first.
        let keys = usize::from(!self.buckets.is_empty()).saturating_mul(2);
        let requests = requests.chain([keys]);
        let alone_on_request = requests.fold(0, usize::saturating_add) <= 1;
        let responses = self.list.iter().filter_map(|rule| rule.response.as_ref());
        let responses = responses.map(|response| {
            let status = usize::from(!response.when_status.is_any());
            response.block.response_reads().saturating_add(status)
        });
        let alone_on_response = responses.fold(0, usize::saturating_add) <= 1;
        for rule in &mut self.list {
            if let Some(block) = rule.request.as_mut().filter(|_| alone_on_request) {
                block.read_alone();
            }
            if let Some(response) = rule.response.as_mut().filter(|_| alone_on_response) {
                response.block.read_alone();
            }
        }
    }
}

impl Rule {
    fn new(rule: config::Rule, apply: Apply) -> Self {
        let request = rule.request.0.map(|changes| Block::new(changes.0));
        let trailers = |changes: Given<TrailerChanges>| {
            let changes = changes.0?.0;
            Some(Block::of_trailers(changes))
        };
        Self {
            when: rule.when,
            request,
            request_trailers: trailers(rule.request_trailers),
            response: rule.response.0.map(|changes| OnResponse::new(changes.0)),
            response_trailers: trailers(rule.response_trailers),
            ends: rule.disabled || apply == Apply::FirstMatch,
        }
    }

    /// What it does after the request's headers.
    fn later(&self) -> impl Iterator<Item = &Block> {
        let response = self.response.as_ref().map(|response| &response.block);
        let trailers = [&self.request_trailers, &self.response_trailers];
        response.into_iter().chain(trailers.into_iter().flatten())
    }
}

impl OnResponse {
    fn new(mut changes: Changes) -> Self {
        let when_status = std::mem::take(&mut changes.when_status);
        Self {
            when_status,
            block: Block::new(changes),
        }
    }

    fn is_for<M: Response>(&self, message: &mut M) -> Result<bool, M::Error> {
        if self.when_status.is_any() {
            return Ok(true);
        }
        let status = message.status()?;
        Ok(status.is_some_and(|status| self.when_status.contains(status)))
    }
}

#[cfg(test)]
mod tests;
