//! The compose file itself.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use legation_tests::trials::{Need, Test};
use legation_tests::{ENVOY_VERSION, envoy_config_dir, read_yaml};
use serde_json::Value;

use crate::{folder, services};

pub const TESTS: &[Test] = &[
    (
        "every service is pinned, watched and kept small",
        are_kept_small,
    ),
    ("nothing is published but on loopback", only_on_loopback),
    (
        "what is mounted is there, and not to be changed",
        mounts_are_there,
    ),
    ("the provider, Envoy and Grafana agree on who is who", agree),
];

pub const BY_COMPOSE: &[Test] = &[(
    "docker-compose takes the file, and not without secrets",
    by_compose,
)];

pub const COMPOSE: Need = Need {
    what: "docker-compose",
    missing: compose_is_missing,
};

/// By whose name docker-compose goes here, as a plugin or alone.
fn compose(arguments: &[&str]) -> Option<Output> {
    for program in [["docker-compose"].as_slice(), &["docker", "compose"]] {
        let mut command = Command::new(program[0]);
        command
            .args(&program[1..])
            .args(arguments)
            .current_dir(folder());
        command
            .stdin(Stdio::null())
            .env_remove("OAUTH2_CLIENT_SECRET");
        let version = Command::new(program[0])
            .args(&program[1..])
            .arg("version")
            .output();
        if version.is_ok_and(|version| version.status.success()) {
            return command.output().ok();
        }
    }
    None
}

fn compose_is_missing() -> Option<&'static str> {
    compose(&["version"]).is_none().then_some(
        "there is neither docker-compose nor docker with its plugin: on Debian or Ubuntu, apt-get install docker-compose",
    )
}

fn by_compose() -> Result<()> {
    let taken = compose(&["--env-file", ".env.example", "config"]).context("docker-compose")?;
    let said = String::from_utf8_lossy(&taken.stdout) + String::from_utf8_lossy(&taken.stderr);
    ensure!(taken.status.success(), "{said}");
    for service in services()?.keys() {
        ensure!(
            said.contains(&format!("  {service}:\n")),
            "{service} is not in\n{said}"
        );
    }

    let nothing = tempfile::NamedTempFile::new()?;
    let nothing = nothing.path().to_string_lossy().into_owned();
    let without = compose(&["--env-file", &nothing, "config"]).context("docker-compose")?;
    let said = String::from_utf8_lossy(&without.stderr);
    ensure!(
        !without.status.success() && said.contains("copy .env.example to .env"),
        "{said}"
    );
    Ok(())
}

fn are_kept_small() -> Result<()> {
    for (name, service) in services()? {
        let image = service["image"].as_str().context("an image")?;
        let tag = image
            .rsplit_once(':')
            .map(|(_, tag)| tag)
            .unwrap_or_default();
        ensure!(
            tag.contains(|char: char| char.is_ascii_digit()),
            "{name}: {image}"
        );
        ensure!(
            service["privileged"].is_null() && service["cap_add"].is_null(),
            "{name}"
        );
        ensure!(
            service["cap_drop"][0] == "ALL" && service["read_only"] == true,
            "{name}"
        );
        ensure!(
            service["security_opt"][0] == "no-new-privileges:true",
            "{name}"
        );
        ensure!(service["mem_limit"].is_string(), "{name} has no mem_limit");
        if name == "pod" {
            continue;
        }
        ensure!(service["network_mode"] == "service:pod", "{name}");
        ensure!(
            service["healthcheck"]["test"].is_array(),
            "{name} has no healthcheck"
        );
        ensure!(service["cpus"].is_number(), "{name} has no cpus");
        for (other, dependence) in service["depends_on"].as_object().context("depends_on")? {
            let condition = if other == "pod" {
                "service_started"
            } else {
                "service_healthy"
            };
            ensure!(dependence["condition"] == condition, "{name} and {other}");
        }
    }
    ensure!(services()?["envoy"]["image"] == format!("envoyproxy/envoy:v{ENVOY_VERSION}"));
    Ok(())
}

