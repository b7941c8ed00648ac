//! What users copy: the recipe of the filter's README, and the shipped file with a service.

use std::fs;

use anyhow::{Context, Result};
use legation_tests::limitador::{Limitador, Redis};
use legation_tests::trials::Test;
use legation_tests::{Config, Request, Stage, wasm_filter, workspace_root};
use serde_json::{Value, json};

use crate::{FILTER, REFUSED};

pub(crate) const TESTS: &[Test] = &[
    ("recipe::it_holds_in_memory", || recipe(None)),
    (
        "recipe::the_shipped_file_asks_about_all_descriptors",
        shipped_file,
    ),
];

pub(crate) const TESTS_WITH_REDIS: &[Test] = &[("recipe::it_holds_with_redis", || {
    recipe(Some(&Redis::start()?))
})];

/// Twenty logins an hour of each address, as the README has it: filter, limits and cluster. A login
/// counts under the other limit as well.
fn recipe(redis: Option<&Redis>) -> Result<()> {
    let readme = fs::read_to_string(workspace_root().join("filters/rate-limit/README.md"))?;
    let (_, readme) = readme
        .split_once("### Global with limitador\n")
        .context("no recipe")?;
    let (_, filter) = readme.split_once("```yaml\n").context("no filter")?;
    let (filter, readme) = filter.split_once("```").context("a block that ends")?;
    let mut filter: Value = serde_saphyr::from_str(filter)?;
    unhurried(&mut filter);
    let limits = indented(readme, "- namespace: ")?;
    let cluster = indented(readme, "- name: limitador")?;

    let limitador = Limitador::start(&limits, redis)?;
    let config = Config::plain()?
        .hcm(&behind_a_proxy())
        .add_cluster(cluster[0].clone())
        .endpoint("limitador", limitador.address())
        .insert_filter(wasm_filter(FILTER, filter));
    let stage = Stage::start(&config)?;
    let send =
        |path: &str, client: &str| stage.send(Request::get(path).header("x-forwarded-for", client));
    for left in (0..20).rev() {
        let response = send("/login", "192.0.2.1")?;
        assert_eq!(response.status, 200, "{response}");
        let told = |name| response.headers.text(name).unwrap_or_default();
        assert_eq!(told("x-ratelimit-limit"), "20, 20;w=3600, 1000;w=60");
        assert_eq!(told("x-ratelimit-remaining"), left.to_string());
    }
    assert_eq!(send("/login", "192.0.2.1")?.status, REFUSED);
    let other = send("/", "192.0.2.1")?;
    assert_eq!(other.status, 200);
    // The refused one was not counted under the other limit.
    let left = other.headers.text("x-ratelimit-remaining");
    assert_eq!(left.as_deref(), Some("979"));
    assert_eq!(send("/login", "192.0.2.2")?.status, 200);
    assert_eq!(send("/login", "192.0.2.1")?.status, REFUSED);
    Ok(())
}

/// `filters/rate-limit-global.yaml`, whose logins have a second descriptor.
fn shipped_file() -> Result<()> {
    let limits = json!([
        {
            "namespace": "edge",
            "max_value": 6,
            "seconds": 3600,
            "conditions": [],
            "variables": ["descriptors[0].masked_remote_address"],
        },
        {
            "namespace": "edge",
            "max_value": 2,
            "seconds": 3600,
            "conditions": ["size(descriptors) == 2 && descriptors[1].generic_key == 'login'"],
            "variables": ["descriptors[0].masked_remote_address"],
        },
    ]);
    let limitador = Limitador::start(&limits, None)?;
    let config = Config::file("filters/rate-limit-global.yaml")?
        .hcm(&behind_a_proxy())
        .endpoint("ratelimit", limitador.address())
        .edit_plugin(FILTER, |plugin| {
            let text = plugin["configuration"]["value"].as_str().expect("a text");
            let mut configuration: Value = serde_json::from_str(text).expect("JSON");
            unhurried(&mut configuration);
            plugin["configuration"]["value"] = configuration.to_string().into();
        });
    let stage = Stage::start(&config)?;
    let send = |request: Request, client: &str| -> Result<u16> {
        Ok(stage
            .send(request.header("x-forwarded-for", client))?
            .status)
    };
    let (login, page) = (|| Request::post("/login", ""), || Request::get("/"));
    let client = "192.0.2.1";
    for status in [200, 200, REFUSED, REFUSED] {
        assert_eq!(send(login(), client)?, status);
    }
    for status in [200, 200, 200, 200, REFUSED] {
        assert_eq!(send(page(), client)?, status);
    }
    // Addresses of one /64 are one client, and others have limits of their own.
    let addresses = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:1::1"];
    for (address, status) in addresses.into_iter().zip([200, 200, REFUSED, 200]) {
        assert_eq!(send(login(), address)?, status, "{address}");
    }
    Ok(())
}

/// A machine that is busy with other tests may take a while.
fn unhurried(filter: &mut Value) {
    filter["rate_limit_service"]["timeout"] = json!("20s");
}

/// Clients have the address that the proxy before Envoy says.
fn behind_a_proxy() -> Value {
    json!({"use_remote_address": true, "xff_num_trusted_hops": 1})
}

/// The list in an indented block of Markdown that begins with this.
fn indented(text: &str, beginning: &str) -> Result<Value> {
    let beginning = format!("    {beginning}");
    let lines = text
        .lines()
        .skip_while(|line| !line.starts_with(&beginning));
    let lines: Vec<_> = lines.map_while(|line| line.strip_prefix("    ")).collect();
    let block = lines.join("\n");
    serde_saphyr::from_str(&block).with_context(|| format!("`{beginning}`:\n{block}"))
}
