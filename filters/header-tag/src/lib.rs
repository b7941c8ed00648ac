//! Tags requests and responses.
