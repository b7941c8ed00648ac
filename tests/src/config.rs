//! Envoy's configuration for a test: a file that users copy, with the
//! addresses of the test put in.

mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::target::{envoy_config_dir, module_dir};

/// What the module of a Wasm filter is called in every shipped file.
const MODULE_FOLDER: &str = "/etc/envoy/filters/";
/// Where nobody listens: for clusters whose server a test does not need.
const NOWHERE: &str = "127.0.0.1:1";

/// A configuration of Envoy: read from a file, changed by the test, written by
/// [`crate::Envoy::start`].
///
/// Only addresses and the modules' folder differ from the file, and what the
/// test changes on purpose. What goes wrong in a change (a filter that is not there)
/// is told when the configuration is used.
#[derive(Clone, Debug)]
pub struct Config {
    origin: String,
    root: Value,
    endpoints: BTreeMap<String, SocketAddr>,
    added: BTreeSet<String>,
    modules: BTreeMap<String, PathBuf>,
    keep_addresses: bool,
    listen_on: Option<SocketAddr>,
    admin_on: Option<SocketAddr>,
    problems: Vec<String>,
    pub(crate) run: RunOptions,
}

/// The value of each variable that a configuration has its modules get from Envoy's environment, where
/// the test's own environment has none.
pub const SECRET: &str = "a secret of the tests, which all may know";

/// How Envoy is run, beside its configuration file.
#[derive(Clone, Debug)]
pub(crate) struct RunOptions {
    pub(crate) concurrency: u32,
    pub(crate) log_level: String,
    pub(crate) component_log_level: String,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) shared: bool,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            concurrency: 1,
            log_level: "warning".to_owned(),
            component_log_level: "wasm:info".to_owned(),
            environment: BTreeMap::new(),
            shared: false,
        }
    }
}

impl Config {
    /// A file of `envoy-config/`, such as `filters/header-tag.yaml`.
    pub fn file(name: &str) -> Result<Self> {
        Self::load(&envoy_config_dir().join(name))
    }

    /// Any YAML or JSON file.
    pub fn load(path: &Path) -> Result<Self> {
        let root = read_yaml(path)?;
        Ok(Self::from_value(root, &path.display().to_string()))
    }

    /// A bootstrap that is at hand; `origin` says in errors where it is from.
    pub fn from_value(root: Value, origin: &str) -> Self {
        // Secrets come from Envoy's environment, and here from nowhere else.
        let given = walk::host_environment(&root).into_iter();
        let missing = given.filter(|name| std::env::var_os(name).is_none());
        let environment = missing.map(|name| (name, SECRET.to_owned())).collect();
        Self {
            origin: origin.to_owned(),
            root,
            endpoints: BTreeMap::new(),
            added: BTreeSet::new(),
            modules: BTreeMap::new(),
            keep_addresses: false,
            listen_on: None,
            admin_on: None,
            problems: Vec::new(),
            run: RunOptions {
                environment,
                ..RunOptions::default()
            },
        }
    }

    /// The shipped chain without its filters: what a filter's cost is measured against.
    pub fn plain() -> Result<Self> {
        let mut config = Self::file("envoy.yaml")?;
        config.each_hcm(|hcm| {
            if let Some(filters) = hcm["http_filters"].as_array_mut() {
                filters.retain(walk::is_router);
            }
            // For a filter that holds requests, and with it.
            let hosts = hcm.pointer_mut("/route_config/virtual_hosts");
            let hosts = hosts.and_then(Value::as_array_mut);
            for host in hosts.into_iter().flatten().filter_map(Value::as_object_mut) {
                host.remove("request_body_buffer_limit");
            }
        });
        Ok(config)
    }

    /// The shipped file of one filter, `filters/NAME.yaml`, as it stands.
    pub fn filter(name: &str) -> Result<Self> {
        Self::file(&format!("filters/{name}.yaml"))
    }

    /// One filter with this configuration: from its shipped file where there is
    /// one, else (a module that only tests load) put into [`Config::plain`].
    pub fn with_filter(name: &str, configuration: impl Into<Value>) -> Result<Self> {
        if envoy_config_dir()
            .join(format!("filters/{name}.yaml"))
            .exists()
        {
            return Ok(Self::filter(name)?.configuration(name, configuration));
        }
        Ok(Self::plain()?.insert_filter(wasm_filter(name, configuration)))
    }

