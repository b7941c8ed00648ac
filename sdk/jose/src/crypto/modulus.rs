//! Numbers modulo an odd one, by Montgomery's multiplication.
//!
//! For verifying alone: everything in it is public, and nothing of it takes
//! constant time. In limbs of 32 bits, whose products WebAssembly computes in
//! one instruction.
//!
//! It is not `crypto-bigint` because of what that weighs in a module, 70 KB for
//! 5, of which Envoy compiles each at start; and that takes 1.5 times as long.

use std::cell::Cell;
use std::cmp::Ordering;

const LIMB: usize = 32;

/// An odd number over 1 that others are taken modulo.
pub(crate) struct Modulus {
    /// In limbs, the lowest first; the highest is not zero.
    limbs: Vec<u32>,
    /// -1 / n modulo 2^32.
    negative_inverse: u32,
}

/// A number under a modulus, in as many limbs, times 2 to the modulus' limbs'
/// bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Residue(Vec<u32>);

impl Modulus {
    /// Of its big-endian bytes. `None` if it is even, or 1.
    pub(crate) fn new(bytes: &[u8]) -> Option<Self> {
        let mut limbs = limbs(bytes);
        while limbs.last() == Some(&0) {
            limbs.pop();
        }
        let lowest = *limbs.first()?;
        if lowest & 1 == 0 || limbs == [1] {
            return None;
        }
        // By Newton's iteration: it is right to 3 bits and doubles them.
        let mut inverse = lowest;
        for _ in 0..4 {
            let error = 2_u32.wrapping_sub(lowest.wrapping_mul(inverse));
            inverse = inverse.wrapping_mul(error);
        }
        Some(Self {
            limbs,
            negative_inverse: inverse.wrapping_neg(),
        })
    }

    /// How many bits it has.
    pub(crate) fn bits(&self) -> usize {
        let spare = self.limbs.last().map_or(0, |limb| limb.leading_zeros());
        self.limbs
            .len()
            .saturating_mul(LIMB)
            .saturating_sub(spare as usize)
    }

    /// The number of these big-endian bytes. `None` if it is not under the
    /// modulus.
    pub(crate) fn residue(&self, bytes: &[u8]) -> Option<Residue> {
        let mut number = limbs(bytes);
        while number.len() > self.limbs.len() {
            if number.pop() != Some(0) {
                return None;
            }
        }
        number.resize(self.limbs.len(), 0);
        if !self.exceeds(&number) {
            return None;
        }
        Some(self.multiply(&Residue(number), &self.square_of_radix()))
    }

    /// The big-endian bytes of a number, of which there are four times as many as
    /// limbs.
    #[cfg(any(feature = "portable", feature = "pss"))]
    pub(crate) fn bytes(&self, number: &Residue) -> Vec<u8> {
        let mut one = vec![0; self.limbs.len()];
        if let Some(lowest) = one.first_mut() {
            *lowest = 1;
        }
        let Residue(plain) = self.multiply(number, &Residue(one));
        plain
            .iter()
            .rev()
            .flat_map(|limb| limb.to_be_bytes())
            .collect()
    }

    pub(crate) fn add(&self, a: &Residue, b: &Residue) -> Residue {
        let mut carry = 0;
        let mut sum: Vec<u32> =
            a.0.iter()
                .zip(&b.0)
                .map(|(&a, &b)| {
                    let sum = u64::from(a).wrapping_add(u64::from(b)).wrapping_add(carry);
                    carry = sum >> LIMB;
                    low(sum)
                })
                .collect();
        self.reduce(&mut sum, carry != 0);
        Residue(sum)
    }

