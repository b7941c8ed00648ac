//! The schema of the configuration. `cargo xtask schema` writes it.

legation_testing::schema!(rate_limit::RateLimit, "rate-limit");

mod local {
    legation_testing::schema!(rate_limit::LocalRateLimit, "rate-limit-local");
}
