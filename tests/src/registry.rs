//! A real registry of images: the machine's `docker-registry`.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::Result;
use serde_json::json;

use crate::binary::on_path;
use crate::client::Client;
use crate::message::Request;
use crate::server::Server;
use crate::trials::Need;

const PROGRAM: &str = "docker-registry";

/// What tests with one need.
pub const NEED: Need = Need {
    what: PROGRAM,
    missing: || {
        on_path(PROGRAM).is_none().then_some(
            "there is no docker-registry on PATH: on Debian or Ubuntu, apt-get install docker-registry",
        )
    },
};

/// A running registry, which speaks HTTP without TLS. Dropping it kills it.
#[derive(Debug)]
pub struct Registry(Server);

impl Registry {
    /// Starts an empty one on a free port of loopback, which takes images from anybody.
    pub fn start() -> Result<Self> {
        Self::start_with(None)
    }

    /// The same, for these users alone: lines as `htpasswd -B` writes them.
    pub fn start_for(users: &str) -> Result<Self> {
        Self::start_with(Some(users))
    }

    fn start_with(users: Option<&str>) -> Result<Self> {
        let is_ready = |client: &Client| {
            // It says so to strangers too.
            let answer = client.send(Request::get("/v2/"));
            answer.is_ok_and(|answer| answer.status == if users.is_some() { 401 } else { 200 })
        };
        let server = Server::start_until("the registry", is_ready, |address, folder| {
            let file = folder.join("registry.json");
            let mut config = json!({
                "version": "0.1",
                "storage": {"filesystem": {"rootdirectory": folder.join("images")}},
                "http": {"addr": address.to_string()},
            });
            if let Some(users) = users {
                let path = folder.join("users");
                fs::write(&path, users)?;
                config["auth"] = json!({"htpasswd": {"realm": "tests", "path": path}});
            }
            fs::write(&file, config.to_string())?;
            let mut command = Command::new(PROGRAM);
            command.arg("serve").arg(file);
            Ok(command)
        })?;
        Ok(Self(server))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// A client of it.
    pub fn client(&self) -> &Client {
        self.0.client()
    }
}
