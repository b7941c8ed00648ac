//! The scenarios, on the mock host. Envoy runs the same files.

legation_testing::scenarios!(oauth2::OAuth2, "tests/scenarios");
