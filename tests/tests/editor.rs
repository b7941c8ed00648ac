//! What an editor shows of a configuration, by the schemas of `envoy-config/schemas/`.
//!
//! Where the machine has no Node.js the tests are skipped, which is told.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use legation_tests::editor::{CURSOR, Editor, Problem};
use legation_tests::npm::NEED;
use legation_tests::trials::{Test, Trials};
use legation_tests::{envoy_config_dir, read_yaml, workspace_root};
use serde_json::Value;

const TESTS: &[Test] = &[
    (
        "a configuration in a file of its own is that of the shipped Envoy file",
        are_the_shipped_ones,
    ),
    (
        "every schema has a configuration that ships, and the schema is one to an editor",
        every_schema_is_tried,
    ),
];

const IN_EDITOR: &[Test] = &[
    (
        "what ships and what the READMEs show has no problem",
        what_ships_is_fine,
    ),
    (
        "what the README shows for editors works where it says so",
        as_the_readme_says,
    ),
    (
        "a misspelt option is underlined, by every schema",
        misspelt_options,
    ),
    (
        "wrong types and values are underlined where they stand",
        wrong_values,
    ),
    (
        "options are offered at the top, each with what the schema says of it",
        offers_at_the_top,
    ),
    (
        "options and values are offered where they may stand",
        offers_inside,
    ),
    (
        "that options may be fetched is offered where they may",
        offers_where_options_come_from,
    ),
    ("an option under the pointer is explained", explains),
];

fn main() {
    Trials::new()
        .with(TESTS)
        .with_needing(&NEED, IN_EDITOR)
        .run()
}

/// The line by which an editor knows the schema, for a file in the workspace's root.
fn with_schema(name: &str, text: &str) -> String {
    format!("# yaml-language-server: $schema=envoy-config/schemas/{name}.schema.json\n{text}")
}

fn editor() -> Result<Editor> {
    Editor::open(workspace_root())
}

/// The files of a folder in `envoy-config/`, by what stands before `suffix` in their names.
fn files(folder: &str, suffix: &str) -> Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(envoy_config_dir().join(folder))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(stem) = name.and_then(|name| name.strip_suffix(suffix)) {
            files.push((stem.to_owned(), path.clone()));
        }
    }
    files.sort();
    ensure!(!files.is_empty(), "nothing in {folder}");
    Ok(files)
}

