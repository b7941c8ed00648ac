//! A Content Security Policy: Level 3 of the W3C's.
