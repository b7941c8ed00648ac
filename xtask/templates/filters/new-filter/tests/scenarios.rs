//! The scenarios, on the mock host. Envoy runs the same files.

legation_testing::scenarios!(new_filter::NewFilter, "tests/scenarios");
