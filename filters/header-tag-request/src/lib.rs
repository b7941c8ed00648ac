//! [`header_tag`] as a module for configurations that change requests only.
//! Envoy does not enter it at responses, which saves a request about 0.2 µs.

legation::register!(header_tag::RequestTag);
