//! The schema of the configuration. `cargo xtask schema` writes it.

legation_testing::schema!(oauth2::OAuth2, "oauth2");
