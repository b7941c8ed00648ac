//! State that other filters and the access log can read.
