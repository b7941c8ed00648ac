//! One Envoy for all: each object has a listener of its own in it.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, anyhow, ensure};
use legation_testing::scenario::Scenario;
use legation_tests::jwt::{Claims, Issuer, Key};
use legation_tests::{
    Client, Config, Exchange, Received, Reply, ReportOnPanic, Request, Response, SECRET, Stage,
    Upstream, workspace_root,
};
use serde_json::{Value, json};

use crate::envoy_gateway;
use crate::istio::{self, Delivered};
use crate::manifest::{Manifest, manifests, of_kind};

/// The upstream of the listeners that scenarios have.
const SCENARIOS: &str = "scenarios";
/// What may stand beside each other, in the order of the chain.
pub const CHAIN: [&str; 7] = [
    "csp",
    "oauth2",
    "jwt-auth",
    "rate-limit",
    "rate-limit-global",
    "body-guard",
    "header-tag",
];
const ISSUER: &str = "https://login.example";
/// A card's number that has its check digit right.
const CARD: &str = "4111 1111 1111 1111";
/// A `RateLimitResponse` that says OVER_LIMIT.
const OVER_LIMIT: [u8; 2] = [8, 2];

/// Envoy, and who it talks with.
pub struct World {
    pub stage: Stage,
    pub scenarios: Upstream,
    _issuer: Issuer,
    pub key: Key,
    _service: Upstream,
    _folder: tempfile::TempDir,
}

/// The world that tests share.
pub fn world() -> Result<&'static World> {
    static WORLD: OnceLock<Result<World, String>> = OnceLock::new();
    let world = WORLD.get_or_init(|| World::start().map_err(|error| format!("{error:?}")));
    world.as_ref().map_err(|error| anyhow!("{error}"))
}

/// The listener of an object.
pub struct Site {
    pub world: &'static World,
    client: Client,
    _report: ReportOnPanic<'static>,
}

impl Site {
    pub fn of(listener: &str) -> Result<Self> {
        let world = world()?;
        Ok(Self {
            world,
            client: Client::http1(world.stage.envoy().listener(listener)?),
            _report: world.stage.report_on_panic(),
        })
    }

    pub fn send(&self, request: Request) -> Result<Exchange> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let id = format!("mesh-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let response = self.client.send(request.id(&id))?;
        let received = self.world.stage.upstream().with_id(&id);
        Ok(Exchange { response, received })
    }

    /// The same by HTTP/2.
    pub fn send_http2(&self, request: Request) -> Result<Response> {
        Client::http2(self.address()).send(request)
    }

    pub fn address(&self) -> SocketAddr {
        self.client.address()
    }

    pub fn status(&self, request: Request) -> Result<u16> {
        Ok(self.send(request)?.response.status)
    }

    /// A token of the provider, with these scopes.
    pub fn token(&self, scope: &str) -> String {
        let claims = Claims::of(ISSUER).audience("orders").claim("scope", scope);
        format!("Bearer {}", claims.signed_by(&self.world.key))
    }
}

/// Listeners to be, and what they are made of.
struct Plan {
    config: Config,
    folder: tempfile::TempDir,
    extensions: usize,
}

impl Plan {
    /// A listener with these filters, whose configurations come from files in the place of Istio's control plane.
    fn listener(&mut self, name: &str, filters: &[Delivered]) -> Result<()> {
        let mut entries = Vec::new();
        for filter in filters {
            entries.push(self.discovered(filter)?);
        }
        self.config = self.config.clone().add_chain(name, &entries);
        // Istio leaves both limits to Envoy.
        self.edit_listener(name, |listener| {
            remove(listener, "per_connection_buffer_limit_bytes");
            remove(hcm(listener), "http2_protocol_options");
        });
        Ok(())
    }

    fn discovered(&mut self, filter: &Delivered) -> Result<Value> {
        ensure!(filter.extension["name"] == filter.name());
        let mut resource = filter.extension.clone();
        patient(&mut resource["typed_config"]["config"]["configuration"]["value"]);
        resource["@type"] = json!("type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig");
        self.extensions += 1;
        let file = self.folder.path().join(format!("{}.json", self.extensions));
        let update = json!({"version_info": "1", "resources": [resource]});
        fs::write(&file, update.to_string())?;
        let mut entry = filter.entry.clone();
        let source = entry.pointer_mut("/config_discovery/config_source");
        let source = source.context("a filter discovers its configuration")?;
        ensure!(source["ads"] == json!({}) && source["initial_fetch_timeout"] == "0s");
        *source = json!({
            "path_config_source": {"path": file},
            "initial_fetch_timeout": "0s",
        });
        Ok(entry)
    }