    /// Gives a Wasm filter another configuration: a string arrives at the module byte for
    /// byte, any other value as its JSON text; null is none.
    #[must_use]
    pub fn configuration(self, filter: &str, configuration: impl Into<Value>) -> Self {
        let packed = pack(configuration.into());
        self.edit_plugin(filter, |plugin| match packed {
            Some(packed) => plugin["configuration"] = packed,
            None => {
                plugin
                    .as_object_mut()
                    .and_then(|it| it.remove("configuration"));
            }
        })
    }

    /// Gives a Wasm filter its configuration as a protobuf `Struct`, which arrives at the
    /// module as that message's bytes, not as JSON (seen in Envoy 1.36 and 1.40).
    #[must_use]
    pub fn struct_configuration(self, filter: &str, configuration: impl Into<Value>) -> Self {
        self.edit_plugin(filter, |plugin| {
            plugin["configuration"] = json!({
                "@type": "type.googleapis.com/google.protobuf.Struct",
                "value": configuration.into(),
            });
        })
    }

    /// Sets a Wasm filter's `failure_policy`, such as `FAIL_CLOSED`.
    #[must_use]
    pub fn failure_policy(self, filter: &str, policy: &str) -> Self {
        self.edit_plugin(filter, |plugin| plugin["failure_policy"] = policy.into())
    }

    /// Sets a variable that the module of this filter finds in its environment.
    #[must_use]
    pub fn vm_environment(self, filter: &str, name: &str, value: &str) -> Self {
        self.edit_plugin(filter, |plugin| {
            plugin["vm_config"]["environment_variables"]["key_values"][name] = value.into();
        })
    }

    /// Sets a variable of the Envoy process.
    #[must_use]
    pub fn process_environment(mut self, name: &str, value: &str) -> Self {
        self.run
            .environment
            .insert(name.to_owned(), value.to_owned());
        self
    }

    /// Changes a Wasm filter's own configuration, which is JSON in a text. What cannot be read stays, for
    /// Envoy to refuse.
    #[must_use]
    pub fn edit_configuration(self, filter: &str, edit: impl FnOnce(&mut Value)) -> Self {
        self.edit_plugin(filter, |plugin| {
            let text = &mut plugin["configuration"]["value"];
            let read = serde_json::from_str(text.as_str().unwrap_or_default());
            if let Ok(mut configuration) = read {
                edit(&mut configuration);
                *text = configuration.to_string().into();
            }
        })
    }

    /// Changes a Wasm filter's `PluginConfig` in any way.
    #[must_use]
    pub fn edit_plugin(self, filter: &str, edit: impl FnOnce(&mut Value)) -> Self {
        self.edit_filter(filter, |entry| edit(&mut entry["typed_config"]["config"]))
    }

    /// Changes an HTTP filter's entry, `{name, typed_config, …}`, in any way.
    #[must_use]
    pub fn edit_filter(mut self, filter: &str, edit: impl FnOnce(&mut Value)) -> Self {
        match walk::find_filter(&mut self.root, filter) {
            Some(entry) => edit(entry),
            None => self.no_such_filter(filter),
        }
        self
    }

    /// Puts an HTTP filter right before the router, in every chain.
    #[must_use]
    pub fn insert_filter(mut self, entry: impl Into<Value>) -> Self {
        let entry = entry.into();
        self.each_hcm(|hcm| {
            if let Some(filters) = hcm["http_filters"].as_array_mut() {
                let at = filters.iter().position(walk::is_router);
                filters.insert(at.unwrap_or(filters.len()), entry.clone());
            }
        });
        self
    }

    /// Puts an HTTP filter right before the one of this name.
    #[must_use]
    pub fn insert_filter_before(mut self, filter: &str, entry: Value) -> Self {
        match walk::find_filters(&mut self.root, filter) {
            Some((filters, at)) => filters.insert(at, entry),
            None => self.no_such_filter(filter),
        }
        self
    }

