//! What browsers report.

use serde_json::Value;

use crate::policy::Name;

/// More of a URL or a sample is neither logged nor kept.
const LONGEST_TEXT: usize = 256;

/// A violation of a policy, without what may be somebody's secret: of URLs neither user, query
/// nor fragment is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) directive: Name,
    pub(crate) is_enforced: bool,
    /// A URL, or a word such as `inline` or `eval`.
    pub(crate) blocked: String,
    pub(crate) document: String,
    /// The beginning of the script or style, where the policy has `'report-sample'`.
    pub(crate) sample: String,
}

/// Reads a body: `application/csp-report` (CSP2) or `application/reports+json` (Reporting API).
/// `None` where it is neither. Reports of other types are left out.
pub(crate) fn read(body: &[u8]) -> Option<Vec<Report>> {
    match serde_json::from_slice(body).ok()? {
        Value::Object(document) => {
            let report = document.get("csp-report")?.as_object()?;
            let text = |name: &str| report.get(name).and_then(Value::as_str);
            let directive = text("effective-directive").or_else(|| text("violated-directive"))?;
            Some(vec![Report::new(
                directive,
                text("disposition"),
                text("blocked-uri"),
                text("document-uri"),
                text("script-sample"),
            )])
        }
        Value::Array(reports) => Some(reports.iter().filter_map(of_reporting_api).collect()),
        _ => None,
    }
}

/// The Reporting API's form of one (CSP3, section 5.5).
fn of_reporting_api(report: &Value) -> Option<Report> {
    if report.get("type")?.as_str()? != "csp-violation" {
        return None;
    }
    let body = report.get("body")?.as_object()?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    Some(Report::new(
        text("effectiveDirective")?,
        text("disposition"),
        text("blockedURL"),
        text("documentURL"),
        text("sample"),
    ))
}

impl Report {
    fn new(
        directive: &str,
        disposition: Option<&str>,
        blocked: Option<&str>,
        document: Option<&str>,
        sample: Option<&str>,
    ) -> Self {
        // CSP2's `violated-directive` has the directive's values too.
        let name = directive
            .split_ascii_whitespace()
            .next()
            .unwrap_or_default();
        Self {
            directive: Name::parse(cut(name)),
            is_enforced: disposition != Some("report"),
            blocked: plain_url(blocked.unwrap_or_default()),
            document: plain_url(document.unwrap_or_default()),
            sample: cut(sample.unwrap_or_default()).to_owned(),
        }
    }

    /// The directive for counters: a name that clients choose is none.
    pub(crate) fn counted_directive(&self) -> &str {
        match &self.directive {
            Name::Unknown(_) => "other",
            known => known.as_str(),
        }
    }
}

/// A URL without user, query and fragment; other texts as they are.
fn plain_url(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let url = url.get(..end).unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else {
        // `data:` and `blob:` hold what they name.
        let end = url
            .find(':')
            .map_or(url.len(), |colon| colon.saturating_add(1));
        return cut(url.get(..end).unwrap_or_default()).to_owned();
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    cut(&format!("{scheme}://{host}{path}")).to_owned()
}

/// The text up to a length that a log line bears.
fn cut(text: &str) -> &str {
    let end = text.floor_char_boundary(LONGEST_TEXT);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn both_forms_are_read() {
        let old = br#"{"csp-report":{"document-uri":"https://u:p@shop.example/cart?token=1#x","violated-directive":"script-src-elem 'self'","blocked-uri":"https://evil.example/x.js?y","disposition":"report"}}"#;
        let new = br#"[{"type":"deprecation","body":{}},{"type":"csp-violation","age":1,"url":"https://shop.example/","body":{"effectiveDirective":"script-src-elem","blockedURL":"https://evil.example/x.js#y","documentURL":"https://shop.example/cart?a","disposition":"report"}}]"#;
        let expected = Report {
            directive: Name::ScriptSrcElem,
            is_enforced: false,
            blocked: "https://evil.example/x.js".to_owned(),
            document: "https://shop.example/cart".to_owned(),
            sample: String::new(),
        };
        assert_eq!(read(old), Some(vec![expected.clone()]));
        assert_eq!(read(new), Some(vec![expected]));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_no_report_is_none() {
        for body in [
            "",
            "null",
            "1",
            "{}",
            r#"{"csp-report":1}"#,
            r#"{"csp-report":{}}"#,
            "[",
            "\u{0}",
        ] {
            assert_eq!(read(body.as_bytes()), None, "{body}");
        }
        for body in [
            "[]",
            "[1]",
            r#"[{"type":"csp-violation"}]"#,
            r#"[{"type":"csp-violation","body":{}}]"#,
        ] {
            assert_eq!(read(body.as_bytes()), Some(vec![]), "{body}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn of_urls_only_what_is_no_secret_is_kept() {
        for (url, kept) in [
            ("inline", "inline"),
            ("data:text/html,secret", "data:"),
            ("blob:https://a.example/1", "blob:https://a.example/1"),
            ("https://a.example", "https://a.example"),
            ("https://u@a.example:8443/b?c", "https://a.example:8443/b"),
            ("https://a.example?secret@b", "https://a.example"),
        ] {
            assert_eq!(plain_url(url), kept);
        }
        let long = format!("https://a.example/{}", "ä".repeat(1_000));
        assert!(plain_url(&long).len() <= LONGEST_TEXT);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn names_that_clients_choose_make_no_counters() {
        let body = br#"{"csp-report":{"effective-directive":"made-up-17"}}"#;
        let reports = read(body).unwrap_or_default();
        assert_eq!(
            reports.first().map(Report::counted_directive),
            Some("other")
        );
    }
}