    fn edit_listener(&mut self, name: &str, edit: impl FnOnce(&mut Value)) {
        self.config = self.config.clone().edit(|root| {
            let listeners = root["static_resources"]["listeners"].as_array_mut();
            let mut listeners = listeners.into_iter().flatten();
            if let Some(listener) = listeners.find(|one| one["name"] == name) {
                edit(listener);
            }
        });
    }
}

/// A machine that is busy with other tests may take longer than the 50 ms that a service has.
fn patient(configuration: &mut Value) {
    if let Some(text) = configuration.as_str() {
        let shipped = format!("{:?}: {:?}", "timeout", "0.05s");
        let compact = shipped.replace(' ', "");
        let patient = format!("{:?}: {:?}", "timeout", "30s");
        *configuration = json!(text.replace(&shipped, &patient).replace(&compact, &patient));
    }
}

fn remove(object: &mut Value, field: &str) {
    object.as_object_mut().and_then(|it| it.remove(field));
}

/// A listener's only connection manager.
pub fn hcm(listener: &mut Value) -> &mut Value {
    &mut listener["filter_chains"][0]["filters"][0]["typed_config"]
}

impl World {
    fn start() -> Result<Self> {
        let key = Key::p256().with_id("mesh");
        let issuer = Issuer::start(ISSUER, &[&key])?;
        let scenarios = Upstream::start()?;
        let service = Upstream::answering(|_: &Received| Reply::grpc(&OVER_LIMIT))?;
        let mut plan = Plan {
            config: Config::plain()?
                .add_endpoint(SCENARIOS, scenarios.address())
                .edit(|root| root["node"] = json!({"id": "test", "cluster": "test"}))
                .process_environment("OAUTH2_CLIENT_SECRET", SECRET)
                .process_environment("OAUTH2_COOKIE_SECRET", SECRET),
            folder: tempfile::tempdir()?,
            extensions: 0,
        };
        plan.istio()?;
        plan.envoy_gateway()?;
        let mut config = plan.config;
        // Made by the files: of Envoy Gateway, with all that they say of them but TLS, of which no server here is.
        let made = envoy_gateway::clusters(&manifests("envoy-gateway")?);
        for (cluster, server) in [
            ("login", issuer.address()),
            ("ratelimit", service.address()),
        ] {
            let found = made.iter().find(|one| one["name"] == cluster);
            let found = found.with_context(|| format!("no file has the cluster {cluster}"))?;
            if !config.has_cluster(cluster) {
                config = config.add_cluster(found.clone());
            }
            config = config.endpoint_without_tls(cluster, server);
            // And with it, where Envoy alone looks at it.
            config = config.add_cluster({
                let mut whole = found.clone();
                whole["name"] = json!(format!("{cluster}.as-it-ships"));
                whole
            });
        }
        for (cluster, server) in [
            ("outbound|443||login.example", issuer.address()),
            (
                "outbound|8081||ratelimit.legation.svc.cluster.local",
                service.address(),
            ),
        ] {
            config = config.add_endpoint(cluster, server);
        }
        config = config.http2_upstream("outbound|8081||ratelimit.legation.svc.cluster.local");
        let upstream = Upstream::answering(|_: &Received| {
            Reply::ok()
                .header("content-type", "text/html")
                .header("x-powered-by", "the upstream")
                .body(CARD)
        })?;
        Ok(Self {
            stage: Stage::with_upstream(&config, upstream)?,
            scenarios,
            _issuer: issuer,
            key,
            _service: service,
            _folder: plan.folder,
        })
    }
}

