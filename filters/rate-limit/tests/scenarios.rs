//! The scenarios, on the mock host. Envoy runs the same files.

legation_testing::scenarios!(rate_limit::RateLimit, "tests/scenarios");
