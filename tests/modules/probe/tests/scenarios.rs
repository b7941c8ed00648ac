//! What the SDK does, shown on the mock host. The same files run in Envoy among
//! the end-to-end tests: where the two disagree, the mock host is wrong.

legation_testing::scenarios!(probe::Probe, "tests/scenarios");