impl Plan {
    /// A listener for each policy, and one for all of them in one policy: a Gateway has one.
    fn envoy_gateway(&mut self) -> Result<()> {
        let all = manifests("envoy-gateway")?;
        let policies = of_kind("EnvoyExtensionPolicy", "envoy-gateway")?;
        let mut sites = Vec::new();
        for policy in policies {
            let beside = all.iter().filter(|one| one.file == policy.file);
            let beside: Vec<_> = beside.cloned().collect();
            sites.push((format!("gateway.{}", policy.name()), policy, beside));
        }
        let chain = chain_of(sites.iter().map(|(_, policy, _)| policy))?;
        sites.push(("gateway".to_owned(), chain, Vec::new()));
        for (name, policy, beside) in sites {
            let mut filters = envoy_gateway::filters(&policy)?;
            for filter in &mut filters {
                patient(&mut filter["typed_config"]["config"]["configuration"]["value"]);
            }
            self.config = self.config.clone().add_chain(&name, &filters);
            let mut patched = Ok(());
            self.edit_listener(&name, |listener| {
                patched = envoy_gateway::limit_connections(&beside, listener)
                    .and_then(|()| envoy_gateway::patch_listener(&beside, listener));
                let routes = &mut hcm(listener)["route_config"]["virtual_hosts"][0]["routes"];
                let mut without = routes[0].clone();
                without["match"]["prefix"] = json!("/no-policy/");
                routes[0]["typed_per_filter_config"] = envoy_gateway::on(&filters);
                *routes = json!([without, routes[0]]);
            });
            patched.with_context(|| name)?;
        }
        Ok(())
    }

    fn istio(&mut self) -> Result<()> {
        let all = manifests("istio")?;
        let plugins = of_kind("WasmPlugin", "istio/wasmplugin")?;
        for plugin in &plugins {
            let name = format!("wasmplugin.{}", plugin.name());
            self.listener(&name, &[istio::wasm_plugin(plugin)?])?;
            for scenario in scenarios_of(plugin)? {
                let plugin = played_by(plugin, &scenario);
                let name = scenario_listener(&scenario);
                self.listener(&name, &[istio::wasm_plugin(&plugin)?])?;
                self.edit_listener(&name, |listener| {
                    let hosts = &mut hcm(listener)["route_config"]["virtual_hosts"];
                    hosts[0]["routes"][0]["route"]["cluster"] = json!(SCENARIOS);
                });
            }
        }
        let filters = of_kind("EnvoyFilter", "istio/envoyfilter")?;
        for filter in &filters {
            let patches = istio::patches(std::slice::from_ref(filter))?;
            self.listener(&format!("envoyfilter.{}", filter.name()), &patches.filters)?;
        }
        self.listener("wasmplugins", &together(&plugins)?)?;
        let beside_suite: Vec<_> = filters
            .into_iter()
            .filter(|one| one.name() != "suite")
            .collect();
        self.listener("envoyfilters", &istio::patches(&beside_suite)?.filters)?;
        self.switches(&all, &plugins, &beside_suite)
    }

    /// The route of which `route-switch.yaml` tells, before a `WasmPlugin` and before an `EnvoyFilter`.
    fn switches(
        &mut self,
        all: &[Manifest],
        plugins: &[Manifest],
        filters: &[Manifest],
    ) -> Result<()> {
        let switch: Vec<_> = all
            .iter()
            .filter(|one| one.file.ends_with("route-switch.yaml"))
            .cloned()
            .collect();
        let service = switch.iter().find(|one| one.kind() == "VirtualService");
        let service = service.context("a VirtualService")?;
        let patch = switch.iter().find(|one| one.kind() == "EnvoyFilter");
        let patch = patch.context("an EnvoyFilter")?.clone();
        let jwt_auth = |one: &&Manifest| one.name() == "jwt-auth";
        let plugin = plugins.iter().find(jwt_auth).context("a WasmPlugin")?;
        let filter = filters.iter().find(jwt_auth).context("an EnvoyFilter")?;
        for (name, filters) in [
            ("switch.wasmplugin", vec![istio::wasm_plugin(plugin)?]),
            (
                "switch.envoyfilter",
                istio::patches(std::slice::from_ref(filter))?.filters,
            ),
        ] {
            self.listener(name, &filters)?;
            // As Istio calls the host of a gateway's port.
            let host = service.spec()["hosts"][0].as_str().unwrap_or_default();
            let host_name = format!("{host}:443");
            let mut routes = istio::routes(service);
            for (host, route, value) in istio::patches(std::slice::from_ref(&patch))?.routes {
                ensure!(host == host_name, "{host} is no virtual host");
                let route = routes.iter_mut().find(|one| one["name"] == route.as_str());
                let route = route.with_context(|| "the route is that of the service")?;
                route["typed_per_filter_config"] = value["typed_per_filter_config"].clone();
            }
            self.edit_listener(name, |listener| {
                hcm(listener)["route_config"]["virtual_hosts"] =
                    json!([{"name": host_name, "domains": ["*"], "routes": routes}]);
            });
        }
        // What the file says of the other way round.
        self.listener("switch.on", &[istio::wasm_plugin(plugin)?])?;
        let filter = format!("{}.{}", plugin.namespace(), plugin.name());
        let config = |fields: Value| {
            let mut config = fields;
            config["@type"] = json!("type.googleapis.com/envoy.config.route.v3.FilterConfig");
            json!({ filter.as_str(): config })
        };
        let mut routes = istio::routes(service);
        routes[0]["typed_per_filter_config"] = config(json!({"config": {}}));
        self.edit_listener("switch.on", |listener| {
            hcm(listener)["route_config"]["virtual_hosts"] = json!([{
                "name": "shop",
                "domains": ["*"],
                "routes": routes,
                "typed_per_filter_config": config(json!({"disabled": true})),
            }]);
        });
        Ok(())
    }
}

