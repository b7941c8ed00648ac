//! `cargo xtask run`: one filter in Envoy, to try things with curl.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anstream::println;
use anyhow::{Context, Result, bail};
use legation_tests::{Config, Envoy, Reply, Upstream, parse_log};
use serde_json::json;

use crate::filter_config::FilterConfig;
use crate::module::Module;
use crate::stop::Stop;
use crate::terminal::{BAD, BOLD, DIM, WARN, Wait, styled};
use crate::validate;
use crate::workspace::Workspace;

/// Run one filter in Envoy, with an upstream that answers what it received.
///
/// Prints the URL to try with curl, follows Envoy's log, and stops on Ctrl-C.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A filter, such as header-tag, or the path of any .wasm file.
    filter: String,
    /// The filter's configuration, or a configuration of Envoy that holds it; YAML or JSON.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The port to listen on; a free one unless given.
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// A variable that the filter finds in its environment; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = validate::variable)]
    env: Vec<(String, String)>,
    /// The least level of log lines to show of the filter.
    #[arg(long, default_value = "info", value_parser = ["trace", "debug", "info", "warning", "error"])]
    log: String,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    let module = Module::find(&workspace, &args.filter)?;
    let file = FilterConfig::read(&args.config, &module.name)?;
    legation_tests::envoy_binary()?;
    check_free(args.port)?;

    let upstream = Upstream::answering(Reply::showing)?;
    let mut config = module
        .alone(&file.value)?
        .log_level("warning", &format!("wasm:{}", args.log))
        .endpoint("upstream", upstream.address());
    for (name, value) in file.environment.iter().chain(&args.env) {
        config = config.vm_environment(&module.name, name, value);
    }
    let stop = Stop::listen()?;
    let wait = Wait::begin(format!("starting Envoy with {}", module.name));
    let envoy = match Envoy::start(&listen_on(config, args.port)) {
        Ok(envoy) => envoy,
        Err(error) => {
            drop(wait);
            validate::explain(&error, &args.config, &file)?;
            return Ok(ExitCode::FAILURE);
        }
    };
    wait.done();

    let url = format!("http://{}", envoy.address()?);
    println!();
    println!("  {} {}", styled(BOLD, "Envoy   "), url);
    println!(
        "  {} http://{}",
        styled(BOLD, "admin   "),
        envoy.admin().address()
    );
    println!(
        "  {} http://{} answers what it received",
        styled(BOLD, "upstream"),
        upstream.address()
    );
    println!();
    println!("  curl -i {url}/hello");
    println!();
    println!("Envoy's log follows. Ctrl-C stops everything.");
    follow(envoy, &stop)?;
    println!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Has the first listener use this port on loopback; 0 is any free one.
pub(crate) fn listen_on(config: Config, port: u16) -> Config {
    if port == 0 {
        return config;
    }
    config.keep_addresses().edit(|root| {
        let address =
            |port: u16| json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
        root["static_resources"]["listeners"][0]["address"] = address(port);
        root["admin"]["address"] = address(0);
    })
}

/// Envoy would say it too, in the middle of a long log.
pub(crate) fn check_free(port: u16) -> Result<()> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    match TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(error) => Err(error).with_context(|| {
            format!(
                "--port {port}: cannot listen on it; choose another, or leave it out for a free one"
            )
        }),
    }
}

/// Shows Envoy's log as it grows, until Ctrl-C. An error if Envoy ends before.
fn follow(mut envoy: Envoy, stop: &Stop) -> Result<()> {
    let mut log = Log::open(envoy.log_file())?;
    loop {
        log.show_new()?;
        if stop.wait(Duration::from_millis(100)) {
            return Ok(());
        }
        if !envoy.is_running() {
            log.show_new()?;
            bail!("Envoy has ended by itself; its log above may say why");
        }
    }
}

/// A log file that grows.
struct Log {
    file: BufReader<File>,
    /// The beginning of a line whose end is not there yet.
    begun: Vec<u8>,
}

impl Log {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self {
            file: BufReader::new(file),
            begun: Vec::new(),
        })
    }

    fn show_new(&mut self) -> Result<()> {
        while let Some(line) = self.next_line()? {
            println!("{}", colored(&line));
        }
        Ok(())
    }

    fn next_line(&mut self) -> Result<Option<String>> {
        self.file
            .read_until(b'\n', &mut self.begun)
            .context("cannot read Envoy's log")?;
        if self.begun.last() != Some(&b'\n') {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&self.begun).trim_end().to_owned();
        self.begun.clear();
        Ok(Some(line))
    }
}

/// A log line without what nobody reads; what has another form stays as it is.
fn colored(line: &str) -> String {
    let entries = parse_log(line);
    let Some(entry) = entries.first() else {
        return line.to_owned();
    };
    let style = match entry.level.as_str() {
        "error" | "critical" => BAD,
        "warning" | "warn" => WARN,
        _ => DIM,
    };
    let level = styled(style, format_args!("{:>8}", entry.level));
    match entry.from_module() {
        Some(text) => format!("{level} {text}"),
        None => format!(
            "{level} {DIM}[{}]{DIM:#} {}",
            entry.component, entry.message
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_told_with_what_to_do() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("binds");
        let port = taken.local_addr().expect("is bound").port();

        let error = check_free(port).expect_err("is taken").to_string();

        assert!(error.contains(&format!("--port {port}")), "{error}");
    }

    #[test]
    fn the_log_loses_what_nobody_reads() {
        let line = "[2026-11-21 11:07:27.453][19719][info][wasm] [source/a.cc:7] wasm log tag tag v: hello";

        let shown = anstream::adapter::strip_str(&colored(line)).to_string();

        assert_eq!(shown, "    info hello");
    }

    #[test]
    fn a_line_of_an_access_log_stays_as_it_is() {
        assert_eq!(colored("GET / 200"), "GET / 200");
    }

    #[test]
    fn a_log_is_read_line_by_line_as_it_grows() {
        use std::io::Write;
        let path = std::env::temp_dir().join(format!("xtask-log-{}", std::process::id()));
        let mut file = File::create(&path).expect("creates");
        let mut log = Log::open(&path).expect("opens");

        write!(file, "one\ntw").expect("writes");
        assert_eq!(log.next_line().expect("reads"), Some("one".to_owned()));
        assert_eq!(log.next_line().expect("reads"), None);
        writeln!(file, "o").expect("writes");
        assert_eq!(log.next_line().expect("reads"), Some("two".to_owned()));

        std::fs::remove_file(&path).expect("removes");
    }
}
