//! A real browser: Chromium without a window, driven over the DevTools protocol.
//!
//! ```no_run
//! use legation_tests::{Browser, Reply, Upstream};
//!
//! # fn main() -> anyhow::Result<()> {
//! let shop = Upstream::answering(|_| {
//!     Reply::ok()
//!         .header("content-type", "text/html")
//!         .header("content-security-policy", "script-src 'none'")
//!         .body("<h1>Shop</h1><script>buy()</script>")
//! })?;
//! let browser = Browser::start()?;
//! let page = browser.page()?;
//! page.goto(&format!("http://shop.example:{}/", shop.address().port()))?;
//! assert_eq!(page.text("h1")?, "Shop");
//! let violation = page.wait_for_console("script-src 'none'")?;
//! assert_eq!(violation.source, "security");
//! # Ok(())
//! # }
//! ```
//!
//! Every name that ends with `.example`, and `localhost` and what ends with that, is this machine; there
//! are no other names. To Chromium `http://localhost` and its subdomains are as secure as HTTPS, and the
//! `.example` names are not. Any certificate is good for HTTPS.
//!
//! What Chromium opens besides its page (a popup, a worker) is not seen.
//!
//! Tests with it are in a binary of their own, whose `main` is [`run_tests`]: where the machine has no
//! Chromium they are skipped, which is told and counted.

mod connection;
mod page;
mod program;
mod seen;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use serde_json::json;

pub use page::{Cookie, Page};
pub use seen::{ConsoleLine, Fetch};

use crate::process::Process;
use crate::run_folder::RunFolder;
use crate::target::target_dir;
use crate::trials::{Need, Trials};
use crate::wait::DEADLINE;
use connection::Connection;

/// How long its children, which were killed with it, may take to be gone.
const TO_END: Duration = Duration::from_secs(5);

/// What tests with one need.
pub const NEED: Need = Need {
    what: "chromium",
    missing: program::missing,
};

/// A running browser, which tests may share. Dropping it kills it, and what it has started.
pub struct Browser {
    connection: Arc<Connection>,
    process: Option<Process>,
    version: String,
    /// Its profile is in there, and goes when nobody writes to it any more.
    folder: RunFolder,
}

impl Browser {
    /// Starts the Chromium that `CHROMIUM` in the environment names, or that is on `PATH` as `chromium`,
    /// `chromium-browser` or `google-chrome`. Where there is none the error says what to install.
    pub fn start() -> Result<Self> {
        let chromium = program::find()?;
        let folder = RunFolder::create(&target_dir()?.join("legation-tests"))?;
        let command = program::command(&chromium, folder.path());
        let cannot = || format!("cannot run {}", chromium.display());
        let mut process = Process::start_with_children(command).with_context(cannot)?;
        let pipes = process.pipes().context("Chromium has no pipes")?;
        let mut browser = Self {
            connection: Connection::new(pipes),
            process: Some(process),
            version: String::new(),
            folder,
        };
        let version = browser
            .connection
            .call(None, "Browser.getVersion", &json!({}), DEADLINE)
            .with_context(cannot)?;
        let product = version["product"].as_str().unwrap_or_default();
        product.clone_into(&mut browser.version);
        Ok(browser)
    }

    /// Opens a page that shares nothing with the others.
    pub fn page(&self) -> Result<Page> {
        Page::open(&self.connection).context("cannot open a page")
    }

    /// What it is, such as `Chrome/140.0.7339.80`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Where everything that it keeps stands.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.process = None;
        self.connection.wait_for_end(TO_END);
    }
}

impl fmt::Debug for Browser {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Browser({})", self.version)
    }
}

/// A test, by its name. All tests of a binary share a browser.
pub type Test = (&'static str, fn(&Browser) -> Result<()>);

/// The `main` of a test binary with `harness = false`: runs the tests, or says why it skips them, and
/// ends the process.
pub fn run_tests(tests: &[Test]) -> ! {
    let shared = Arc::new(OnceLock::<Result<Browser, String>>::new());
    let tests = tests.iter().map(|&(name, test)| {
        let shared = Arc::clone(&shared);
        let test = move || {
            let started = || Browser::start().map_err(|error| format!("{error:?}"));
            let browser = shared.get_or_init(started).as_ref();
            test(browser.map_err(|error| anyhow!(error.clone()))?)
        };
        (name, test)
    });
    let trials = Trials::new().with_trials(&NEED, tests);
    // Ending the process drops nothing: the last test does.
    drop(shared);
    trials.run()
}
