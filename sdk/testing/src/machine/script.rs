//! Answers that a test has the host give.

use std::cell::RefCell;

use crate::call::{Answer, Call};

type Decide = Box<dyn FnMut(&Call<'_>) -> Answer>;

/// Which calls are answered otherwise than they would be.
#[derive(Default)]
pub(crate) struct Script {
    rules: Vec<Rule>,
    decide: Option<Decide>,
}

struct Rule {
    name: &'static str,
    /// Every call of that name, or the nth from when the rule was made.
    nth: Option<usize>,
    seen: usize,
    answer: Answer,
}

impl Script {
    pub(crate) fn add(&mut self, name: &'static str, nth: Option<usize>, answer: Answer) {
        self.rules.push(Rule {
            name,
            nth,
            seen: 0,
            answer,
        });
    }

    pub(crate) fn decide_by(&mut self, decide: Decide) {
        self.decide = Some(decide);
    }

    /// The latest rule that fits decides, then the closure.
    pub(super) fn decide(script: &RefCell<Self>, call: &Call<'_>) -> Answer {
        let mut found = None;
        let mut decide = {
            let mut script = script.borrow_mut();
            for rule in script
                .rules
                .iter_mut()
                .filter(|rule| rule.name == call.name())
            {
                rule.seen += 1;
                if rule.nth.is_none_or(|nth| nth == rule.seen) {
                    found = Some(rule.answer.clone());
                }
            }
            script.decide.take()
        };
        let answer = found.or_else(|| Some(decide.as_mut()?(call)));
        let mut script = script.borrow_mut();
        if script.decide.is_none() {
            script.decide = decide;
        }
        answer.unwrap_or(Answer::Real)
    }
}
