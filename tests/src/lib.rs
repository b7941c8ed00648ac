//! The harness that runs the real Envoy, and (in `tests/`) the end-to-end tests.
//!
//! It knows filters only as built modules and configuration. A test takes a file that users copy
//! from `envoy-config/`, starts Envoy on free ports with a recording server behind it, sends
//! requests, and looks at three things: the answer, what arrived at the server, and Envoy's
//! counters and log.
//!
//! # A test
//!
//! ```no_run
//! use legation_tests::{Config, DEADLINE, Reply, Request, Stage};
//! use serde_json::json;
//!
//! # fn main() -> anyhow::Result<()> {
//! // Arrange: the shipped file `envoy-config/filters/header-tag.yaml` with a
//! // configuration of the test's own.
//! let config = Config::with_filter("header-tag", json!({
//!     "rules": [{
//!         "request": {"set": {"X-Envoy-Plugin": "header-tag"}},
//!         "response": {"remove": ["X-Powered-By"]},
//!     }],
//! }))?;
//! let stage = Stage::start(&config)?;
//! stage.upstream().enqueue(Reply::ok().header("x-powered-by", "gears"));
//!
//! // Act
//! let exchange = stage.exchange(Request::get("/").header("x-bytes", b"\xff"))?;
//!
//! // Assert
//! assert_eq!(exchange.response.status, 200);
//! assert!(!exchange.response.headers.contains("x-powered-by"));
//! let arrived = exchange.arrived()?;
//! assert_eq!(arrived.headers.text("x-envoy-plugin").as_deref(), Some("header-tag"));
//! assert_eq!(arrived.headers.get("x-bytes"), Some(&b"\xff"[..]));
//! stage.admin().wait_for_stat("http.ingress.downstream_rq_2xx", DEADLINE, |n| n == 1)?;
//! # Ok(())
//! # }
//! ```
//!
//! When an assertion fails, the [`Stage`] prints the requests, what came back, what the upstream
//! saw and the end of Envoy's log. Each stage has an Envoy of its own, which starts in a tenth of
//! a second, and a second or two more for a module to be compiled. [`Config::shared`] spares that: such
//! stages have parts of one Envoy, in which they do not meet. Where many tests share a whole stage,
//! [`Stage::report_on_panic`] and [`Request::id`] keep them apart.
//!
//! # A configuration that is refused
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use legation_tests::{Config, Envoy, check_configuration, module};
//!
//! // What Envoy says when it starts, in full:
//! let config = Config::with_filter("header-tag", r#"{"ruels": []}"#)?;
//! let error = Envoy::start(&config).unwrap_err();
//! assert_eq!(error.module_errors().len(), 1, "{error}");
//!
//! // The module's errors alone, by `envoy --mode validate`:
//! let verdict = check_configuration(&module("header-tag")?, r#"{"ruels": []}"#)?;
//! assert!(!verdict.accepted);
//! # Ok(())
//! # }
//! ```
//!
//! # What is where
//!
//! - [`Config`]: a file of `envoy-config/`, and what a test changes in it.
//! - [`WatchedFilter`]: a filter whose configuration changes while Envoy runs.
//! - [`Stage`]: Envoy, upstream and clients in one. [`Envoy`] is the process alone, [`Admin`] its
//!   counters and log levels.
//! - [`Upstream`] and [`Reply`]: a server that records, and answers by a script; further ones
//!   (for keys, for tokens) are put in by [`Config::endpoint`].
//! - [`Client`], [`Request`], [`Response`], [`Headers`]; [`RawConnection`] for what no client
//!   would send.
//! - [`envoy_binary`]: which Envoy runs. `ENVOY=/path/to/envoy` or `ENVOY_VERSION=1.36.4` in the
//!   environment choose another one.
//! - [`jwt`]: keys of every algorithm, a minter of tokens, good ones and hostile ones, and an issuer
//!   whose key server can be made to fail.
//! - [`idp`]: a real identity provider, for tokens as they come in life.
//! - [`oidc`]: a provider of sign-ins that does what it is told, also what no real one would.
//! - [`visitor`]: a client that has cookies and follows redirects, as browsers do.
//! - [`csp_evaluator`]: what Google's CSP Evaluator says of a policy.
//! - [`npm`]: programs for Node.js; [`editor`]: what an editor shows of a file.
//! - [`crds`]: what a Kubernetes API server would say of an object.
//! - [`limitador`]: a real rate limit service, and a real Redis behind it.
//! - [`grafana`]: what Grafana's types say of a dashboard.
//! - [`prometheus`]: the real Prometheus, which scrapes the real Envoy; [`registry`]: a registry of images;
//!   [`Server`]: any other program that listens.
//! - [`browser`]: a real browser, for what only that decides: policies, cookies, a sign-in.
//! - [`trials`]: the `main` of tests that need what not every machine has.
//! - [`module`]: the modules that `cargo xtask build` makes. Tests do not build them; without them
//!   they fail and say so.
//!
//! Everything blocks, and waits with a deadline ([`DEADLINE`]) that only what never comes will
//! meet.

mod admin;
mod binary;
mod body;
pub mod browser;
mod check;
mod client;
mod config;
pub mod crds;
pub mod csp_evaluator;
mod differences;
pub mod editor;
mod envoy;
pub mod grafana;
mod headers;
pub mod idp;
pub mod jwt;
pub mod limitador;
pub mod load;
mod log;
mod message;
pub mod npm;
pub mod oidc;
mod process;
pub mod prometheus;
mod raw;
pub mod registry;
mod run_folder;
mod runtime;
mod server;
mod stage;
mod target;
pub mod trials;
mod upstream;
pub mod visitor;
mod wait;
mod watched;

pub use admin::Admin;
pub use binary::{
    ENVOY_VERSION, OLDEST_ENVOY_VERSION, envoy_binary, envoy_version, fetch_envoy, on_path,
};
pub use browser::Browser;
pub use check::{Verdict, check_configuration};
pub use client::Client;
pub use config::{Config, SECRET, read_yaml, wasm_filter};
pub use differences::check_differences;
pub use envoy::{Envoy, EnvoyThread, StartError};
pub use headers::Headers;
pub use load::Load;
pub use log::{LogEntry, parse_log};
pub use message::{ID_HEADER, Received, Request, Response};
pub use process::output_text;
pub use raw::RawConnection;
pub use server::Server;
pub use stage::{Exchange, ReportOnPanic, Stage, UPSTREAM_CLUSTER};
pub use target::{envoy_config_dir, module, module_dir, target_dir, workspace_root};
pub use upstream::{Reply, Upstream};
pub use wait::{DEADLINE, has_waited, wait_for};
pub use watched::WatchedFilter;
