//! The filter of the book's tutorial (docs/src/writing-a-filter.md), which is called `key-check` there. The book shows these
//! files word for word but for the name; a test of the book compares them.

pub mod config;
mod filter;

pub use filter::Tutorial;

#[cfg(feature = "module")]
legation::register!(Tutorial);