    /// Puts an HTTP filter in the place of the one of this name.
    #[must_use]
    pub fn replace_filter(self, filter: &str, entry: Value) -> Self {
        self.edit_filter(filter, |place| *place = entry)
    }

    /// Takes an HTTP filter out.
    #[must_use]
    pub fn remove_filter(mut self, filter: &str) -> Self {
        match walk::find_filters(&mut self.root, filter) {
            Some((filters, at)) => {
                filters.remove(at);
            }
            None => self.no_such_filter(filter),
        }
        self
    }

    /// Merges settings into every `HttpConnectionManager`: objects are merged, anything else replaced.
    #[must_use]
    pub fn hcm(mut self, settings: &Value) -> Self {
        self.each_hcm(|hcm| walk::merge(hcm, settings));
        self
    }

    /// Merges settings into every listener.
    #[must_use]
    pub fn listeners(mut self, settings: &Value) -> Self {
        for listener in walk::listeners(&mut self.root) {
            walk::merge(listener, settings);
        }
        self
    }

    /// Allows so many header fields and kilobytes in a request and in an answer.
    /// Envoy takes 100 fields and 60 KB by itself.
    #[must_use]
    pub fn header_limits(mut self, fields: u32, kilobytes: u32) -> Self {
        let count = json!({"common_http_protocol_options": {"max_headers_count": fields}});
        self = self
            .hcm(&json!({"max_request_headers_kb": kilobytes}))
            .hcm(&count)
            .each_cluster_protocol(&count);
        self.each_cluster_protocol(&json!({
            "common_http_protocol_options": {"max_response_headers_kb": kilobytes},
        }))
    }

    /// Lets trailers pass in HTTP/1.1, on both sides.
    #[must_use]
    pub fn http1_trailers(mut self) -> Self {
        let trailers = json!({"enable_trailers": true});
        self = self.hcm(&json!({"http_protocol_options": trailers}));
        for cluster in walk::clusters(&mut self.root) {
            let options = walk::protocol_options(cluster);
            let explicit = &mut options["explicit_http_config"];
            if explicit["http2_protocol_options"].is_null() {
                walk::merge(explicit, &json!({"http_protocol_options": trailers}));
            }
        }
        self
    }

    /// Speaks HTTP/2 to this cluster's servers, as gRPC needs. A connection has no more streams than servers
    /// take: Envoy would open any number until it has heard from them, and be refused those beyond.
    #[must_use]
    pub fn http2_upstream(mut self, cluster: &str) -> Self {
        match walk::find_cluster(&mut self.root, cluster) {
            Some(found) => {
                walk::protocol_options(found)["explicit_http_config"] =
                    json!({"http2_protocol_options": {"max_concurrent_streams": 100}});
            }
            None => self.no_such_cluster(cluster),
        }
        self
    }

    /// Adds a listener.
    #[must_use]
    pub fn add_listener(mut self, listener: Value) -> Self {
        walk::append(&mut self.root["static_resources"]["listeners"], listener);
        self
    }

    /// Adds a listener like the first one, of this name, with these HTTP filters before its
    /// router; its counters begin with `http.NAME.`. Several cases run side by side in one Envoy so.
    #[must_use]
    pub fn add_chain(mut self, name: &str, filters: &[Value]) -> Self {
        if let Some(copy) = walk::copy_of_first_listener(&mut self.root, name, filters) {
            return self.add_listener(copy);
        }
        let problem = format!("{} has no listener to copy for `{name}`", self.origin);
        self.problems.push(problem);
        self
    }

    /// Adds a cluster in full.
    #[must_use]
    pub fn add_cluster(mut self, cluster: Value) -> Self {
        self.added
            .extend(cluster["name"].as_str().map(str::to_owned));
        walk::append(&mut self.root["static_resources"]["clusters"], cluster);
        self
    }

    /// Adds a plain cluster with one server.
    #[must_use]
    pub fn add_endpoint(self, cluster: &str, address: SocketAddr) -> Self {
        self.add_cluster(json!({
            "name": cluster,
            "type": "STATIC",
            // A machine that is busy with other tests may take a while.
            "connect_timeout": "10s",
            "load_assignment": {"cluster_name": cluster, "endpoints": [{"lb_endpoints": [
                {"endpoint": {"address": socket_address(address)}},
            ]}]},
        }))
    }