/// The list that the README tells of: what several policies have, in one, in the order of the chain.
fn chain_of<'a>(policies: impl Iterator<Item = &'a Manifest> + Clone) -> Result<Manifest> {
    let mut chain = Vec::new();
    for name in CHAIN {
        let policy = policies.clone().find(|policy| policy.name() == name);
        let policy = policy.with_context(|| format!("no policy {name}"))?;
        let wasm = policy.spec()["wasm"][0].clone();
        chain.push(wasm);
    }
    let first = policies.clone().next().context("a policy")?.clone();
    Ok(first.edit(|policy| {
        policy["metadata"]["name"] = json!("gateway");
        policy["spec"]["wasm"] = json!(chain);
        // What needs a patch of its own stays out.
        for wasm in policy["spec"]["wasm"].as_array_mut().into_iter().flatten() {
            take_what_reads_requests(&mut wasm["config"]);
        }
    }))
}

/// Takes out of a filter's configuration what reads bodies before their requests go on, of any filter. Says whether
/// there was any.
pub fn take_what_reads_requests(configuration: &mut Value) -> bool {
    let mut found = take(configuration, &["collector", "back_channel_logout"]);
    let rules = configuration.get_mut("rules").and_then(Value::as_array_mut);
    for rule in rules.into_iter().flatten() {
        // Of header-tag a `request` has none of these.
        if let Some(request) = rule.get_mut("request") {
            found |= take(request, &["json", "fields", "redact"]);
        }
    }
    found
}

fn take(object: &mut Value, names: &[&str]) -> bool {
    let object = object.as_object_mut();
    object.is_some_and(|object| names.iter().filter_map(|name| object.remove(*name)).count() > 0)
}

/// All plugins that may stand beside each other: the suite has members of its own in their place.
pub fn together(plugins: &[Manifest]) -> Result<Vec<Delivered>> {
    let plugins = istio::chain(plugins)?.into_iter();
    let beside = plugins.filter(|plugin| plugin.name() != "suite");
    beside.map(|plugin| istio::wasm_plugin(&plugin)).collect()
}

/// The scenarios that are played by a plugin with the configuration of each.
pub fn scenarios_of(plugin: &Manifest) -> Result<Vec<Scenario>> {
    let names: &[&str] = match plugin.name() {
        "body-guard" => &["responses"],
        "csp" => &["first_example", "nonces"],
        "header-tag" => &["first_example", "conditions", "responses"],
        "jwt-auth" => &["first_example", "locations"],
        "oauth2" => &["without_a_session"],
        "rate-limit" => &["first_example"],
        "suite" => &["order"],
        _ => &[],
    };
    let folder = workspace_root().join(format!("filters/{}/tests/scenarios", plugin.name()));
    let files = names.iter().map(|name| folder.join(format!("{name}.yaml")));
    files
        .map(|file| {
            let mut scenario = Scenario::load(&file)?;
            // What is counted is Envoy's as a whole, and other tests' too.
            for step in &mut scenario.steps {
                step.expect.stats = BTreeMap::default();
            }
            Ok(scenario)
        })
        .collect()
}

/// The listener in which a scenario is played.
pub fn scenario_listener(scenario: &Scenario) -> String {
    let name = scenario.file.file_stem().unwrap_or_default();
    format!("scenario.{}.{}", scenario.filter, name.to_string_lossy())
}

/// The plugin with a scenario's configuration and environment.
fn played_by(plugin: &Manifest, scenario: &Scenario) -> Manifest {
    plugin.clone().edit(|plugin| {
        plugin["metadata"]["name"] = json!(scenario_listener(scenario));
        plugin["spec"]["pluginConfig"] = scenario.configuration.clone();
        let environment = scenario.environment.iter();
        let environment = environment.map(|(name, value)| json!({"name": name, "value": value}));
        plugin["spec"]["vmConfig"] = json!({"env": environment.collect::<Value>()});
    })
}
