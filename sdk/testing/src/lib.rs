//! The native mock host, and scenarios.
