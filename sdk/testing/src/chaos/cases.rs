//! Parts of chaos tests that a filter writes for itself.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fastrand::Rng;

use crate::call::Answer;

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
