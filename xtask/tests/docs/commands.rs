//! The commands that pages show.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use legation_tests::{Client, envoy_config_dir};
use rustix::process::Signal;

use super::book::{self, Block, Page};
use super::curl::Curl;
use super::{envoy, output};

/// How a command is checked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Check {
    /// It is run where the page's files are, and what it prints compared.
    Run,
    /// `cargo xtask` takes its arguments. What it does is shown by the tests of the command itself.
    Taken,
    /// By the requests that [`envoy`] sends.
    Request,
    /// It is none of ours, and does one plain thing.
    Plain,
}

/// Every command that a page may show, by how it begins; those further down are less exact.
const KNOWN: [(&str, Check); 14] = [
    ("curl ", Check::Request),
    ("cargo xtask validate ", Check::Run),
    ("cargo xtask new ", Check::Taken), // tests/new.rs
    ("cargo xtask demo", Check::Taken),
    ("cargo xtask test", Check::Taken),
    ("cargo xtask build", Check::Taken),
    ("cargo xtask bench", Check::Taken),
    ("cargo xtask run ", Check::Taken),
    ("cargo test -p ", Check::Plain),
    ("cargo doc --open -p legation", Check::Plain),
    ("rustup target add wasm32-wasip1", Check::Plain),
    ("openssl rand -base64 48", Check::Plain),
    ("cp target/legation/", Check::Plain),
    ("envoy -c ", Check::Plain),
];

fn check_of(command: &str) -> Option<Check> {
    let known = KNOWN.iter().find(|(begin, _)| command.starts_with(begin));
    known.map(|(_, check)| *check)
}

/// The commands of a block, each in one line; none where it has no commands.
pub(crate) fn of(block: &Block) -> Vec<String> {
    if block.language() != "sh" {
        return Vec::new();
    }
    let text = block.text.replace("\\\n", " ");
    let lines = text.lines().map(|line| match line.split_once("  #") {
        Some((command, _)) => command.trim().to_owned(),
        None => line.trim().to_owned(),
    });
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

#[test]
fn every_block_says_how_it_is_checked() -> Result<()> {
    let mut unknown = Vec::new();
    for page in book::pages()? {
        for (at, block) in page.blocks.iter().enumerate() {
            let behind_commands = at > 0 && page.blocks[at - 1].language() == "sh";
            let fine = match block.language() {
                "yaml" => envoy::filter_of(block).is_some() || envoy::is_part_of_envoys(block),
                "text" => behind_commands,
                // By the SDK's documentation, of which it is a part.
                "rust" => page.path == Path::new("README.md"),
                "sh" => true,
                _ => false,
            };
            let is_file = block.words().iter().any(|word| word.starts_with("file="));
            if !fine && !is_file {
                unknown.push(format!(
                    "{}: {}",
                    page.place(block.line),
                    block.info.join(" ")
                ));
            }
            for command in of(block) {
                if check_of(&command).is_none() {
                    unknown.push(format!("{}: {command}", page.place(block.line)));
                }
            }
        }
    }
    assert!(unknown.is_empty(), "nothing checks\n{}", unknown.join("\n"));
    Ok(())
}

#[test]
fn every_command_does_what_its_page_shows() -> Result<()> {
    let mut wrong = Vec::new();
    for page in book::pages()? {
        let folder = tempfile::tempdir()?;
        write_files(&page, folder.path())?;
        let shipped = folder.path().join("envoy-config");
        std::os::unix::fs::symlink(envoy_config_dir(), shipped)?;
        for (at, block) in page.blocks.iter().enumerate() {
            for command in of(block) {
                let check = check_of(&command);
                let words = shlex::split(&command).context("quotes that do not end")?;
                let mut run = Command::new(env!("CARGO_BIN_EXE_xtask"));
                run.args(words.iter().skip(2)).current_dir(folder.path());
                match check {
                    Some(Check::Run) => {}
                    Some(Check::Taken) => {
                        run.arg("--help");
                    }
                    _ => continue,
                }
                let place = page.place(block.line);
                let answer = run.env("NO_COLOR", "1").output()?;
                let printed = String::from_utf8_lossy(&answer.stdout).into_owned();
                if check == Some(Check::Taken) {
                    if !answer.status.success() {
                        let told = String::from_utf8_lossy(&answer.stderr);
                        wrong.push(format!("{place}: {command}\n{told}"));
                    }
                    continue;
                }
                let next = page.blocks.get(at + 1);
                let shown = next.filter(|next| next.language() == "text");
                let fine = match shown {
                    Some(shown) => output::shows(&shown.text, &printed),
                    None => answer.status.success(),
                };
                if !fine {
                    let shown = shown.map_or("", |shown| shown.text.as_str());
                    let told = String::from_utf8_lossy(&answer.stderr);
                    wrong.push(format!(
                        "{place}: shown is\n{shown}\nbut it is\n{printed}{told}"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// `cargo xtask run` of a page's own file: what it starts answers as the page shows, and stops when it is told to.
#[test]
fn what_run_starts_answers_as_its_page_shows() -> Result<()> {
    let page = Page::read(&Path::new(book::BOOK).join("getting-started.md"))?;
    let folder = tempfile::tempdir()?;
    write_files(&page, folder.path())?;
    let runs = |block: &Block| {
        of(block)
            .iter()
            .any(|it| it.starts_with("cargo xtask run "))
    };
    let at = page.blocks.iter().position(runs).context("no `run`")?;
    let [run, ask, shown] = &page.blocks[at..at + 3] else {
        bail!("a request and its answer follow");
    };
    let words = shlex::split(&of(run).concat()).context("quotes that do not end")?;
    let words = words
        .iter()
        .map(|word| if word == "10000" { "0" } else { word });
    let mut child = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(words.skip(2))
        .current_dir(folder.path())
        .env("NO_COLOR", "1")
        .stdout(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("a pipe")?).lines();
    let mut printed = String::new();
    let address = loop {
        let line = lines.next().with_context(|| printed.clone())??;
        if let Some(url) = line.trim().strip_prefix("curl -i http://") {
            break url.split('/').next().unwrap_or_default().parse()?;
        }
        printed += &line;
    };
    let words = shlex::split(&of(ask).concat()).context("quotes that do not end")?;
    let answer = Curl::parse(&words[1..])?.run(&Client::http1(address))?;
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::INT)?;
    let rest: Vec<_> = lines.collect::<Result<_, _>>()?;

    assert!(output::shows(&shown.text, &answer), "{answer}");
    assert!(child.wait()?.success());
    assert_eq!(rest.last().map(String::as_str), Some("stopped"));
    Ok(())
}

/// The configurations of filters that a page gives a file's name; each that is refused has a
/// command that tells why.
fn write_files(page: &Page, folder: &Path) -> Result<()> {
    let commands: Vec<_> = page.blocks.iter().flat_map(of).collect();
    for block in page
        .blocks
        .iter()
        .filter(|it| envoy::filter_of(it).is_some())
    {
        let words = block.words();
        let file = words.get(1).filter(|word| **word != "refused");
        if let Some(file) = file {
            fs::write(folder.join(file), &block.text)?;
        }
        if envoy::is_refused(block) {
            let told = file.is_some_and(|file| {
                let mut validates = commands
                    .iter()
                    .filter(|it| check_of(it) == Some(Check::Run));
                validates.any(|command| command.ends_with(&format!(" {file}")))
            });
            assert!(told, "{}: no command says why", page.place(block.line));
        }
    }
    Ok(())
}
