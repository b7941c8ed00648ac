//! Authenticates requests by JSON Web Tokens and by opaque ones.