    /// Says where the server of a cluster listens. A cluster of the file that gets no server
    /// leads nowhere: a connection is refused.
    #[must_use]
    pub fn endpoint(mut self, cluster: &str, address: SocketAddr) -> Self {
        if walk::find_cluster(&mut self.root, cluster).is_none() {
            self.no_such_cluster(cluster);
        }
        self.endpoints.insert(cluster.to_owned(), address);
        self
    }

    /// The same for a cluster that the file speaks TLS with, and the server here does not.
    #[must_use]
    pub fn endpoint_without_tls(mut self, cluster: &str, address: SocketAddr) -> Self {
        if let Some(Value::Object(cluster)) = walk::find_cluster(&mut self.root, cluster) {
            cluster.remove("transport_socket");
        }
        self.endpoint(cluster, address)
    }

    pub(crate) fn has_endpoint(&self, cluster: &str) -> bool {
        self.endpoints.contains_key(cluster)
    }

    /// Whether there is a cluster of this name.
    pub fn has_cluster(&self, cluster: &str) -> bool {
        walk::find_cluster(&mut self.root.clone(), cluster).is_some()
    }

    /// Loads this file where the configuration names the module `NAME.wasm`.
    /// Without this it is the one that `cargo xtask build` made.
    #[must_use]
    pub fn module(mut self, name: &str, path: &Path) -> Self {
        self.modules.insert(name.to_owned(), path.to_owned());
        self
    }

    /// Keeps the addresses of listeners and the admin interface as they are written, instead
    /// of free ports on loopback. Clusters that were given no server keep theirs too.
    #[must_use]
    pub fn keep_addresses(mut self) -> Self {
        self.keep_addresses = true;
        self
    }

    /// Lets the first listener listen here instead of on a free port of loopback.
    #[must_use]
    pub fn listen_on(mut self, address: SocketAddr) -> Self {
        self.listen_on = Some(address);
        self
    }

    /// Lets the admin interface listen here instead of on a free port of loopback.
    #[must_use]
    pub fn admin_on(mut self, address: SocketAddr) -> Self {
        self.admin_on = Some(address);
        self
    }

    /// Changes the whole bootstrap in any way.
    #[must_use]
    pub fn edit(mut self, edit: impl FnOnce(&mut Value)) -> Self {
        edit(&mut self.root);
        self
    }

    /// How many worker threads Envoy runs; 1 unless set.
    #[must_use]
    pub fn concurrency(mut self, workers: u32) -> Self {
        self.run.concurrency = workers;
        self
    }

    /// Envoy's log level (`warning` unless set), and the components' own
    /// (`wasm:info` unless set; comma-separated).
    #[must_use]
    pub fn log_level(mut self, level: &str, components: &str) -> Self {
        level.clone_into(&mut self.run.log_level);
        components.clone_into(&mut self.run.component_log_level);
        self
    }

    /// Lets it run in an Envoy that other tests of the same program use too, which compiles a module
    /// once for all of them: a start of its own takes a second or two.
    ///
    /// Its listeners, its clusters and its modules' VMs are its own, and so log lines of its modules and shared
    /// data. What is counted is the Envoy's as a whole: a test that looks at counters has names for
    /// them that no other has, or does without this, as does one that measures, ends Envoy, needs clusters to
    /// be called as they are, or wants to be refused. Envoys are shared by those that have the same workers,
    /// log levels, environment and everything else of the bootstrap.
    #[must_use]
    pub fn shared(mut self) -> Self {
        self.run.shared = true;
        self
    }

