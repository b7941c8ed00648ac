//! The filter for limits of this Envoy of which clients are told only by refusals: Envoy
//! enters it when a request comes, and not again.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{ConfigErrors, Problem, Schema};
use legation::{Configure, Flow, HttpFilter, RequestHeaders, Result};

use crate::config::{Config, Limit};
use crate::descriptor::Descriptors;
use crate::filter::RateLimit;
use crate::limiter::{Found, Limiter};
use crate::now::Now;

/// [`RateLimit`] without what comes after the request.
pub struct LocalRateLimit(Limiter);

/// A [`Config`] of which nothing comes after the request.
#[derive(Debug, Clone, Schema)]
#[schema(as = Config, {
    "allOf": [{
        "properties": {
            "rate_limit_service": false,
            "enable_x_ratelimit_headers": { "const": "OFF" },
            "enable_ratelimit_headers": { "const": "OFF" },
            "concurrency": false,
            "descriptors": { "items": { "properties": { "concurrency": false } } },
        },
    }],
})]
pub struct LocalConfig(pub Config);

impl Deserr<ConfigErrors> for LocalConfig {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let config = Config::deserialize_from_value(value, location)?;
        let mut errors = None;
        let mut refuse = |at: ValuePointerRef<'_>, problem: &str| {
            let problem = Problem::new(problem).help("load rate-limit.wasm in its place");
            ConfigErrors::add(&mut errors, ConfigErrors::at(at, problem));
        };
        if config.service.is_some() {
            let at = location.push_key("rate_limit_service");
            refuse(at, "this module asks no service");
        }
        for (is_on, field) in [
            (
                config.reply.x_ratelimit_headers,
                "enable_x_ratelimit_headers",
            ),
            (config.reply.ratelimit_headers, "enable_ratelimit_headers"),
        ] {
            if is_on {
                let at = location.push_key(field);
                refuse(at, "this module adds no headers to responses");
            }
        }
        let not_held = "`concurrency` lasts until a request ends, which this module does not see";
        let is_held = |limit: &Limit| matches!(limit, Limit::Concurrency(_));
        if config.default_limits.iter().any(is_held) {
            refuse(location, not_held);
        }
        let list = location.push_key("descriptors");
        for (index, descriptor) in config.descriptors.iter().enumerate() {
            if descriptor.limits.iter().any(is_held) {
                refuse(list.push_index(index), not_held);
            }
        }
        ConfigErrors::check(errors, Self(config))
    }
}

#[legation::filter]
impl HttpFilter for LocalRateLimit {
    const NAME: &'static str = RateLimit::NAME;
    type Config = LocalConfig;
    type Stream = ();

    fn configure(config: LocalConfig, host: &mut Configure) -> Result<Self, ConfigErrors> {
        Limiter::new(config.0, host).map(Self)
    }

    fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        let (mut descriptors, mut found) = (Descriptors::default(), Found::default());
        let now = Now::default();
        let decided = self.0.decide(request, &mut descriptors, &mut found, &now)?;
        Ok(decided.unwrap_or(Flow::Continue))
    }

    fn on_tick(&self) {
        self.0.flush();
    }
}

#[cfg(test)]
mod tests {
    use legation::config;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    /// What is said of a configuration.
    fn errors(json: &str) -> Vec<String> {
        match config::parse::<LocalConfig>(json.as_bytes()) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.iter().map(ToString::to_string).collect(),
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_needs_more_than_the_request_says_which_module_has_it() {
        let ends = "`concurrency` lasts until a request ends, which this module does not see";
        let all = &format!("configuration: {ends}");
        let adds = "this module adds no headers to responses";
        let bucket = r#""token_bucket":{"max_tokens":1,"fill_interval":"1s"}"#;
        let limited = r#""rate_limits":[{"actions":[{"method":{}}]}]"#;
        let entries = r#""entries":[{"key":"method"#;
        for (json, expected) in [
            (
                format!(
                    r#"{{"rate_limit_service":{{"domain":"a","grpc_service":{{"envoy_grpc":{{"cluster_name":"b"}}}}}},{limited}}}"#
                ),
                &["rate_limit_service: this module asks no service"][..],
            ),
            (
                format!(r#"{{"enable_x_ratelimit_headers":"DRAFT_VERSION_03",{bucket}}}"#),
                &[&format!("enable_x_ratelimit_headers: {adds}")],
            ),
            (
                format!(r#"{{"enable_ratelimit_headers":"DRAFT_VERSION_10",{bucket}}}"#),
                &[&format!("enable_ratelimit_headers: {adds}")],
            ),
            (r#"{"concurrency":{"max":1}}"#.to_owned(), &[all]),
            (
                r#"{"limits":[{"concurrency":{"max":1}}]}"#.to_owned(),
                &[all],
            ),
            (
                format!(
                    r#"{{{limited},"descriptors":[{{{entries}","value":"A"}}],{bucket}}},{{{entries}"}}],"concurrency":{{"max":1}}}}]}}"#
                ),
                &[&format!("descriptors[1]: {ends}")],
            ),
        ] {
            let expected = expected.iter();
            let expected: Vec<_> = expected
                .map(|line| format!("{line}; load rate-limit.wasm in its place"))
                .collect();
            assert_eq!(errors(&json), expected, "{json}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_needs_the_request_alone_is_taken() {
        for json in [
            r#"{"token_bucket":{"max_tokens":1,"fill_interval":"1s"},"enable_x_ratelimit_headers":"OFF","enable_ratelimit_headers":"OFF"}"#,
            r#"{"limits":[{"sliding_window":{"requests":1,"window":"1s"}},{"fixed_window":{"requests":1,"window":"1s"}}],"lease":{"size":1,"max_age":"1s"},"response_headers_to_add":[{"header":{"key":"a","value":"b"}}]}"#,
        ] {
            assert_eq!(errors(json), Vec::<String>::new(), "{json}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn other_mistakes_are_told_as_the_filter_tells_them() {
        assert_eq!(
            errors("{}"),
            [
                "configuration: nothing is limited; give a limit for all requests (`token_bucket`, …), or `descriptors` with theirs, or a `rate_limit_service`"
            ]
        );
    }
}
