//! Random bytes fit for secrets.
//!
//! A host call for random bytes costs about 0.7 µs, so the generator (`ChaCha12`)
//! lives in the module: it is seeded with 256 bits from the host, anew after
//! every 65,536 draws.

use std::cell::RefCell;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::error::{Error, Result};

/// Draws between two seeds from the host.
const DRAWS_A_SEED: u32 = 65_536;

struct Generator {
    rng: StdRng,
    draws_left: u32,
}

thread_local! {
    static GENERATOR: RefCell<Option<Generator>> = const { RefCell::new(None) };
}

/// Fills `bytes` with random bytes.
///
/// Host calls: none, but for one in 65,536 draws. Fails where the host has no
/// randomness to seed with.
pub fn fill(bytes: &mut [u8]) -> Result<()> {
    with_generator(|rng| rng.fill_bytes(bytes))
}

/// A random number. Costs and fails as [`fill`] does.
pub fn next_u64() -> Result<u64> {
    with_generator(Rng::next_u64)
}

fn with_generator<T>(draw: impl FnOnce(&mut StdRng) -> T) -> Result<T> {
    GENERATOR.with(|cell| {
        let mut cell = cell
            .try_borrow_mut()
            .map_err(|_| Error::other("the random generator is in use"))?;
        let left = cell.as_ref().map_or(0, |generator| generator.draws_left);
        if left == 0 {
            *cell = Some(Generator {
                rng: seed()?,
                draws_left: DRAWS_A_SEED,
            });
        }
        let Some(generator) = cell.as_mut() else {
            return Err(Error::other("the random generator has no seed"));
        };
        generator.draws_left = generator.draws_left.saturating_sub(1);
        Ok(draw(&mut generator.rng))
    })
}

fn seed() -> Result<StdRng> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| Error::other(format!("no randomness from the host: {error}")))?;
    Ok(StdRng::from_seed(seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        let (mut one, mut two) = ([0; 16], [0; 16]);
        fill(&mut one).unwrap();
        fill(&mut two).unwrap();
        assert_ne!(one, two);
    }
}
