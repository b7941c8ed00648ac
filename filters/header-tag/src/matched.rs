//! Which rules matched a request.

/// A set of rules by their number. The first 64 take no allocation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Matched {
    first: u64,
    more: Vec<u64>,
}

impl Matched {
    #[inline]
    pub(crate) fn insert(&mut self, rule: usize) {
        let bit = 1_u64.wrapping_shl(u32::try_from(rule % 64).unwrap_or_default());
        match (rule / 64).checked_sub(1) {
            None => self.first |= bit,
            Some(word) => self.insert_beyond(word, bit),
        }
    }

    #[cold]
    fn insert_beyond(&mut self, word: usize, bit: u64) {
        if self.more.len() <= word {
            self.more.resize(word.saturating_add(1), 0);
        }
        if let Some(word) = self.more.get_mut(word) {
            *word |= bit;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first == 0 && self.more.is_empty()
    }

    /// The rules, in their order.
    pub(crate) fn iter(&self) -> Iter<'_> {
        Iter {
            word: self.first,
            start: 0,
            more: self.more.iter(),
        }
    }
}

/// Gives the numbers of the bits that are set, lowest first.
pub(crate) struct Iter<'a> {
    word: u64,
    start: usize,
    more: std::slice::Iter<'a, u64>,
}

impl Iterator for Iter<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        loop {
            let bit = usize::try_from(self.word.trailing_zeros()).unwrap_or_default();
            if let Some(below) = self.word.checked_sub(1) {
                // Takes the lowest set bit away.
                self.word &= below;
                return Some(self.start.saturating_add(bit));
            }
            self.word = *self.more.next()?;
            self.start = self.start.saturating_add(64);
        }
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn gives_back_what_was_put_in_in_the_order_of_the_rules() {
        for rules in [
            vec![],
            vec![0],
            vec![63],
            vec![64],
            vec![0, 1, 63, 64, 65, 127, 128, 1_000],
        ] {
            let mut matched = Matched::default();
            for rule in rules.iter().rev() {
                matched.insert(*rule);
                matched.insert(*rule);
            }
            assert_eq!(matched.iter().collect::<Vec<_>>(), rules);
            assert_eq!(matched.is_empty(), rules.is_empty());
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_first_64_rules_take_no_memory() {
        let mut matched = Matched::default();
        (0..64).for_each(|rule| matched.insert(rule));
        assert_eq!(matched.more.capacity(), 0);
        assert_eq!(matched.iter().count(), 64);
    }
}
