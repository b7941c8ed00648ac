//! Configurations that are wrong.

use anyhow::Result;
use legation_tests::{Config, Envoy};
use serde_json::json;

use super::{FILTER, modules, with};

#[test]
fn five_mistakes_are_refused_with_five_errors() -> Result<()> {
    let config = r#"{
  "mode": "enforced",
  "rules": [
    {"when": {"path": {"prefx": "/"}}, "request": {"set": {"x-a": "1"}}},
    {"request": {"set": {":path": "/"}, "append": {"x-b": "%REQ(x-c%"}}},
    {"request": {"rename": {"x-a": "x-a"}}}
  ]
}"#;
    for module in modules()? {
        let config = Config::with_filter(FILTER, config)?.module(FILTER, &module);

        let refused = Envoy::start(&config).expect_err("a wrong configuration");

        let errors = refused.module_errors();
        assert_eq!(errors.len(), 5, "{errors:#?}");
        for (path, position) in [
            ("mode: ", "(line 2"),
            ("rules[0].when.path.prefx: ", "(line 4"),
            ("rules[1].request.set.:path: ", "(line 5"),
            ("rules[1].request.append.x-b: ", "(line 5"),
            ("rules[2].request.rename.x-a: ", "(line 6"),
        ] {
            let found = errors
                .iter()
                .any(|error| error.contains(path) && error.contains(position));
            assert!(found, "{path} {position} in {errors:#?}");
        }
    }
    Ok(())
}

#[test]
fn an_environment_variable_that_is_not_set_is_told() -> Result<()> {
    let config = with(&json!({"rules": [{"request": {"set": {"x-a": "%ENVIRONMENT(POD)%"}}}]}))?;

    let refused = Envoy::start(&config).expect_err("a variable that is not set");

    let errors = refused.module_errors();
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert!(
        errors[0].contains("rules[0].request.set.x-a: "),
        "{errors:#?}"
    );
    assert!(errors[0].contains(r#"\"POD\" is not set"#), "{errors:#?}");
    Ok(())
}
