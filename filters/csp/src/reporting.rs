//! Where reports go.

use legation::http::HeaderValue;

use crate::config::{COLLECTOR, Config};
use crate::policy::{Directive, Name, Policy};

/// What policies are added to have reports sent, and what `report-to` means in them.
pub(crate) struct Reporting {
    /// The directives of the collector here, for policies without any of their own.
    collector: Vec<Directive>,
    endpoints: Option<HeaderValue>,
}

impl Reporting {
    pub(crate) fn of(config: &Config) -> Self {
        let mut endpoints = String::new();
        let mut add = |name: &str, url: &str| {
            let separator = if endpoints.is_empty() { "" } else { ", " };
            // Neither holds a quotation mark.
            endpoints.extend([separator, name, "=\"", url, "\""]);
        };
        for (name, url) in &config.reporting_endpoints {
            add(name.as_str(), url.as_str());
        }
        let mut collector = Vec::new();
        if let Some(given) = &config.collector.0 {
            let path = given.path.as_str();
            add(COLLECTOR, path);
            collector.extend(Directive::new("report-uri", &[path]).ok());
            collector.extend(Directive::new("report-to", &[COLLECTOR]).ok());
        }
        Self {
            collector,
            endpoints: HeaderValue::from_str(&endpoints)
                .ok()
                .filter(|value| !value.is_empty()),
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
