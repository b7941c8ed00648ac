// The module that Envoy provides to a filter, for tests that run under Node:
// every host call is there, and answers "unimplemented" (12). Tests of pure logic
// link the host calls but make none.
module.exports = new Proxy({}, { get: () => () => 12 });
