//! The schema of the configuration. `cargo xtask schema` writes it.

legation_testing::schema!(suite::Suite, "suite");
