//! [`rate_limit`] as a module for limits of this Envoy alone, of which clients are told only
//! by refusals. Envoy enters it once a request, and at the end of none.

legation::register!(rate_limit::LocalRateLimit);
