//! The scenarios, on the mock host. Envoy runs the same files.

legation_testing::scenarios!(header_tag::TrailersTag, "tests/scenarios");