    /// The product, divided by the radix (Koç, Acar, Kaliski, "Analyzing and
    /// Comparing Montgomery Multiplication Algorithms", 1996: FIOS).
    pub(crate) fn multiply(&self, a: &Residue, b: &Residue) -> Residue {
        let mut product = vec![0; self.limbs.len()];
        let cells = Cell::from_mut(product.as_mut_slice()).as_slice_of_cells();
        let ([lowest, ..], [.., highest]) = (cells, cells) else {
            return Residue(product);
        };
        let ([b_lowest, b @ ..], [n_lowest, n @ ..]) = (b.0.as_slice(), self.limbs.as_slice())
        else {
            return Residue(product);
        };
        let mut top = 0;
        for &digit in &a.0 {
            // Neither sum is over 64 bits: (2^32 - 1)^2 + 2 (2^32 - 1) = 2^64 - 1.
            let sum = times(digit, *b_lowest).wrapping_add(u64::from(lowest.get()));
            // What makes the lowest limb zero, so that it falls off.
            let factor = low(sum).wrapping_mul(self.negative_inverse);
            let reduced = times(factor, *n_lowest).wrapping_add(u64::from(low(sum)));
            let mut carry = sum >> LIMB;
            let mut carry_reduced = reduced >> LIMB;
            for (pair, (&b, &n)) in cells.windows(2).zip(b.iter().zip(n)) {
                let [below, here] = pair else { continue };
                let sum = times(digit, b)
                    .wrapping_add(u64::from(here.get()))
                    .wrapping_add(carry);
                carry = sum >> LIMB;
                let reduced = times(factor, n)
                    .wrapping_add(u64::from(low(sum)))
                    .wrapping_add(carry_reduced);
                carry_reduced = reduced >> LIMB;
                below.set(low(reduced));
            }
            let sum = carry.wrapping_add(carry_reduced).wrapping_add(top);
            highest.set(low(sum));
            top = sum >> LIMB;
        }
        self.reduce(&mut product, top != 0);
        Residue(product)
    }

    /// A power whose exponent is not 0.
    pub(crate) fn power(&self, base: &Residue, exponent: u64) -> Residue {
        let mut power = base.clone();
        let below_highest = u64::BITS.saturating_sub(exponent.leading_zeros().saturating_add(1));
        for bit in (0..below_highest).rev() {
            power = self.multiply(&power, &power);
            if exponent >> bit & 1 == 1 {
                power = self.multiply(&power, base);
            }
        }
        power
    }

    /// The radix as a residue, which is its square.
    fn square_of_radix(&self) -> Residue {
        let (count, bits) = (self.limbs.len(), self.bits());
        // The highest power of 2 that is under the modulus, doubled until it is
        // the radix times 2^32: that is 2^32 as a residue.
        let mut number = vec![0; count];
        if let (Some(highest), Some(modulus)) = (number.last_mut(), self.limbs.last()) {
            // Of a limb that is not zero.
            *highest = (1 << 31) >> modulus.leading_zeros();
        }
        let doublings = (count.saturating_mul(LIMB).saturating_add(LIMB))
            .saturating_sub(bits.saturating_sub(1));
        for _ in 0..doublings {
            let mut carry = 0;
            for limb in &mut number {
                let doubled = *limb << 1 | carry;
                carry = *limb >> 31;
                *limb = doubled;
            }
            self.reduce(&mut number, carry != 0);
        }
        self.power(&Residue(number), count as u64)
    }

    /// Takes the modulus away once, where the number with this carry is not under
    /// it.
    fn reduce(&self, number: &mut [u32], carry: bool) {
        if !carry && self.exceeds(number) {
            return;
        }
        let mut borrow = false;
        for (limb, &modulus) in number.iter_mut().zip(&self.limbs) {
            let (without, first) = limb.overflowing_sub(modulus);
            let (without, second) = without.overflowing_sub(u32::from(borrow));
            borrow = first || second;
            *limb = without;
        }
    }

    /// Whether it is more than a number of as many limbs.
    fn exceeds(&self, number: &[u32]) -> bool {
        self.limbs.iter().rev().cmp(number.iter().rev()) == Ordering::Greater
    }
}

/// The limbs of big-endian bytes, the lowest first.
fn limbs(bytes: &[u8]) -> Vec<u32> {
    bytes
        .rchunks(4)
        .map(|chunk| {
            chunk
                .iter()
                .fold(0, |limb, &byte| limb << 8 | u32::from(byte))
        })
        .collect()
}

fn times(a: u32, b: u32) -> u64 {
    u64::from(a).wrapping_mul(u64::from(b))
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
fn low(number: u64) -> u32 {
    number as u32
}
