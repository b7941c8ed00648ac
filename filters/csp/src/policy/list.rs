use std::fmt;

use super::Policy;
use super::finding::Finding;

/// The policies of a response: all of them apply (section 2.2.2).
///
/// `Display` writes them with commas between, as one header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyList {
    policies: Vec<Policy>,
}

impl PolicyList {
    /// Reads the value of a `Content-Security-Policy` header as a browser does. A policy without
    /// directives is none.
    pub fn parse(text: &str) -> (Self, Vec<Finding>) {
        let mut list = Self::default();
        let mut findings = Vec::new();
        for text in text.split(',') {
            let (policy, found) = Policy::parse(text);
            findings.extend(found);
            list.push(policy);
        }
        (list, findings)
    }

    /// Adds a policy, unless it has no directive.
    pub fn push(&mut self, policy: Policy) {
        if !policy.is_empty() {
            self.policies.push(policy);
        }
    }

    /// The policies, in their order.
    pub fn policies(&self) -> &[Policy] {
        &self.policies
    }
}

impl fmt::Display for PolicyList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, policy) in self.policies.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            fmt::Display::fmt(policy, f)?;
        }
        Ok(())
    }
}
