//! The schema of the configuration. `cargo xtask schema` writes it.

legation_testing::schema!(new_filter::NewFilter, "new-filter");
