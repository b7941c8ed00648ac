//! Where reports go.

use legation::http::HeaderValue;

use crate::config::Config;
use crate::policy::{Directive, Name, Policy};

/// What policies are added to have reports sent, and what `report-to` means in them.
pub(crate) struct Reporting {
    /// For policies that say nothing of their own. Not `report-to`: browsers that know it take
    /// it in the place of `report-uri`, and then send nothing from pages without TLS.
    collector: Option<Directive>,
    endpoints: Option<HeaderValue>,
}

impl Reporting {
    pub(crate) fn of(config: &Config) -> Self {
        let mut endpoints = String::new();
        for (name, url) in &config.reporting_endpoints {
            let separator = if endpoints.is_empty() { "" } else { ", " };
            // Neither holds a quotation mark.
            endpoints.extend([separator, name.as_str(), "=\"", url.as_str(), "\""]);
        }
        let value = HeaderValue::from_str(&endpoints).ok();
        let collector = config.collector.0.as_ref();
        Self {
            collector: collector.and_then(|collector| {
                Directive::new("report-uri", &[collector.path.as_str()]).ok()
            }),
            endpoints: value.filter(|value| !value.is_empty()),
        }
    }

    /// A policy that has its violations reported, if there is a collector.
    pub(crate) fn added_to(&self, policy: Policy) -> Policy {
        let has_own = [Name::ReportUri, Name::ReportTo]
            .iter()
            .any(|name| policy.get(name).is_some());
        if has_own {
            return policy;
        }
        let own = policy.directives().iter();
        let all = own.chain(&self.collector).cloned().collect();
        Policy::new(all).unwrap_or(policy)
    }

    /// `Reporting-Endpoints`
    pub(crate) fn endpoints(&self) -> Option<HeaderValue> {
        self.endpoints.clone()
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn reporting(json: &str) -> Reporting {
        let json = format!(r#"{{"rules":[{{"preset":"api"}}],{json}}}"#);
        Reporting::of(&legation::config::parse(json.as_bytes()).unwrap())
    }

    fn added(reporting: &Reporting, policy: &str) -> String {
        reporting.added_to(Policy::parse(policy).0).to_string()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_policy_that_says_nothing_of_reports_has_them_sent_to_the_collector() {
        let none = reporting(r#""lint":"off""#);
        assert_eq!(added(&none, "img-src *"), "img-src *");
        let some = reporting(r#""collector":{"path":"/r"}"#);
        for (policy, expected) in [
            ("img-src *", "img-src *; report-uri /r"),
            ("img-src *; report-uri /own", "img-src *; report-uri /own"),
            ("img-src *; report-to own", "img-src *; report-to own"),
        ] {
            assert_eq!(added(&some, policy), expected);
        }
    }

    /// A dictionary of RFC 9651.
    #[wasm_bindgen_test(unsupported = test)]
    fn endpoints_are_a_dictionary_in_their_order() {
        let endpoints =
            reporting(r#""reporting_endpoints":{"b":"/r","a":"https://a.example/?x=1"}"#);
        let value = endpoints.endpoints().unwrap();
        assert_eq!(value, r#"b="/r", a="https://a.example/?x=1""#);
        assert_eq!(reporting(r#""lint":"off""#).endpoints(), None);
    }
}
