//! How far each filter of a suite has let a body go on.

use smallvec::SmallVec;

/// A body on its way through the filters, as far as the host holds it.
///
/// Filters are counted in the order in which they see the body. What one has let
/// go on is what the next is shown.
#[derive(Debug, Default)]
pub(super) struct Passage {
    /// Bytes that the host holds, and those of them that all filters have let go
    /// on before.
    size: usize,
    start: usize,
    end: bool,
    /// Bytes of them, from the first, that each filter has let go on.
    passed: SmallVec<[Place; 4]>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Place {
    passed: usize,
    end: bool,
}

impl Passage {
    /// So much of the body is here.
    pub(super) fn arrived(&mut self, start: usize, size: usize, end: bool) {
        self.start = start;
        self.size = size;
        self.end = end;
    }

    /// Bytes of the body that the host holds.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    fn place(&self, place: usize) -> Place {
        let mut place = self.passed.get(place).copied().unwrap_or_default();
        place.passed = place.passed.max(self.start);
        place
    }

    /// What the filter before one has let go on.
    fn before(&self, place: usize) -> Place {
        match place.checked_sub(1) {
            Some(before) => self.place(before),
            None => Place {
                passed: self.size,
                end: self.end,
            },
        }
    }

    /// The piece that a filter is shown: from where, to where, and whether it is
    /// the last. `None` where there is nothing new to it.
    pub(super) fn shown_to(&self, place: usize) -> Option<(usize, usize, bool)> {
        let (own, before) = (self.place(place), self.before(place));
        let is_new = before.passed > own.passed || (before.end && !own.end);
        is_new.then_some((own.passed, before.passed, before.end))
    }

    /// A filter has put another piece, ending at `now`, in the place of the one
    /// that ended at `former`.
    pub(super) fn resized(&mut self, place: usize, former: usize, now: usize) {
        let resize = |size: usize| size.saturating_sub(former).saturating_add(now);
        for earlier in self.passed.iter_mut().take(place) {
            earlier.passed = resize(earlier.passed);
        }
        self.size = resize(self.size);
    }

    /// A filter has let go on what it was shown.
    pub(super) fn let_on(&mut self, place: usize, to: usize) {
        let end = self.before(place).end;
        while self.passed.len() <= place {
            self.passed.push(Place::default());
        }
        if let Some(own) = self.passed.get_mut(place) {
            own.passed = to;
            own.end = end;
        }
    }

    /// A filter has let go on all that the one before it has.
    pub(super) fn let_on_all(&mut self, place: usize) {
        self.let_on(place, self.before(place).passed);
    }

    /// Whether all that the host holds goes on, past all of so many filters. Then
    /// it holds nothing.
    pub(super) fn goes_on(&mut self, filters: usize) -> bool {
        let last = self.before(filters);
        let all = last.passed >= self.size && last.end == self.end;
        if all {
            for place in &mut self.passed {
                place.passed = 0;
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn each_filter_sees_what_the_one_before_it_has_let_on() {
        let mut passage = Passage::default();
        passage.arrived(0, 10, false);
        assert_eq!(passage.shown_to(0), Some((0, 10, false)));
        passage.let_on(0, 10);
        // The second holds.
        assert_eq!(passage.shown_to(1), Some((0, 10, false)));
        assert_eq!(passage.shown_to(2), None);
        assert!(!passage.goes_on(3));

        passage.arrived(0, 15, true);
        assert_eq!(passage.shown_to(0), Some((10, 15, true)));
        // The first makes one byte of five.
        passage.resized(0, 15, 11);
        passage.let_on(0, 11);
        assert_eq!(passage.shown_to(1), Some((0, 11, true)));
        passage.resized(1, 11, 4);
        passage.let_on(1, 4);
        assert_eq!(passage.shown_to(2), Some((0, 4, true)));
        passage.let_on(2, 4);
        assert!(passage.goes_on(3));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_filter_in_front_that_holds_leaves_nothing_to_the_others() {
        let mut passage = Passage::default();
        passage.arrived(0, 10, false);
        assert_eq!(passage.shown_to(1), None);
        assert!(!passage.goes_on(2));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_empty_piece_is_shown_where_it_is_the_last() {
        let mut passage = Passage::default();
        passage.arrived(0, 0, true);
        assert_eq!(passage.shown_to(0), Some((0, 0, true)));
        passage.let_on(0, 0);
        assert_eq!(passage.shown_to(1), Some((0, 0, true)));
        passage.let_on(1, 0);
        assert!(passage.goes_on(2));
    }
}
