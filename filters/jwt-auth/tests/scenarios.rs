//! The scenarios, on the mock host. Envoy runs the same files.

legation_testing::scenarios!(jwt_auth::JwtAuth, "tests/scenarios");
