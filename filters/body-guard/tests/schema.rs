//! The schema of the configuration. `cargo xtask schema` writes it.

legation_testing::schema!(body_guard::BodyGuard, "body-guard");