fn only_on_loopback() -> Result<()> {
    let services = services()?;
    ensure!(
        services
            .values()
            .filter(|service| !service["ports"].is_null())
            .count()
            == 1
    );
    for port in services["pod"]["ports"].as_array().context("ports")? {
        ensure!(
            port.as_str()
                .is_some_and(|port| port.starts_with("127.0.0.1:")),
            "{port}"
        );
    }
    Ok(())
}

fn mounts_are_there() -> Result<()> {
    for (name, service) in services()? {
        for mount in service["volumes"].as_array().into_iter().flatten() {
            let mount = mount.as_str().context("a mount")?;
            let Some((source, _)) = mount
                .split_once(':')
                .filter(|(source, _)| source.starts_with('.'))
            else {
                continue;
            };
            ensure!(mount.ends_with(":ro"), "{name}: {mount}");
            // What the build makes is where the build was told to put it.
            let is_built = source.ends_with("target/legation");
            ensure!(
                is_built || folder().join(source).is_file(),
                "{name}: {mount}"
            );
        }
    }
    Ok(())
}

fn agree() -> Result<()> {
    let composed = crate::stack::composed()?;
    let services = services()?;
    let port = services["idp"]["environment"]["PORT"]
        .as_str()
        .context("a port")?;
    let issuer = format!("\"issuer\": \"http://127.0.0.1:{port}\"");
    assert_eq!(composed.matches(&issuer).count(), 2, "{issuer}");
    ensure!(!composed.contains("login.example") && !composed.contains("issuer.example"));
    let published = format!("127.0.0.1:{port}:{port}");
    let ports = services["pod"]["ports"].as_array().context("ports")?;
    ensure!(ports.contains(&published.into()), "{port} and {ports:?}");

    // The image of the provider is that of the upstream, and what it runs is what the file says.
    let dockerfile = fs::read_to_string(folder().join("idp/Dockerfile"))?;
    let from = format!(
        "FROM {}\n",
        services["upstream"]["image"].as_str().context("an image")?
    );
    ensure!(dockerfile.contains(&from), "{dockerfile}");
    let command = serde_json::to_string(&services["idp"]["command"])?.replace(',', ", ");
    ensure!(
        dockerfile.ends_with(&format!("CMD {command}\n")),
        "{command}"
    );

    // Every secret that is asked for has an example, and every example is asked for.
    let example = fs::read_to_string(folder().join(".env.example"))?;
    let given: BTreeSet<&str> = example
        .lines()
        .filter(|line| !line.starts_with(['#', ' ']))
        .filter_map(|line| Some(line.split_once('=')?.0))
        .filter(|name| *name != "COMPOSE_PROJECT_NAME")
        .collect();
    let text = fs::read_to_string(folder().join("compose.yaml"))?;
    let asked: BTreeSet<&str> = (text.split("${").skip(1))
        .filter_map(|part| Some(part.split_once(":?")?.0))
        .collect();
    ensure!(given == asked, "{given:?} and {asked:?}");
    let readme = fs::read_to_string(folder().join("README.md"))?;
    let secret = &crate::service::secrets()?["ORDERS_CLIENT_SECRET"];
    ensure!(readme.contains(&format!("-u orders:{secret} ")), "{secret}");

    // Grafana's panels go by the data source and the folder that are provisioned.
    let provisioned = read_yaml(&folder().join("grafana/dashboards.yaml"))?;
    let path = provisioned["providers"][0]["options"]["path"]
        .as_str()
        .context("a path")?;
    ensure!(text.contains(&format!(
        "/observability/grafana-dashboard.json:{path}/legation.json:ro"
    )));
    let sources = read_yaml(&folder().join("grafana/datasources.yaml"))?;
    ensure!(sources["datasources"][0]["url"] == "http://127.0.0.1:9090");
    let prometheus = read_yaml(&folder().join("prometheus.yml"))?;
    let target = &prometheus["scrape_configs"][0]["static_configs"][0]["targets"][0];
    let admin: Value =
        read_yaml(&envoy_config_dir().join("envoy.yaml"))?["admin"]["address"]["socket_address"]
            .take();
    ensure!(
        target == &format!("127.0.0.1:{}", admin["port_value"]),
        "{target} and {admin}"
    );
    Ok(())
}
