//! Counts what a filter allocates.
//!
//! A test binary that wants the numbers says once, anywhere:
//!
//! ```
//! legation_testing::count_allocations!();
//! ```
//!
//! Counted is what happens between entering a callback and leaving it. What
//! the mock host allocates meanwhile is not; what it has the guest allocate to
//! hand over an answer is counted apart.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt;
use std::ops::{AddAssign, Sub};
use std::sync::atomic::{AtomicBool, Ordering};

/// The allocator of a test binary that counts; see [`count_allocations!`].
///
/// [`count_allocations!`]: crate::count_allocations
#[derive(Debug, Default, Clone, Copy)]
pub struct Counting;

/// Installs the allocator that counts, in a test binary.
#[macro_export]
macro_rules! count_allocations {
    () => {
        #[global_allocator]
        static COUNTING_ALLOCATOR: $crate::allocations::Counting = $crate::allocations::Counting;
    };
}

/// What was allocated.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Allocations {
    /// How often the guest allocated, or had a block grow.
    pub count: u64,
    /// How many bytes it asked for.
    pub bytes: u64,
    /// How often the host had the guest allocate room for an answer.
    pub answers: u64,
    /// How many bytes those answers had.
    pub answer_bytes: u64,
}

impl AddAssign for Allocations {
    fn add_assign(&mut self, other: Self) {
        self.count += other.count;
        self.bytes += other.bytes;
        self.answers += other.answers;
        self.answer_bytes += other.answer_bytes;
    }
}

impl Sub for Allocations {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            count: self.count - earlier.count,
            bytes: self.bytes - earlier.bytes,
            answers: self.answers - earlier.answers,
            answer_bytes: self.answer_bytes - earlier.answer_bytes,
        }
    }
}

impl fmt::Display for Allocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} bytes by the guest, {} of {} bytes for answers",
            self.count, self.bytes, self.answers, self.answer_bytes
        )
    }
}

/// Whether this binary counts.
pub fn are_counted() -> bool {
    INSTALLED.load(Ordering::Relaxed)
}

#[derive(Clone, Copy)]
enum By {
    Host,
    Guest,
    Answer,
}

static INSTALLED: AtomicBool = AtomicBool::new(false);

thread_local! {
    // Without destructors and initialised at compile time: an allocator may
    // look at these at any moment of a thread's life.
    static BY: Cell<By> = const { Cell::new(By::Host) };
    static TOTAL: Cell<Allocations> = const {
        Cell::new(Allocations { count: 0, bytes: 0, answers: 0, answer_bytes: 0 })
    };
}

fn note(bytes: usize) {
    INSTALLED.store(true, Ordering::Relaxed);
    let bytes = bytes as u64;
    let mut total = TOTAL.get();
    match BY.get() {
        By::Host => return,
        By::Guest => {
            total.count += 1;
            total.bytes += bytes;
        }
        By::Answer => {
            total.answers += 1;
            total.answer_bytes += bytes;
        }
    }
    TOTAL.set(total);
}

// SAFETY: every call goes on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size.saturating_sub(layout.size()));
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }
}

/// Everything counted on this thread so far.
pub(crate) fn total() -> Allocations {
    TOTAL.get()
}

/// Whose allocations they are, until dropped.
pub(crate) struct Scope(By);

impl Drop for Scope {
    fn drop(&mut self) {
        BY.set(self.0);
    }
}

pub(crate) fn by_guest() -> Scope {
    Scope(BY.replace(By::Guest))
}

pub(crate) fn by_host() -> Scope {
    Scope(BY.replace(By::Host))
}

pub(crate) fn for_answer() -> Scope {
    Scope(BY.replace(By::Answer))
}
