//! Logs the time and a random number, every five seconds. It has nothing to do with
//! requests: Envoy runs it as a service of its own.

use std::time::Duration;

use chrono::{DateTime, Utc};
use legation::config::{ConfigErrors, NoConfig};
use legation::{Configure, HttpFilter, clock, random};

/// The service.
#[derive(Debug)]
pub struct HelloWorld;

#[legation::filter]
impl HttpFilter for HelloWorld {
    const NAME: &'static str = "hello-world";
    type Config = NoConfig;
    type Stream = ();

    fn configure(_: NoConfig, host: &mut Configure) -> Result<Self, ConfigErrors> {
        log::info!("Hello, World!");
        host.tick_every(Duration::from_secs(5));
        Ok(Self)
    }

    fn on_tick(&self) {
        let mut number = [0];
        if let (Ok(now), Ok(())) = (clock::now(), random::fill(&mut number)) {
            let (now, [number]) = (DateTime::<Utc>::from(now), number);
            log::info!("It's {now}, your lucky number is {number}.");
        }
    }
}

legation::register!(HelloWorld);
