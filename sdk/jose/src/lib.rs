//! JSON Web Tokens inside Envoy.
