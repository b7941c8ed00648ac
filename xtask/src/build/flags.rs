//! What the compiler is told beside what the profile says.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use crate::target;
use crate::workspace::Workspace;

/// Has the compiler write none of this machine's folders into modules, in which panics say where they
/// were: in whatever folder it is built, a module is the same to the byte.
///
/// The workspace's own files go by their place in it as it is. A flag that named its folder would have Cargo build all
/// crates anew for each copy of it that builds into the same target folder, as tests do.
pub(super) fn without_paths(command: &mut Command, workspace: &Workspace) {
    let mut folders = vec![(workspace.target().to_owned(), "target")];
    let sources = workspace.registry_sources().into_iter();
    folders.extend(sources.map(|folder| (folder, "crates")));
    add(command, &remaps(folders));
}

/// Of folders that lie in each other, rustc takes the last that fits, which has to be the innermost: the sources of
/// crates may be in the workspace, and the target folder often is.
fn remaps(mut folders: Vec<(PathBuf, &str)>) -> Vec<String> {
    folders.sort_by_key(|(folder, _)| folder.components().count());
    let flag =
        |(folder, name): (PathBuf, _)| format!("--remap-path-prefix={}={name}", folder.display());
    folders.into_iter().map(flag).collect()
}

/// Adds flags to those of the user. Cargo takes them from the first place that has any, so that what stands in its
/// configuration is not looked at when the environment has some.
fn add(command: &mut Command, flags: &[String]) {
    match of_environment(|name| env::var(name).ok()) {
        Some(theirs) => {
            let all = [&theirs, flags].concat();
            command.env(ENCODED, all.join(SEPARATOR));
        }
        None => {
            command.args(["--config", &configuration(flags)]);
        }
    }
}

const ENCODED: &str = "CARGO_ENCODED_RUSTFLAGS";
const SEPARATOR: &str = "\x1f";

/// The flags that cargo would take from the environment. There are such, though none, where a variable is empty.
fn of_environment(get: impl Fn(&str) -> Option<String>) -> Option<Vec<String>> {
    let flags = |text: String, separator| {
        let pieces = text.split(separator).filter(|flag| !flag.is_empty());
        pieces.map(str::to_owned).collect()
    };
    match get(ENCODED) {
        Some(encoded) => Some(flags(encoded, SEPARATOR)),
        None => get("RUSTFLAGS").map(|plain| flags(plain, " ")),
    }
}

fn configuration(flags: &[String]) -> String {
    let flags: Vec<_> = flags.iter().map(|flag| toml_text(flag)).collect();
    format!("target.{}.rustflags=[{}]", target::WASI, flags.join(","))
}

fn toml_text(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_folder_comes_last() {
        let folders = vec![
            (
                "/home/me/project/.cargo/registry/src/index".into(),
                "crates",
            ),
            ("/home/me/project/target".into(), "target"),
            ("/home/me/project".into(), "legation"),
        ];

        let flags = remaps(folders);

        assert_eq!(
            flags,
            [
                "--remap-path-prefix=/home/me/project=legation",
                "--remap-path-prefix=/home/me/project/target=target",
                "--remap-path-prefix=/home/me/project/.cargo/registry/src/index=crates",
            ]
        );
    }

    #[test]
    fn flags_of_the_environment_are_those_that_cargo_takes() {
        let of = |variables: &[(&str, &str)]| {
            of_environment(|name| {
                let mut all = variables.iter();
                all.find(|(of, _)| *of == name)
                    .map(|(_, value)| (*value).to_owned())
            })
        };
        let some = |flags: &[&str]| Some(flags.iter().map(|&flag| flag.to_owned()).collect());

        assert_eq!(of(&[]), None);
        let plain = ("RUSTFLAGS", " -C debuginfo=0  -Dwarnings");
        assert_eq!(of(&[plain]), some(&["-C", "debuginfo=0", "-Dwarnings"]));
        let encoded = (ENCODED, "--cfg\x1fname=\"a b\"");
        assert_eq!(of(&[plain, encoded]), some(&["--cfg", "name=\"a b\""]));
        assert_eq!(of(&[plain, (ENCODED, "")]), some(&[]));
        assert_eq!(of(&[("RUSTFLAGS", "")]), some(&[]));
    }

    #[test]
    fn a_path_is_written_as_toml_has_it() {
        let flags = [r#"--remap-path-prefix=C:\a "b"=crates"#.to_owned()];
        let written = configuration(&flags);

        assert_eq!(
            written,
            r#"target.wasm32-wasip1.rustflags=["--remap-path-prefix=C:\\a \"b\"=crates"]"#
        );
    }
}
