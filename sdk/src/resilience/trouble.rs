//! A service that is of no help, told once.

use std::cell::Cell;

use log::Level;

/// Whether a service was of no help when it was asked last. It is told in the log when that begins and when it
/// ends, and not once a request: there may be very many until it answers again.
///
/// ```
/// # use legation::resilience::Trouble;
/// let trouble = Trouble::default();
/// assert_eq!(trouble.begins(), log::Level::Warn);
/// assert_eq!(trouble.begins(), log::Level::Debug);
/// assert!(trouble.ends());
/// assert!(!trouble.ends());
/// ```
#[derive(Debug, Default)]
pub struct Trouble(Cell<bool>);

impl Trouble {
    /// It is of no help: at which level that is told.
    pub fn begins(&self) -> Level {
        if self.0.replace(true) {
            Level::Debug
        } else {
            Level::Warn
        }
    }

    /// It has answered: whether that is news.
    pub fn ends(&self) -> bool {
        self.0.replace(false)
    }
}
