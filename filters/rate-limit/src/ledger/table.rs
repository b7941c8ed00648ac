//! What all workers write down together.

use legation::Result;
use legation::shared::{Geometry, SharedError, SharedMap};

use crate::limit::Slot;
use crate::now::Now;
use crate::slots::{List, SlotList, Slots};

/// The shared map of one policy: those of the others cannot displace its keys. It takes
/// room in shared data as it comes into use.
pub(super) enum Table {
    OfOne(SharedMap<Slots<1>>),
    OfSeveral(SharedMap<Slots<4>>),
}

/// What came of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Changed {
    Written {
        /// Whether somebody's state had to go for it.
        displaced: bool,
    },
    /// Others were quicker each time: nothing is written.
    Contended,
}

impl Table {
    /// For so many limits.
    pub(super) fn open(name: &str, limits: usize, geometry: Geometry) -> Result<Self, SharedError> {
        Ok(match limits {
            0 | 1 => Self::OfOne(SharedMap::open(format!("{name}.1"), geometry)?),
            _ => Self::OfSeveral(SharedMap::open(format!("{name}.4"), geometry)?),
        })
    }

    /// Changes what is stored of a key. Called again with what is stored then where
    /// another worker was quicker.
    pub(super) fn change(
        &self,
        key: &[u8],
        now: &Now,
        change: impl FnMut(&[Slot]) -> List,
    ) -> Result<Changed> {
        match self {
            Self::OfOne(map) => change_in(map, key, now, change),
            Self::OfSeveral(map) => change_in(map, key, now, change),
        }
    }
}

fn change_in<S: SlotList>(
    map: &SharedMap<S>,
    key: &[u8],
    now: &Now,
    mut change: impl FnMut(&[Slot]) -> List,
) -> Result<Changed> {
    let now = now.get()?;
    let mut update = || {
        map.update(key, now, |stored| {
            let stored = stored.as_ref().map_or(&[][..], S::slots);
            Some(S::of(&change(stored)))
        })
    };
    let mut updated = update();
    if matches!(updated, Err(SharedError::Malformed { .. })) {
        // Nobody can read it: the key begins anew.
        map.remove(key)?;
        updated = update();
    }
    match updated {
        Ok(updated) => Ok(Changed::Written {
            displaced: updated.displaced,
        }),
        Err(SharedError::Contended { .. }) => Ok(Changed::Contended),
        Err(error) => Err(error.into()),
    }
}