/// The module and the configuration of the filter in a shipped file of `envoy-config/filters/`.
fn shipped(path: &Path) -> Result<(String, String)> {
    let file = read_yaml(path)?;
    let filter = &file["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
        ["http_filters"][0]["typed_config"]["config"];
    let module = filter["vm_config"]["code"]["local"]["filename"].as_str();
    let module = module
        .and_then(|file| Path::new(file).file_stem()?.to_str())
        .context("a module")?;
    let text = filter["configuration"]["value"]
        .as_str()
        .context("a configuration")?;
    Ok((module.to_owned(), text.to_owned()))
}

fn are_the_shipped_ones() -> Result<()> {
    for (name, path) in files("configurations", ".yaml")? {
        let text = fs::read_to_string(&path)?;
        let line = format!("# yaml-language-server: $schema=../schemas/{name}.schema.json\n");
        ensure!(text.starts_with(&line), "{name} does not begin with {line}");
        let envoys = envoy_config_dir().join(format!("filters/{name}.yaml"));
        let (_, shipped) = shipped(&envoys)?;
        let shipped: Value = serde_json::from_str(&shipped)?;
        assert_eq!(read_yaml(&path)?, shipped, "{name}");
    }
    // And there is one of each.
    for (name, path) in files("filters", ".yaml")? {
        let (module, _) = shipped(&path)?;
        let alone = envoy_config_dir().join(format!("configurations/{module}.yaml"));
        ensure!(alone.is_file(), "{name}: no {}", alone.display());
    }
    Ok(())
}

fn schema(name: &str) -> Result<Value> {
    let path = envoy_config_dir().join(format!("schemas/{name}.schema.json"));
    let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(serde_json::from_slice(&text)?)
}

/// A configuration that a schema is for, as it ships. Modules that are made of others for a part of what these can do
/// have none of their own.
fn sample(name: &str) -> Result<String> {
    let base = match name {
        "jwt-auth-host" => "jwt-auth",
        "rate-limit-local" => {
            return Ok("token_bucket: { max_tokens: 5, fill_interval: 1s }\n".into());
        }
        "csp-header" => return Ok("rules:\n- preset: strict\n".into()),
        "header-tag-request" => return Ok("rules:\n- request: { set: { x-a: b } }\n".into()),
        "header-tag-trailers" => {
            return Ok("rules:\n- response_trailers: { set: { x-a: b } }\n".into());
        }
        name => name,
    };
    let path = envoy_config_dir().join(format!("configurations/{base}.yaml"));
    let text = fs::read_to_string(&path).with_context(|| format!("no sample of {name}"))?;
    let (_, rest) = text.split_once('\n').context("a line")?;
    Ok(rest.to_owned())
}

fn every_schema_is_tried() -> Result<()> {
    for (name, _) in files("schemas", ".schema.json")? {
        sample(&name)?;
        let schema = schema(&name)?;
        // The newest that all editors know.
        assert_eq!(
            schema["$schema"], "http://json-schema.org/draft-07/schema#",
            "{name}"
        );
    }
    Ok(())
}

fn what_ships_is_fine() -> Result<()> {
    let mut editor = editor()?;
    let mut wrong = Vec::new();
    let mut expect_none = |name: &str, from: &Path, text: &str| -> Result<()> {
        let problems = editor.problems(name, text)?;
        if !problems.is_empty() {
            wrong.push(format!("{}:\n{text}\n{problems:#?}", from.display()));
        }
        Ok(())
    };
    for (name, path) in files("configurations", ".yaml")? {
        let text = fs::read_to_string(&path)?;
        expect_none(
            &format!("envoy-config/configurations/{name}.yaml"),
            &path,
            &text,
        )?;
    }
    // JSON is YAML: what Envoy's files have in a text may be put into a file of its own.
    for (_, path) in files("filters", ".yaml")? {
        let (module, text) = shipped(&path)?;
        expect_none("my.yaml", &path, &with_schema(&module, &text))?;
    }
    for (name, path) in files("schemas", ".schema.json")? {
        expect_none("my.yaml", &path, &with_schema(&name, &sample(&name)?))?;
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// The block of `README.md` that shows the line.
fn readme_block() -> Result<String> {
    let readme = fs::read_to_string(workspace_root().join("README.md"))?;
    let (_, rest) = readme
        .split_once("\n### In your editor\n")
        .context("a chapter on editors")?;
    let (_, block) = rest.split_once("```yaml").context("a block")?;
    let (info, block) = block.split_once('\n').context("a line")?;
    // The editor has it under that name in the workspace's root.
    ensure!(info.ends_with(" my.yaml"), "{info}");
    let (block, _) = block.split_once("```").context("an end")?;
    Ok(block.to_owned())
}

fn as_the_readme_says() -> Result<()> {
    let mut editor = editor()?;
    let block = readme_block()?;
    assert_eq!(editor.problems("my.yaml", &block)?, []);

    let misspelt = block.replace("set:", "sett:");
    let problems = editor.problems("my.yaml", &misspelt)?;
    expect(&problems, 3, "sett", "Property sett is not allowed")?;

    // In another folder there is no such file, which is told too.
    let problems = editor.problems("docs/my.yaml", &block)?;
    ensure!(
        problems
            .iter()
            .any(|problem| problem.message.contains("header-tag.schema.json")),
        "{problems:?}"
    );
    Ok(())
}

/// One problem, and where.
fn expect(problems: &[Problem], line: usize, text: &str, message: &str) -> Result<()> {
    let [problem] = problems else {
        anyhow::bail!("not one problem, at line {line}: {problems:#?}");
    };
    ensure!(
        problem.line == line && problem.text == text && problem.message.contains(message),
        "not `{message}` at `{text}` in line {line}, but {problem:#?}"
    );
    Ok(())
}

fn misspelt_options() -> Result<()> {
    let mut editor = editor()?;
    for (name, _) in files("schemas", ".schema.json")? {
        let mut text = with_schema(&name, &sample(&name)?);
        text += "no_such_option: 1\n";
        let line = text.lines().count();
        let problems = editor.problems("my.yaml", &text)?;
        let message = "Property no_such_option is not allowed";
        expect(&problems, line, "no_such_option", message).context(name)?;
    }
    Ok(())
}

fn wrong_values() -> Result<()> {
    let mut editor = editor()?;
    // The mistake is in the second line from the end.
    let table = [
        (
            "header-tag",
            "rules:\n- response:\n    removed: [server]\n",
            "removed",
            "Property removed is not allowed",
        ),
        (
            "header-tag",
            "rules:\n- disabled: maybe\n",
            "maybe",
            "Incorrect type. Expected \"boolean\"",
        ),
        (
            "jwt-auth",
            "providers:\n  a:\n    issuer: https://a.example\n    audience: [b]\n",
            "audience",
            "Property audience is not allowed",
        ),
        (
            "oauth2",
            "credentials:\n  client_id: gateway\n  cookie_domain: 7\n",
            "7",
            "Incorrect type. Expected \"string\"",
        ),
        (
            "rate-limit",
            "token_bucket: { max_tokens: 5, fill_interval: 1s }\nenable_ratelimit_headers: DRAFT_VERSION_3\n",
            "DRAFT_VERSION_3",
            "DRAFT_VERSION_10",
        ),
        (
            "rate-limit",
            "token_bucket: { fill_interval: 1s, max_tokens: many }\n",
            "many",
            "Incorrect type. Expected \"integer\"",
        ),
        (
            "csp",
            "rules:\n- preset: strickt\n",
            "strickt",
            "\"strict\"",
        ),
        (
            "csp",
            "collector:\n  path: /reports\n  max_bytes: 2097152\n",
            "2097152",
            "1048576",
        ),
        (
            "body-guard",
            "rules:\n- response:\n    redact:\n    - { preset: credit_cart }\n",
            "credit_cart",
            "credit_card",
        ),
        (
            "suite",
            "filters:\n- name: header-tag\n  config:\n    rules:\n    - { whem: {} }\n",
            "whem",
            "Property whem is not allowed",
        ),
    ];
    let mut wrong = Vec::new();
    for (schema, text, underlined, message) in table {
        let text = with_schema(schema, text);
        let line = text.lines().count();
        let problems = editor.problems("my.yaml", &text)?;
        let found = problems.iter().any(|problem| {
            problem.line == line && problem.text == underlined && problem.message.contains(message)
        });
        if !found {
            wrong.push(format!("{text}\nno `{message}`, but {problems:#?}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn said(of: &Value) -> Option<&str> {
    let markdown = of["markdownDescription"].as_str();
    markdown.or(of["description"].as_str())
}

/// What a schema says of its options, where they are not fetched.
fn options(schema: &Value) -> Vec<(&str, &str)> {
    let referred = |to: &Value| -> Option<&Value> {
        let place = to["$ref"].as_str()?;
        schema.pointer(place.trim_start_matches('#'))
    };
    let here = referred(&schema["else"]).unwrap_or(schema);
    let properties = here["properties"].as_object().into_iter().flatten();
    let described = properties.map(|(name, property)| {
        let said = said(property).or_else(|| said(referred(property)?));
        (name.as_str(), said.unwrap_or_default())
    });
    described.collect()
}

fn offers_at_the_top() -> Result<()> {
    let mut editor = editor()?;
    for (name, _) in files("schemas", ".schema.json")? {
        let schema = schema(&name)?;
        let options = options(&schema);
        ensure!(!options.is_empty(), "{name} has no options");
        let offers = editor.offers("my.yaml", &with_schema(&name, &format!("{CURSOR}\n")))?;
        for (option, said) in options {
            let offered = offers.iter().find(|offer| offer.label == option);
            let offered = offered
                .with_context(|| format!("{name}: {option} is not offered, but {offers:?}"))?;
            ensure!(
                offered.documentation.contains(said) && !said.is_empty(),
                "{name}: {option} is explained by {:?}, not {said:?}",
                offered.documentation
            );
        }
    }
    Ok(())
}

fn offers_inside() -> Result<()> {
    let mut editor = editor()?;
    let mut labels = |schema, text: &str| -> Result<BTreeSet<String>> {
        let offers = editor.offers("my.yaml", &with_schema(schema, text))?;
        Ok(offers.into_iter().map(|offer| offer.label).collect())
    };
    let table: [(&str, &str, &[&str]); 6] = [
        (
            "header-tag",
            "rules:\n  - name: api\n    ‸\n",
            &["request", "response", "when"],
        ),
        ("header-tag", "rules:\n- name: api\n  w‸\n", &["when"]),
        ("csp", "rules:\n- preset: ‸\n", &["strict", "helmet", "api"]),
        (
            "rate-limit",
            "enable_ratelimit_headers: ‸\n",
            // OFF alone is no text to YAML 1.1.
            &["\"OFF\"", "DRAFT_VERSION_10"],
        ),
        (
            "jwt-auth",
            "providers:\n  login:\n    issuer: https://login.example\n    ‸\n",
            &["audiences", "remote_jwks", "claim_to_headers"],
        ),
        (
            "oauth2",
            "credentials:\n  client_id: gateway\n  ‸\n",
            &["client_secret", "cookie_secrets"],
        ),
    ];
    for (schema, text, expected) in table {
        let offered = labels(schema, text)?;
        for label in expected {
            ensure!(
                offered.contains(*label),
                "{label} is not offered in\n{text}\nbut {offered:?}"
            );
        }
    }
    Ok(())
}

fn offers_where_options_come_from() -> Result<()> {
    let mut editor = editor()?;
    for (schema, is_fetched) in [("header-tag", true), ("header-tag-request", false)] {
        let offers = editor.offers("my.yaml", &with_schema(schema, &format!("{CURSOR}\n")))?;
        let found = offers.iter().any(|offer| offer.label == "remote_config");
        assert_eq!(found, is_fetched, "{schema}: {offers:#?}");
    }
    Ok(())
}

fn explains() -> Result<()> {
    let mut editor = editor()?;
    for (name, text, inside) in [
        (
            "csp",
            "collector:\n  max_‸bytes: 1024\n  path: /reports\n",
            "A longer body is answered 413",
        ),
        (
            "rate-limit",
            "enable_ratelimit_‸headers: OFF\n",
            "DRAFT_VERSION_10",
        ),
    ] {
        let said = editor.hover("my.yaml", &with_schema(name, text))?;
        ensure!(said.contains(inside), "{text}\n{said}");
    }
    // Every option at the top of what ships.
    for (name, path) in files("configurations", ".yaml")? {
        let text = fs::read_to_string(&path)?;
        let schema = schema(&name)?;
        let mut shown = 0;
        for (option, said) in options(&schema) {
            let line = format!("\n{option}:");
            if let Some(at) = text.find(&line) {
                // Where a line begins, what was before it is meant.
                let (before, after) = text.split_at(at + 2);
                let file = format!("envoy-config/configurations/{name}.yaml");
                let told = editor.hover(&file, &format!("{before}{CURSOR}{after}"))?;
                ensure!(told.contains(said), "{name}: {option}: {said}\n{told}");
                shown += 1;
            }
        }
        ensure!(shown > 0, "{name} has no option");
    }
    Ok(())
}