    /// The bootstrap as Envoy will read it.
    pub fn to_value(&self) -> Result<Value> {
        if !self.problems.is_empty() {
            bail!("{}", self.problems.join("\n"));
        }
        let mut root = self.root.clone();
        if !self.keep_addresses {
            walk::free_ports(&mut root)
                .with_context(|| format!("cannot set the addresses of {}", self.origin))?;
        }
        walk::ensure_admin(&mut root)?;
        if let Some(address) = self.listen_on {
            walk::set_listener_address(&mut root, address)
                .with_context(|| format!("{} has no listener", self.origin))?;
        }
        if let Some(address) = self.admin_on {
            root["admin"]["address"] = socket_address(address);
        }
        for cluster in walk::clusters(&mut root) {
            let name = cluster["name"].as_str().unwrap_or_default();
            match self.endpoints.get(name) {
                Some(address) => walk::set_endpoints(cluster, *address),
                // One that a test added is as the test wants it.
                None if self.keep_addresses || self.added.contains(name) => {}
                None => walk::set_endpoints(cluster, NOWHERE.parse()?),
            }
        }
        self.set_modules(&mut root)?;
        Ok(root)
    }

    /// The names of the modules that it loads.
    pub fn module_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        walk::each_module(&mut self.root.clone(), &mut |filename| {
            names.extend(shipped_name(filename).map(str::to_owned));
        });
        names.sort();
        names.dedup();
        names
    }

    fn set_modules(&self, root: &mut Value) -> Result<()> {
        let built = module_dir()?;
        let mut missing = Vec::new();
        walk::each_module(root, &mut |filename| {
            let Some(name) = shipped_name(filename) else {
                return;
            };
            let path = match self.modules.get(name) {
                Some(path) => path.clone(),
                None => built.join(format!("{name}.wasm")),
            };
            if !path.is_file() {
                missing.push(name.to_owned());
            }
            *filename = path.to_string_lossy().into_owned();
        });
        if let Some(name) = missing.first() {
            // Its error says what to do.
            crate::target::module(name)?;
        }
        Ok(())
    }

    fn each_hcm(&mut self, mut edit: impl FnMut(&mut Value)) {
        for hcm in walk::hcms(&mut self.root) {
            edit(hcm);
        }
    }

    fn each_cluster_protocol(mut self, settings: &Value) -> Self {
        for cluster in walk::clusters(&mut self.root) {
            walk::merge(walk::protocol_options(cluster), settings);
        }
        self
    }

    fn no_such_filter(&mut self, filter: &str) {
        let known = walk::filter_names(&mut self.root).join(", ");
        let problem = format!(
            "{} has no HTTP filter `{filter}`; it has: {known}",
            self.origin
        );
        self.problems.push(problem);
    }

    fn no_such_cluster(&mut self, cluster: &str) {
        let known: Vec<_> = walk::clusters(&mut self.root)
            .iter()
            .filter_map(|cluster| cluster["name"].as_str().map(str::to_owned))
            .collect();
        self.problems.push(format!(
            "{} has no cluster `{cluster}`; it has: {}",
            self.origin,
            known.join(", ")
        ));
    }
}

/// An HTTP filter entry for a module, in the form of the shipped files. The same
/// name stands for the filter, the plugin, its root id, its VM and its module.
pub fn wasm_filter(name: &str, configuration: impl Into<Value>) -> Value {
    let mut plugin = json!({
        "name": name,
        "root_id": name,
        "failure_policy": "FAIL_RELOAD",
        "vm_config": {
            "vm_id": format!("legation.{name}"),
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": format!("{MODULE_FOLDER}{name}.wasm")}},
        },
    });
    if let Some(configuration) = pack(configuration.into()) {
        plugin["configuration"] = configuration;
    }
    json!({
        "name": name,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": plugin,
        },
    })
}

/// Reads a YAML (or JSON) file into JSON's terms.
pub fn read_yaml(path: &Path) -> Result<Value> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_saphyr::from_str(&text).with_context(|| format!("{} is not valid YAML", path.display()))
}

fn pack(configuration: Value) -> Option<Value> {
    let text = match configuration {
        Value::Null => return None,
        Value::String(text) => text,
        other => other.to_string(),
    };
    Some(json!({
        "@type": "type.googleapis.com/google.protobuf.StringValue",
        "value": text,
    }))
}

fn shipped_name(filename: &str) -> Option<&str> {
    filename.strip_prefix(MODULE_FOLDER)?.strip_suffix(".wasm")
}

fn socket_address(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}

#[cfg(test)]
mod tests;
