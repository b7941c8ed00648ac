//! Configurations that are wrong.

use anyhow::Result;
use legation_tests::{Config, Envoy, module_dir};
use serde_json::json;

use super::{FILTER, HEADER_FILTER};

#[test]
fn mistakes_are_refused_each_at_its_place() -> Result<()> {
    let config = r#"{
  "rules": [
    {"policy": "script-source 'self'"},
    {"when": {"path": {"prefix": "/b"}}, "policy": {"script-src": ["self"]}},
    {"when": {"path": {"prefix": "/c"}}, "policy": "script-src 'nonce-{nonce}'"},
    {"when": {"path": {"prefix": "/d"}}, "security_headers": {"x_frame_option": "DENY"}},
    {"when": {"path": {"prefix": "/e"}}, "security_headers": {"strict_transport_security": "max-age=1; preload"}},
    {"when": {"path": {"prefix": "/f"}}, "disabled": true, "preset": "strict"}
  ]
}"#;
    let refused = Envoy::start(&Config::with_filter(FILTER, config)?).expect_err("mistakes");
    let errors = refused.module_errors();
    for (path, position) in [
        ("rules[0].policy: ", "(line 3"),
        ("rules[1].policy.script-src: ", "(line 4"),
        ("rules[2].policy: ", "(line 5"),
        ("rules[3].security_headers.x_frame_option: ", "(line 6"),
        (
            "rules[4].security_headers.strict_transport_security: ",
            "(line 7",
        ),
        ("rules[5]: ", "(line 8"),
    ] {
        let found = errors
            .iter()
            .any(|error| error.contains(path) && error.contains(position));
        assert!(found, "{path} {position} in {errors:#?}");
    }
    Ok(())
}

#[test]
fn a_selector_that_trusts_everything_is_refused() -> Result<()> {
    let config = json!({"rules": [{"preset": "strict", "nonce": {
        "placeholder": "short",
        "elements": ["script", "script:nth-child(2)", "script[data-ours=\"8f3b1c\"]", "[["]
    }}]});
    let refused = Envoy::start(&Config::with_filter(FILTER, config)?).expect_err("too wide");
    let errors = refused.module_errors();
    assert_eq!(errors.len(), 4, "{errors:#?}");
    for at in ["placeholder", "elements[0]", "elements[1]", "elements[3]"] {
        let path = format!("rules[0].nonce.{at}: ");
        assert!(
            errors.iter().any(|error| error.contains(&path)),
            "{path} in {errors:#?}"
        );
    }
    Ok(())
}

#[test]
fn the_module_for_headers_says_what_it_cannot_do() -> Result<()> {
    let config = Config::with_filter(
        FILTER,
        json!({
            "rules": [{"preset": "strict", "nonce": {"placeholder": "{{nonce-of-this-page}}"}}],
            "collector": {"path": "/reports"}
        }),
    )?;
    let config = config.module(FILTER, &module_dir()?.join(format!("{HEADER_FILTER}.wasm")));
    let refused = Envoy::start(&config).expect_err("more than headers");
    let errors = refused.module_errors();
    assert_eq!(errors.len(), 2, "{errors:#?}");
    assert!(
        errors
            .iter()
            .all(|error| error.contains("load csp.wasm in its place")),
        "{errors:#?}"
    );
    Ok(())
}
