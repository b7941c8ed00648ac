//! The tutorial's files are those of the crate that the workspace builds and tests.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use legation_tests::workspace_root;

use super::book::{BOOK, Page};

/// Both fit into one workspace: the reader's filter, and the project's.
const NAMES: [(&str, &str); 3] = [
    ("key-check", "tutorial"),
    ("key_check", "tutorial"),
    ("KeyCheck", "Tutorial"),
];

#[test]
fn the_tutorials_files_are_those_that_are_tested() -> Result<()> {
    let root = workspace_root().join("tests/modules/tutorial");
    let page = Page::read(&Path::new(BOOK).join("writing-a-filter.md"))?;
    let ours = |text: &str| {
        let replace = |text: String, (theirs, own)| text.replace(theirs, own);
        NAMES.into_iter().fold(text.to_owned(), replace)
    };
    let mut shown = 0;
    for block in &page.blocks {
        let words = block.words();
        let file = words.iter().find_map(|word| word.strip_prefix("file="));
        let Some(file) = file else { continue };
        shown += 1;
        let path = root.join(ours(file));
        let tested = fs::read_to_string(&path)
            .with_context(|| format!("{}: {}", page.place(block.line), path.display()))?;
        assert_eq!(ours(&block.text), tested, "{}", page.place(block.line));
    }
    assert!(shown > 0, "the tutorial shows no file");
    Ok(())
}
