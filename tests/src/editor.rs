//! An editor: what the YAML language server, which stands behind VS Code, Neovim and others, shows of a file.
//!
//! ```no_run
//! use legation_tests::editor::Editor;
//!
//! # fn main() -> anyhow::Result<()> {
//! let mut editor = Editor::open(legation_tests::workspace_root())?;
//! let text = "# yaml-language-server: $schema=envoy-config/schemas/csp.schema.json\nruels: []\n";
//! let problems = editor.problems("my.yaml", text)?;
//! assert_eq!((problems[0].line, problems[0].text.as_str()), (2, "ruels"));
//! # Ok(())
//! # }
//! ```
//!
//! It is npm's `yaml-language-server`, run by Node.js, and spoken with as editors do: by the Language Server Protocol,
//! over its standard input and output. The file itself need not be there.

mod protocol;

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::npm::Program;
use crate::process::Process;
use protocol::Connection;

static SERVER: Program = Program::new(
    "tests/editor",
    "server.mjs",
    "the YAML language server of editors (npm's yaml-language-server)",
);

/// Stands in a text where the cursor is.
pub const CURSOR: char = '‸';

/// A running language server, on a folder. Dropping it kills it.
pub struct Editor {
    connection: Connection,
    _process: Process,
    /// The folder's address, which ends with a slash.
    root: String,
    /// How often a file was opened.
    opened: u32,
}

/// What is underlined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The first line of it, from 1.
    pub line: usize,
    /// What is underlined of that line.
    pub text: String,
    /// What is said of it.
    pub message: String,
}

/// What can be put in at the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What it is called: the name of an option, or a value.
    pub label: String,
    /// What is said of it, in Markdown.
    pub documentation: String,
}

impl Editor {
    /// Opens a folder.
    pub fn open(folder: &Path) -> Result<Self> {
        let mut command = SERVER.command()?;
        command
            .arg("--stdio")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = Process::start(command).context("cannot run the language server")?;
        let pipes = process.pipes().context("the server has no pipes")?;
        let mut connection = Connection::new(pipes, settings());
        let root = format!("file://{}/", folder.display());
        let initialize = json!({
            "processId": std::process::id(),
            "rootUri": root,
            "workspaceFolders": [{"uri": root, "name": "folder"}],
            "capabilities": {
                "workspace": {"configuration": true, "workspaceFolders": true},
                "textDocument": {
                    "publishDiagnostics": {},
                    "hover": {"contentFormat": ["markdown"]},
                    "completion": {"completionItem": {"documentationFormat": ["markdown"]}},
                },
            },
        });
        connection.call("initialize", &initialize)?;
        connection.tell("initialized", &json!({}))?;
        connection.wait_until_configured()?;
        Ok(Self {
            connection,
            _process: process,
            root,
            opened: 0,
        })
    }

    /// What is underlined in a file of this name and text.
    pub fn problems(&mut self, name: &str, text: &str) -> Result<Vec<Problem>> {
        let uri = self.show(name, text)?;
        let found = self.connection.wait_for_diagnostics(&uri)?;
        self.close(&uri)?;
        found.iter().map(|found| problem(found, text)).collect()
    }

    /// What is offered at the [`CURSOR`].
    pub fn offers(&mut self, name: &str, text: &str) -> Result<Vec<Offer>> {
        let answer = self.ask_at_cursor("textDocument/completion", name, text)?;
        let items = answer["items"].as_array().or(answer.as_array());
        let items = items.map(Vec::as_slice).unwrap_or_default();
        let offers = items.iter().map(|item| Offer {
            label: words(&item["label"]),
            documentation: words(&item["documentation"]),
        });
        Ok(offers.collect())
    }

    /// What is told of what stands at the [`CURSOR`], in Markdown.
    pub fn hover(&mut self, name: &str, text: &str) -> Result<String> {
        let answer = self.ask_at_cursor("textDocument/hover", name, text)?;
        Ok(words(&answer["contents"]))
    }

    fn ask_at_cursor(&mut self, method: &str, name: &str, text: &str) -> Result<Value> {
        let Some((before, after)) = text.split_once(CURSOR) else {
            bail!("there is no {CURSOR} in {text}");
        };
        let line = before.matches('\n').count();
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let character = before[start..].encode_utf16().count();
        let uri = self.show(name, &format!("{before}{after}"))?;
        self.connection.wait_for_diagnostics(&uri)?;
        let question = json!({
            "textDocument": {"uri": uri},
            "position": {"line": line, "character": character},
        });
        let answer = self.connection.call(method, &question)?;
        self.close(&uri)?;
        Ok(answer)
    }

    fn show(&mut self, name: &str, text: &str) -> Result<String> {
        let uri = format!("{}{name}", self.root);
        self.opened += 1;
        let document =
            json!({"uri": uri, "languageId": "yaml", "version": self.opened, "text": text});
        self.connection
            .tell("textDocument/didOpen", &json!({"textDocument": document}))?;
        Ok(uri)
    }

    fn close(&mut self, uri: &str) -> Result<()> {
        let document = json!({"textDocument": {"uri": uri}});
        self.connection.tell("textDocument/didClose", &document)?;
        // Closed, it has no problems, which is told: not to be taken for what is said of the next one.
        self.connection.wait_for_diagnostics(uri)?;
        Ok(())
    }
}

/// Those of an editor, by their sections: nothing is fetched.
fn settings() -> Value {
    json!({
        "yaml": {
            "validate": true,
            "hover": true,
            "completion": true,
            "schemaStore": {"enable": false},
            "kubernetesCRDStore": {"enable": false},
        },
    })
}

fn problem(found: &Value, text: &str) -> Result<Problem> {
    let number = |at: &str| -> Result<usize> {
        let number = found.pointer(at).and_then(Value::as_u64);
        Ok(number.context("a position")?.try_into()?)
    };
    let line = number("/range/start/line")?;
    let (start, mut end) = (
        number("/range/start/character")?,
        number("/range/end/character")?,
    );
    let of_line: Vec<u16> = (text.lines().nth(line).unwrap_or_default())
        .encode_utf16()
        .collect();
    if number("/range/end/line")? > line {
        end = of_line.len();
    }
    let underlined = of_line.get(start..end).unwrap_or_default();
    Ok(Problem {
        line: line + 1,
        text: String::from_utf16_lossy(underlined),
        message: words(&found["message"]),
    })
}

/// A text, or the `value` of a `MarkupContent`.
fn words(value: &Value) -> String {
    let text = value.as_str().or(value["value"].as_str());
    text.unwrap_or_default().to_owned()
}
