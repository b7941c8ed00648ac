//! [`header_tag`] as a module for configurations that change trailers too. Envoy enters it at
//! trailers and at the end of every stream, which those who change none need not pay for.

legation::register!(header_tag::TrailersTag);
