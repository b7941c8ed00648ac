//! The harness with a Wasm module in the way.

mod support;

use anyhow::Result;
use legation_tests::{
    Client, Config, DEADLINE, Envoy, Request, Stage, Verdict, check_configuration, wait_for,
    wasm_filter,
};
use serde_json::json;
use support::write_stub;

fn stub(configuration: &str) -> Result<(tempfile::TempDir, Config)> {
    let folder = tempfile::tempdir()?;
    let path = write_stub(folder.path(), "stub")?;
    let config = Config::with_filter("stub", configuration)?.module("stub", &path);
    Ok((folder, config))
}

#[test]
fn a_configuration_arrives_at_the_module_byte_for_byte() -> Result<()> {
    let text = "{ \"b\": 1,\t\"a\": [1.0, 1e3],  \"u\": \"é\u{ff}\u{1F600}\" } ";
    let (_folder, config) = stub(text)?;

    let envoy = Envoy::start(&config)?;

    assert!(
        envoy.module_log().iter().any(|line| line == text),
        "{}",
        envoy.log()
    );
    Ok(())
}

#[test]
fn a_struct_arrives_as_a_protobuf_message_and_not_as_json() -> Result<()> {
    let (_folder, config) = stub("")?;
    let config = config.struct_configuration("stub", json!({"a": true}));

    let envoy = Envoy::start(&config)?;

    // Struct.fields is a map of strings to Values; bool_value is the fourth of their kinds.
    let message = "\n\u{7}\n\u{1}a\u{12}\u{2} \u{1}";
    let log = envoy.log();
    assert!(log.contains(message), "{}", log.escape_debug());
    assert!(!log.contains('{'), "{log}");
    Ok(())
}

#[test]
fn a_refused_configuration_stops_envoy_and_tells_the_modules_errors() -> Result<()> {
    let (_folder, config) = stub("!")?;

    for error in [
        Envoy::start(&config).unwrap_err(),
        Envoy::validate(&config).unwrap_err(),
    ] {
        assert_eq!(error.module_errors(), expected_errors(), "{error}");
    }
    Ok(())
}

#[test]
fn checking_a_configuration_gives_the_modules_own_errors() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let module = write_stub(folder.path(), "stub")?;

    let bad = check_configuration(&module, "!")?;
    let good = check_configuration(&module, "{}")?;

    assert_eq!(
        bad,
        Verdict {
            accepted: false,
            errors: expected_errors(),
        }
    );
    assert!(good.accepted);
    Ok(())
}

#[test]
fn a_file_that_is_no_module_is_an_error_and_no_verdict() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let module = folder.path().join("text.wasm");
    std::fs::write(&module, "no module")?;

    let error = check_configuration(&module, "{}").unwrap_err().to_string();

    assert!(error.contains("text.wasm"), "{error}");
    Ok(())
}

#[test]
fn a_module_that_traps_costs_one_request_under_fail_reload() -> Result<()> {
    let (_folder, config) = stub("{}")?;
    let stage = Stage::start(&config.header_limits(200, 60))?;
    assert_eq!(stage.send(Request::get("/"))?.status, 200);

    let many = (0..30).map(|number| (format!("x-{number}"), "v"));
    let trapped = stage.send(Request::get("/").headers(many))?;

    assert_eq!(trapped.status, 503);
    wait_for("an answer after the reload", DEADLINE, || {
        Ok((stage.send(Request::get("/"))?.status == 200).then_some(()))
    })
}

#[test]
fn chains_run_side_by_side_in_one_envoy() -> Result<()> {
    let (_folder, config) = stub("{}")?;
    let stage = Stage::start(
        &config
            .header_limits(200, 60)
            .add_chain("without", &[])
            .add_chain("with", &[wasm_filter("stub", json!({}))]),
    )?;
    let many = (0..30).map(|number| (format!("x-{number}"), "v"));
    let many = Request::get("/").headers(many);

    for (chain, status) in [("without", 200), ("with", 503)] {
        let client = Client::http1(stage.envoy().listener(chain)?);
        assert_eq!(client.send(many.clone())?.status, status, "{chain}");
        let counted = stage
            .admin()
            .stat(&format!("http.{chain}.downstream_rq_total"))?;
        assert_eq!(counted, Some(1), "{chain}");
    }
    Ok(())
}

#[test]
fn those_that_share_an_envoy_have_their_own_listeners_clusters_and_logs() -> Result<()> {
    let (_folder, config) = stub("{ \"one\":  1 }")?;
    let one = Stage::start(&config.shared())?;
    let (_folder, config) = stub(r#"{"cluster": "upstream", "cluster_name": "else"}"#)?;
    let two = Stage::start(&config.concurrency(1).shared())?;

    assert_eq!(one.envoy().pid(), two.envoy().pid());
    for stage in [&one, &two] {
        assert_eq!(stage.exchange(Request::get("/"))?.response.status, 200);
        assert_eq!(stage.upstream().count(), 1);
    }
    // What has none of the clusters in it comes byte for byte.
    let log = one.envoy().module_log();
    assert!(log.iter().any(|line| line == "{ \"one\":  1 }"), "{log:?}");
    let log = two.envoy().module_log();
    assert!(!log.iter().any(|line| line.contains("one")), "{log:?}");
    let own = r#"{"cluster":"upstream.2","cluster_name":"else"}"#;
    assert!(log.iter().any(|line| line == own), "{log:?}");

    // Others have another Envoy.
    let (_folder, config) = stub("")?;
    let other = Stage::start(&config.concurrency(2).shared())?;
    assert_ne!(one.envoy().pid(), other.envoy().pid());

    // What is refused is told, and harms none of them.
    let (_folder, config) = stub("!")?;
    let refused = Stage::start(&config.shared())
        .expect_err("refused")
        .to_string();
    assert!(
        refused.contains("does not take this configuration"),
        "{refused}"
    );
    assert!(refused.contains(&expected_errors()[0]), "{refused}");
    let (_folder, config) = stub("")?;
    let next = Stage::start(&config.shared())?;
    assert_eq!(next.envoy().pid(), one.envoy().pid());
    for stage in [&one, &two, &next] {
        assert_eq!(stage.send(Request::get("/"))?.status, 200);
    }
    Ok(())
}

fn expected_errors() -> Vec<String> {
    vec![
        "rules[0].when.pth: unknown field; did you mean `path`?".to_owned(),
        "rules[1]: two lines\nof one error".to_owned(),
    ]
}
