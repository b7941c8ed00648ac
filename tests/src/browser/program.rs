//! Finds Chromium, and says how it is started.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::binary::{from_env, on_path};

const VARIABLE: &str = "CHROMIUM";
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

const MISSING: &str = "there is no Chromium on PATH: on Debian, apt-get install chromium, \
    or name one in the environment: CHROMIUM=/path/to/chromium";

/// It runs as in a user's hands, but without a window, and asks nobody for anything except the pages
/// that it is sent to.
const FLAGS: &[&str] = &[
    "--headless=new",
    // Its messages come by pipes. When they close it ends, whatever became of the test.
    "--remote-debugging-pipe",
    // The sandbox needs rights that a container seldom gives.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    // Nothing of its own goes to the network, and nothing waits for a keyring or a crash reporter.
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--metrics-recording-only",
    "--no-default-browser-check",
    "--no-first-run",
    "--no-proxy-server",
    "--no-service-autorun",
    "--password-store=basic",
    "--use-mock-keychain",
    "--disable-quic",
    // The Reporting API sends what it has at once, not once a minute.
    "--short-reporting-delay",
    // The certificates of tests.
    "--ignore-certificate-errors",
    // A page behind another one works as fast as that.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--disable-hang-monitor",
    "--disable-prompt-on-repost",
    // Frames of other sites stay in the page's process: their messages come by the same session.
    "--disable-site-isolation-trials",
    "--disable-features=AutofillServerCommunication,HttpsFirstBalancedModeAutoEnable,HttpsUpgrades,\
     MediaRouter,OptimizationHints,Translate",
    "--lang=en-US",
    "--mute-audio",
    // Names for tests, all on this machine; there are no others.
    "--host-resolver-rules=MAP *.example 127.0.0.1, MAP localhost 127.0.0.1, \
     MAP *.localhost 127.0.0.1, MAP * ^NOTFOUND, EXCLUDE 127.0.0.1",
];

/// Why there is no browser on this machine, and how there could be one.
pub(super) fn missing() -> Option<&'static str> {
    let found = from_env(VARIABLE).is_some() || installed().is_some();
    (!found).then_some(MISSING)
}

/// Chromium: the file that `CHROMIUM` names, or the one on `PATH`.
pub(super) fn find() -> Result<PathBuf> {
    let Some(named) = from_env(VARIABLE).map(PathBuf::from) else {
        return installed().context(MISSING);
    };
    if !named.is_file() {
        bail!(
            "CHROMIUM names {}, which is no file; unset it, or name Chromium's program",
            named.display()
        );
    }
    Ok(named)
}

fn installed() -> Option<PathBuf> {
    NAMES.into_iter().find_map(on_path)
}

/// How Chromium is started: commands go to its input, what it answers comes from its output. Everything
/// that it keeps stands in the folder.
pub(super) fn command(chromium: &Path, folder: &Path) -> Command {
    // It reads commands from descriptor 3 and writes to 4.
    const TO_3_AND_4: &str = r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >&2"#;

    let mut profile = std::ffi::OsString::from("--user-data-dir=");
    profile.push(folder.join("profile"));
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", TO_3_AND_4])
        .arg(chromium)
        .args(FLAGS)
        .arg(profile)
        .arg("about:blank")
        .env("HOME", folder)
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .env("XDG_CONFIG_HOME", folder.join("config"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}
