//! Envoys that the tests of a program share, and the parts of them that each test has.
//!
//! Such an Envoy has its listeners and clusters from files, to which each part adds its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{Envoy, Part, Run, Running, SHOWN_LOG_LINES, read_from};
use crate::config::Config;
use crate::log::{entries_of, tail};
use crate::wait::{START, wait_for};

const LISTENER: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
/// How Envoy counts updates that it did not take whole.
const REJECTED: &str = "listener_manager.lds.update_rejected";

/// A part of an Envoy, which is started if there is none of the kind.
pub(super) fn start(config: &Config) -> Result<Envoy> {
    static ENVOYS: Mutex<BTreeMap<String, Arc<Shared>>> = Mutex::new(BTreeMap::new());

    let mut rest = config.to_value()?;
    let resources = &mut rest["static_resources"];
    let listeners = take(&mut resources["listeners"]);
    let clusters = take(&mut resources["clusters"]);
    let kind = format!("{rest} {:?}", config.run);
    let shared = {
        let mut envoys = ENVOYS.lock().unwrap_or_else(PoisonError::into_inner);
        match envoys.get(&kind) {
            Some(shared) => Arc::clone(shared),
            None => {
                let shared = Arc::new(Shared::start(rest, config)?);
                envoys.insert(kind, Arc::clone(&shared));
                shared
            }
        }
    };
    shared.add(listeners, clusters)
}

fn take(list: &mut Value) -> Vec<Value> {
    match list.take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

struct Shared {
    running: Arc<Running>,
    files: Mutex<Files>,
}

/// Where Envoy finds its listeners and clusters.
struct Files {
    folder: PathBuf,
    listeners: Vec<Value>,
    clusters: Vec<Value>,
    /// How many parts there have been.
    parts: u32,
}

impl Shared {
    fn start(mut bootstrap: Value, config: &Config) -> Result<Self> {
        let run = Run::create()?;
        let folder = run.folder.path().to_owned();
        let files = Files {
            folder,
            listeners: Vec::new(),
            clusters: Vec::new(),
            parts: 0,
        };
        files.write("listeners", &files.listeners)?;
        files.write("clusters", &files.clusters)?;
        let source = |name| json!({"path_config_source": {"path": files.path(name)}});
        bootstrap["dynamic_resources"] = json!({
            "lds_config": source("listeners"),
            "cds_config": source("clusters"),
        });
        bootstrap["node"] = json!({"id": "test", "cluster": "test"});
        run.write(&bootstrap)?;
        Ok(Self {
            running: Arc::new(Running::start(run, config)?),
            files: Mutex::new(files),
        })
    }

    fn add(&self, mut listeners: Vec<Value>, mut clusters: Vec<Value>) -> Result<Envoy> {
        // One after the other: what Envoy says of an update is about this one.
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.parts += 1;
        let mark = format!(".{}", files.parts);
        let mut part = Part {
            vm_ids: BTreeSet::new(),
            log_from: fs::metadata(&self.running.log)?.len(),
        };
        let names: BTreeSet<String> = clusters.iter().filter_map(name_of).collect();
        for cluster in &mut clusters {
            mark_clusters(cluster, &names, &mark);
            append_to(&mut cluster["name"], &mark);
            cluster["@type"] = CLUSTER.into();
        }
        for listener in &mut listeners {
            mark_clusters(listener, &names, &mark);
            mark_vms(listener, &mark, &mut part.vm_ids);
            append_to(&mut listener["name"], &mark);
            listener["@type"] = LISTENER.into();
        }

        let (had_listeners, had_clusters) = (files.listeners.len(), files.clusters.len());
        let wanted: Vec<String> = listeners.iter().filter_map(name_of).collect();
        files.clusters.extend(clusters);
        files.listeners.extend(listeners);
        let listening = self.update(&files, had_clusters, &wanted);
        if listening.is_err() {
            // The next part is told of its own mistakes alone.
            files.listeners.truncate(had_listeners);
        }
        let listening = listening.with_context(|| {
            let log = read_from(&self.running.log, part.log_from);
            let log = entries_of(&log, |entry| part.has(entry));
            let log = tail(&log, SHOWN_LOG_LINES);
            format!("a shared Envoy does not take this configuration; the end of its log:\n{log}")
        })?;
        let own = listening.into_iter().map(|(name, address)| {
            let name = name.strip_suffix(&mark).unwrap_or(&name);
            (name.to_owned(), address)
        });
        Ok(Envoy {
            running: Arc::clone(&self.running),
            listeners: own.collect(),
            part: Some(part),
        })
    }

    /// Has Envoy read the files and waits until it has what is new: these listeners, in this order.
    fn update(
        &self,
        files: &Files,
        had_clusters: usize,
        wanted: &[String],
    ) -> Result<Vec<(String, std::net::SocketAddr)>> {
        let admin = &self.running.admin;
        // A route needs its cluster.
        files.write("clusters", &files.clusters)?;
        let new = files.clusters.iter().skip(had_clusters);
        let new: Vec<String> = new.filter_map(name_of).collect();
        wait_for("the clusters of a shared Envoy", START, || {
            let known = admin.get("/clusters")?;
            let has = |name: &String| known.contains(&format!("{name}::observability_name"));
            Ok(new.iter().all(has).then_some(()))
        })?;

        let rejected = || Ok::<_, anyhow::Error>(admin.stat(REJECTED)?.unwrap_or(0));
        let before = rejected()?;
        files.write("listeners", &files.listeners)?;
        wait_for("the listeners of a shared Envoy", START, || {
            let known: BTreeMap<_, _> = admin.listeners()?.into_iter().collect();
            let own = wanted
                .iter()
                .map(|name| Some((name.clone(), *known.get(name)?)));
            let own: Option<Vec<_>> = own.collect();
            if own.is_none() && rejected()? > before {
                bail!("it has rejected listeners");
            }
            Ok(own)
        })
    }
}

impl Files {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name).with_extension("json")
    }

    fn write(&self, name: &str, resources: &[Value]) -> Result<()> {
        let text = json!({"version_info": self.parts.to_string(), "resources": resources});
        let path = self.path(name);
        let new: &Path = &path.with_extension("new");
        fs::write(new, text.to_string())?;
        // Envoy looks when a file is moved there.
        fs::rename(new, path)?;
        Ok(())
    }
}

