//! [`csp`] as a module for configurations that write headers only: no page is rewritten, and
//! no report taken in.

legation::register!(csp::CspHeader);
