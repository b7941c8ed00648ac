//! Attribute macros of the SDK.
