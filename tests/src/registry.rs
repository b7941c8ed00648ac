//! A real registry of images: the machine's `docker-registry`.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::Result;
use serde_json::json;

use crate::binary::on_path;
use crate::client::Client;
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

/// A running registry, which speaks HTTP without TLS and takes images from anybody. Dropping it kills it.
#[derive(Debug)]
pub struct Registry(Server);

impl Registry {
    /// Starts an empty one on a free port of loopback.
    pub fn start() -> Result<Self> {
        let server = Server::start("the registry", "/v2/", |address, folder| {
            let file = folder.join("registry.json");
            let config = json!({
                "version": "0.1",
                "storage": {"filesystem": {"rootdirectory": folder.join("images")}},
                "http": {"addr": address.to_string()},
            });
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
