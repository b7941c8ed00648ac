//! The scenarios of `tests/scenarios`, on the mock host.

legation_testing::scenarios!(suite::Suite, "tests/scenarios");