fn name_of(resource: &Value) -> Option<String> {
    resource["name"].as_str().map(str::to_owned)
}

fn append_to(text: &mut Value, mark: &str) {
    let marked = format!("{}{mark}", text.as_str().unwrap_or_default());
    *text = marked.into();
}

/// Where one of these clusters is named, names this part's. That is also in the modules' own configurations,
/// which are JSON in a text.
fn mark_clusters(value: &mut Value, names: &BTreeSet<String>, mark: &str) -> bool {
    let mut any = false;
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let named = matches!(key.as_str(), "cluster" | "cluster_name")
                    && value.as_str().is_some_and(|name| names.contains(name));
                if named {
                    append_to(value, mark);
                    any = true;
                } else {
                    any |= mark_clusters(value, names, mark);
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                any |= mark_clusters(item, names, mark);
            }
        }
        Value::String(text) if text.starts_with('{') => {
            // Otherwise it stays as it is, byte for byte.
            if let Ok(mut inner) = serde_json::from_str(text)
                && mark_clusters(&mut inner, names, mark)
            {
                *text = inner.to_string();
                any = true;
            }
        }
        _ => {}
    }
    any
}

/// Gives the modules VMs of this part's.
fn mark_vms(value: &mut Value, mark: &str, ids: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(vm_config) = fields.get_mut("vm_config") {
                append_to(&mut vm_config["vm_id"], mark);
                ids.extend(vm_config["vm_id"].as_str().map(str::to_owned));
            }
            for value in fields.values_mut() {
                mark_vms(value, mark, ids);
            }
        }
        Value::Array(items) => {
            for item in items {
                mark_vms(item, mark, ids);
            }
        }
        _ => {}
    }
}
