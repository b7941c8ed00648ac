//! The pages' configurations, in Envoy.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use legation_tests::jwt::{Claims, Issuer, Key};
use legation_tests::{
    Client, Config, Envoy, Reply, SECRET, Upstream, module, wasm_filter, workspace_root,
};
use serde_json::{Value, json};

use super::book::{self, Block, Page};
use super::commands;
use super::curl::Curl;
use super::output;

/// The issuer of the pages, whose cluster is `login`.
const ISSUER: &str = "https://login.example";
const STUB: &str = include_str!("../../../tests/tests/support/stub.wat");

/// Whether the block is the configuration of a filter, and of which.
pub(crate) fn filter_of(block: &Block) -> Option<&str> {
    let name = *block.words().first()?;
    let shipped = workspace_root().join("filters").join(name).is_dir();
    (block.language() == "yaml" && shipped).then_some(name)
}

fn parse(page: &Page, block: &Block) -> Result<Value> {
    serde_saphyr::from_str(&block.text).with_context(|| page.place(block.line))
}

/// The name of a block's listener and VM.
fn name_of(page: &Page, block: &Block) -> String {
    page.place(block.line)
}

/// Every secret that a configuration takes from the environment.
fn environment(value: &Value, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(object) => {
            if let Some(name) = object.get("environment_variable").and_then(Value::as_str) {
                found.insert(name.to_owned(), SECRET.to_owned());
            }
            object.values().for_each(|value| environment(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| environment(value, found)),
        _ => {}
    }
}

/// What the pages' upstream has by itself: their blocks of HTML, by path.
fn files(pages: &[Page]) -> BTreeMap<String, String> {
    let blocks = pages.iter().flat_map(|page| &page.blocks);
    let blocks = blocks.filter(|block| block.language() == "html");
    blocks
        .filter_map(|block| {
            let name = block.words().first()?.strip_prefix("file=")?.to_owned();
            Some((format!("/{name}"), block.text.clone()))
        })
        .collect()
}

/// All configurations of one filter in one Envoy, a listener and a VM each: the module is compiled once.
struct Shared {
    envoy: Envoy,
    _upstream: Upstream,
    _issuer: Issuer,
    variables: [(&'static str, String); 2],
}

impl Shared {
    fn start(pages: &[Page], filter: &str) -> Result<Self> {
        let key = Key::p256();
        let issuer = Issuer::start(ISSUER, &[&key])?;
        let mut metadata = issuer.discovery();
        for name in ["authorization", "token", "end_session"] {
            metadata[format!("{name}_endpoint")] = format!("{ISSUER}/{name}").into();
        }
        issuer.publish_discovery(metadata);
        let upstream = Upstream::start()?;
        let files = files(pages);
        upstream.answer(move |received| match files.get(&received.path) {
            Some(text) => Reply::ok()
                .header("content-type", "text/html; charset=utf-8")
                .body(text),
            None => Reply::showing(received),
        });
        let mut config = Config::plain()?
            .endpoint("upstream", upstream.address())
            .endpoint_without_tls("login", issuer.address())
            .log_level("warning", "wasm:info");
        for page in pages {
            for block in &page.blocks {
                if is_refused(block) || filter_of(block) != Some(filter) {
                    continue;
                }
                let configuration = parse(page, block)?;
                let mut variables = BTreeMap::new();
                environment(&configuration, &mut variables);
                let name = name_of(page, block);
                let mut entry = wasm_filter(filter, configuration);
                let plugin = &mut entry["typed_config"]["config"];
                plugin["name"] = json!(name);
                plugin["allow_on_headers_stop_iteration"] = json!(true);
                plugin["vm_config"]["vm_id"] = json!(name);
                plugin["vm_config"]["environment_variables"] = json!({ "key_values": variables });
                config = config.add_chain(&name, &[entry]);
            }
        }
        let envoy = Envoy::start(&config)?;
        let token = Claims::of(ISSUER).audience("orders");
        let writer = token.clone().claim("scope", "orders:write");
        Ok(Self {
            envoy,
            _upstream: upstream,
            _issuer: issuer,
            variables: [
                ("$WRITE_TOKEN", writer.signed_by(&key)),
                ("$TOKEN", token.signed_by(&key)),
            ],
        })
    }

    fn curl(&self, listener: &str, command: &str) -> Result<String> {
        let mut command = command.to_owned();
        for (name, value) in &self.variables {
            command = command.replace(name, value);
        }
        let words = shlex::split(&command).context("quotes that do not end")?;
        let client = Client::http1(self.envoy.listener(listener)?);
        Curl::parse(&words[1..])?.run(&client)
    }
}

pub(crate) fn is_refused(block: &Block) -> bool {
    block.words().contains(&"refused")
}

#[test]
fn every_configuration_of_a_filter_does_what_its_page_shows() -> Result<()> {
    let pages = book::pages()?;
    let blocks = pages.iter().flat_map(|page| &page.blocks);
    let filters: BTreeSet<_> = blocks.filter_map(filter_of).collect();
    let mut wrong = Vec::new();
    for filter in filters {
        let shared = Shared::start(&pages, filter)?;
        for page in &pages {
            show(page, filter, &shared, &mut wrong)?;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Sends the requests of a page to the configuration of this filter that stands before them.
fn show(page: &Page, filter: &str, shared: &Shared, wrong: &mut Vec<String>) -> Result<()> {
    let mut current = None;
    for (at, block) in page.blocks.iter().enumerate() {
        if filter_of(block).is_some() && !is_refused(block) {
            current = Some(block);
        }
        let commands = commands::of(block);
        if !commands.iter().any(|it| it.starts_with("curl ")) {
            continue;
        }
        let place = page.place(block.line);
        let Some(configuration) = current else {
            bail!("{place}: no configuration before it");
        };
        if filter_of(configuration) != Some(filter) {
            continue;
        }
        let mut printed = String::new();
        for command in &commands {
            ensure!(command.starts_with("curl "), "{place}: curl, and {command}");
            let answer = shared.curl(&name_of(page, configuration), command);
            printed += &answer.with_context(|| format!("{place}: {command}"))?;
        }
        let next = page.blocks.get(at + 1);
        let Some(shown) = next.filter(|next| next.language() == "text") else {
            bail!("{place}: what curl prints is not shown behind it");
        };
        if !output::shows(&shown.text, &printed) {
            wrong.push(format!(
                "{place}: shown is\n{}\nbut it is\n{printed}\n{}",
                shown.text,
                shared.envoy.log_tail(5)
            ));
        }
    }
    Ok(())
}

/// Merges settings: objects are merged, anything else replaced.
fn merge(into: &mut Value, settings: &Value) {
    match (into, settings) {
        (Value::Object(into), Value::Object(settings)) => {
            for (key, value) in settings {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, settings) => *into = settings.clone(),
    }
}

/// The configuration of Envoy that a block is, or is a part of; none where it is something else.
fn whole(page: &Page, block: &Block) -> Result<Option<Config>> {
    if block.language() != "yaml" {
        return Ok(None);
    }
    let value = || parse(page, block);
    // What is discovered needs to know who asks.
    let plain = Config::plain()?;
    let plain = plain.edit(|root| root["node"] = json!({ "id": "edge-0", "cluster": "edge" }));
    Ok(Some(match block.words().as_slice() {
        ["envoy"] => Config::from_value(value()?, &page.place(block.line)),
        ["bootstrap"] => {
            let value = value()?;
            plain.edit(|root| merge(root, &value))
        }
        ["hcm" | "http_filters"] => plain.hcm(&value()?),
        ["plugin"] => {
            let value = value()?;
            let filter = wasm_filter("header-tag", Value::Null);
            plain
                .insert_filter(filter)
                .edit_plugin("header-tag", |plugin| merge(plugin, &value))
        }
        _ => return Ok(None),
    }))
}

pub(crate) fn is_part_of_envoys(block: &Block) -> bool {
    let parts = ["envoy", "bootstrap", "hcm", "http_filters", "plugin"];
    block.language() == "yaml" && matches!(*block.words(), [part] if parts.contains(&part))
}

/// Has the files that Envoy watches lie in this folder, with nothing in them: it asks whether they are there.
fn place_files(value: &mut Value, folder: &Path) -> Result<()> {
    match value {
        Value::Object(object) => {
            let mut values = object.values_mut();
            values.try_for_each(|value| place_files(value, folder))
        }
        Value::Array(list) => list.iter_mut().try_for_each(|it| place_files(it, folder)),
        Value::String(text) => {
            let Some(rest) = text.strip_prefix("/etc/envoy/") else {
                return Ok(());
            };
            let path = folder.join(rest);
            if path.extension().is_some_and(|kind| kind == "json") {
                fs::create_dir_all(path.parent().context("a folder")?)?;
                fs::write(&path, r#"{"resources": []}"#)?;
            } else if path.extension().is_some() {
                // A module, or what Envoy does not ask for yet.
                return Ok(());
            } else {
                fs::create_dir_all(&path)?;
            }
            *text = path.display().to_string();
            Ok(())
        }
        _ => Ok(()),
    }
}

/// With modules that take everything: what they say to it, other tests show.
#[test]
fn envoy_takes_every_part_of_its_own_configuration() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let stub = folder.path().join("stub.wasm");
    fs::write(&stub, wat::parse_str(STUB)?)?;
    let mut count = 0;
    for page in book::pages()? {
        for block in &page.blocks {
            let Some(mut config) = whole(&page, block)? else {
                continue;
            };
            count += 1;
            let mut placed = Ok(());
            config = config.edit(|root| placed = place_files(root, folder.path()));
            placed?;
            for name in config.module_names() {
                module(&name).with_context(|| page.place(block.line))?;
                config = config.module(&name, &stub);
            }
            if let Err(error) = Envoy::validate(&config.keep_addresses()) {
                panic!("{}: {error}", page.place(block.line));
            }
        }
    }
    assert!(count > 0, "no page shows Envoy's configuration");
    Ok(())
}
