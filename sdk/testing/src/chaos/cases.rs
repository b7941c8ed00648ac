//! Parts of chaos tests that a filter writes for itself.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fastrand::Rng;
use legation::HttpFilter;
use serde_json::Value;

use crate::call::Answer;
use crate::host::Host;

/// What a host may answer while a filter is configured.
pub fn answer(rng: &mut Rng) -> Answer {
    let status = rng.u32(..20);
    match rng.u8(..14) {
        0 => Answer::Status(status),
        1 => Answer::RealBut(status),
        2 => Answer::Bytes((0..rng.usize(..60)).map(|_| rng.u8(..)).collect()),
        3 => Answer::CutTo(rng.usize(..100)),
        4 => Answer::Null,
        5 => Answer::NullOfSize(rng.usize(..1 << 20)),
        6 => Answer::BlockOfNothing,
        7 => Answer::Number(rng.u64(..)),
        _ => Answer::Real,
    }
}

/// Spoils the bytes of a configuration, which has some: most are no JSON any more.
pub fn spoil(text: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..rng.usize(1..6) {
        let at = rng.usize(..text.len());
        match rng.u8(..4) {
            0 => text[at] = rng.u8(..),
            1 => text[at] = *rng.choice(b"{}[]\",:%0").unwrap_or(&b'0'),
            2 => text.truncate(at.max(1)),
            _ => {
                text.remove(at);
                text.push(b'}');
            }
        }
    }
}

/// Runs a case, and says which it was if it panics.
///
/// # Panics
///
/// If the case does.
pub fn case(seed: u64, run: impl FnOnce(&mut Rng)) {
    let mut rng = Rng::with_seed(seed);
    let outcome = catch_unwind(AssertUnwindSafe(|| run(&mut rng)));
    assert!(
        outcome.is_ok(),
        "the case with the seed {seed} panicked; the panic is above"
    );
}

/// Loads configurations on hosts that answer anything at all meanwhile, so many times.
/// Loaded or refused: both are well.
///
/// # Panics
///
/// If the filter does, or there is no configuration.
pub fn configure<F: HttpFilter>(configurations: &[Value], cases: u64) {
    for seed in 0..cases {
        case(seed, |rng| {
            let host = Host::<F>::new();
            let mut chaos = rng.fork();
            host.answer_by(move |_| answer(&mut chaos));
            let configuration = rng.choice(configurations).expect("a configuration");
            let _ = host.load(configuration.clone());
        });
    }
}

/// Makes configurations that are hardly right of some that are.
#[derive(Debug, Clone)]
pub struct Spoiler {
    whole: Vec<Value>,
    /// What is put in the place of something else.
    donors: Vec<Value>,
    /// The names of what is put in.
    names: &'static [&'static str],
}

impl Spoiler {
    /// Of these configurations, by values of their own and these besides. What is put
    /// into objects has one of these names.
    pub fn new(whole: &[Value], donors: &[Value], names: &'static [&'static str]) -> Self {
        let mut donors = donors.to_vec();
        for value in whole {
            values(value, &mut donors);
        }
        Self {
            whole: whole.to_vec(),
            donors,
            names,
        }
    }

    /// A configuration with some [bytes spoilt](spoil), or with some values put
    /// elsewhere: JSON still.
    ///
    /// # Panics
    ///
    /// If it was made without configurations or without names.
    pub fn configuration(&self, rng: &mut Rng) -> Vec<u8> {
        let spoils_bytes = rng.bool();
        let mut value = rng.choice(&self.whole).expect("a configuration").clone();
        if spoils_bytes {
            let mut text = value.to_string().into_bytes();
            spoil(&mut text, rng);
            return text;
        }
        for _ in 0..rng.usize(1..4) {
            self.mutate(&mut value, rng);
        }
        value.to_string().into_bytes()
    }

    fn donor(&self, rng: &mut Rng) -> Value {
        rng.choice(&self.donors).expect("a donor").clone()
    }

    /// Puts a value in the place of another, takes one out or puts one in.
    fn mutate(&self, value: &mut Value, rng: &mut Rng) {
        let mut at = value;
        for _ in 0..rng.u8(..8) {
            let inner = match at {
                Value::Object(members) => members.len(),
                Value::Array(list) => list.len(),
                _ => 0,
            };
            if inner == 0 {
                break;
            }
            let nth = rng.usize(..inner);
            at = match at {
                Value::Object(members) => members.values_mut().nth(nth).expect("it is there"),
                Value::Array(list) => &mut list[nth],
                _ => return,
            };
        }
        match (at, rng.u8(..4)) {
            (Value::Object(members), 0) if !members.is_empty() => {
                let nth = rng.usize(..members.len());
                let name = members.keys().nth(nth).expect("it is there").clone();
                members.remove(&name);
            }
            (Value::Object(members), 1) => {
                let name = rng.choice(self.names).expect("a name");
                members.insert((*name).to_owned(), self.donor(rng));
            }
            (Value::Array(list), 0) => list.push(self.donor(rng)),
            (at, _) => *at = self.donor(rng),
        }
    }
}

/// Every value that stands in a configuration.
fn values(value: &Value, into: &mut Vec<Value>) {
    into.push(value.clone());
    match value {
        Value::Object(members) => members.values().for_each(|value| values(value, into)),
        Value::Array(list) => list.iter().for_each(|value| values(value, into)),
        _ => {}
    }
}
