//! The schema of the configuration. `cargo xtask schema` writes it.

legation_testing::schema!(csp::Csp, "csp");

mod header {
    legation_testing::schema!(csp::CspHeader, "csp-header");
}
