//! The scenarios, on the mock host. Envoy runs the same files.

legation_testing::scenarios!(body_guard::BodyGuard, "tests/scenarios");
