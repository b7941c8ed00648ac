//! The documentation as it is written: pages, and what stands in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};
use legation_tests::workspace_root;
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// Where the book is.
pub(crate) const BOOK: &str = "docs/src";

/// A file of Markdown.
pub(crate) struct Page {
    /// From the workspace's root.
    pub(crate) path: PathBuf,
    pub(crate) blocks: Vec<Block>,
    pub(crate) links: Vec<Link>,
    pub(crate) anchors: BTreeSet<String>,
    pub(crate) tables: Vec<Table>,
}

/// A fenced block.
pub(crate) struct Block {
    /// What stands behind the fence: the language, and who checks the block how.
    pub(crate) info: Vec<String>,
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// A link or a picture.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) text: String,
    pub(crate) target: String,
    pub(crate) line: usize,
}

/// A table: the texts of its first row, and the rows below it.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// A cell of a table.
#[derive(Default)]
pub(crate) struct Cell {
    pub(crate) text: String,
    /// What stands in it as code.
    pub(crate) code: Vec<String>,
    pub(crate) links: Vec<Link>,
}

impl Block {
    pub(crate) fn language(&self) -> &str {
        self.info.first().map_or("", String::as_str)
    }

    /// The words behind the language.
    pub(crate) fn words(&self) -> Vec<&str> {
        self.info.iter().skip(1).map(String::as_str).collect()
    }
}

impl Page {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(workspace_root().join(path))
            .with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self::parse(path, &text))
    }

    fn parse(path: &Path, text: &str) -> Self {
        let mut page = Self {
            path: path.to_owned(),
            blocks: Vec::new(),
            links: Vec::new(),
            anchors: BTreeSet::new(),
            tables: Vec::new(),
        };
        let mut open: Vec<Link> = Vec::new();
        let mut heading: Option<String> = None;
        let mut block: Option<Block> = None;
        let mut cell: Option<Cell> = None;
        let events = Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter();
        for (event, range) in events {
            let at = 1 + text[..range.start].matches('\n').count();
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                    block = Some(Block {
                        info: info.split_whitespace().map(str::to_owned).collect(),
                        text: String::new(),
                        line: at,
                    });
                }
                Event::End(TagEnd::CodeBlock) => page.blocks.extend(block.take()),
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    if let Some(heading) = heading.take() {
                        page.add_anchor(&heading);
                    }
                }
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    open.push(Link {
                        text: String::new(),
                        target: dest_url.into_string(),
                        line: at,
                    });
                }
                Event::End(TagEnd::Link | TagEnd::Image) => {
                    if let Some(link) = open.pop() {
                        if let Some(cell) = &mut cell {
                            cell.links.push(link.clone());
                        }
                        page.links.push(link);
                    }
                }
                Event::Html(html) | Event::InlineHtml(html) => {
                    page.links.extend(sources(&html, at));
                }
                Event::Start(Tag::Table(_)) => page.tables.push(Table::default()),
                Event::Start(Tag::TableRow) => {
                    if let Some(table) = page.tables.last_mut() {
                        table.rows.push(Vec::new());
                    }
                }
                Event::Start(Tag::TableCell) => cell = Some(Cell::default()),
                Event::End(TagEnd::TableCell) => {
                    if let (Some(table), Some(cell)) = (page.tables.last_mut(), cell.take()) {
                        match table.rows.last_mut() {
                            Some(row) => row.push(cell),
                            None => table.head.push(cell.text),
                        }
                    }
                }
                Event::Text(ref words) | Event::Code(ref words) => {
                    let code = matches!(event, Event::Code(_));
                    for into in [
                        heading.as_mut(),
                        block.as_mut().map(|block| &mut block.text),
                        cell.as_mut().map(|cell| &mut cell.text),
                    ]
                    .into_iter()
                    .flatten()
                    {
                        into.push_str(words);
                    }
                    for link in &mut open {
                        link.text.push_str(words);
                    }
                    if let Some(cell) = cell.as_mut().filter(|_| code) {
                        cell.code.push(words.to_string());
                    }
                }
                _ => {}
            }
        }
        page
    }

    /// As code hosts and mdBook make it of a title.
    fn add_anchor(&mut self, heading: &str) {
        let mut anchor = String::new();
        for letter in heading.trim().to_lowercase().chars() {
            match letter {
                ' ' => anchor.push('-'),
                '-' | '_' => anchor.push(letter),
                _ if letter.is_alphanumeric() => anchor.push(letter),
                _ => {}
            }
        }
        let mut number = 0;
        let mut unique = anchor.clone();
        while !self.anchors.insert(unique) {
            number += 1;
            unique = format!("{anchor}-{number}");
        }
    }

    /// `docs/src/page.md:12`, as an editor takes it.
    pub(crate) fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }

    /// The file that a link of this page leads to, from the workspace's root, and the place in it.
    pub(crate) fn resolve<'a>(&self, target: &'a str) -> (PathBuf, Option<&'a str>) {
        let (file, anchor) = match target.split_once('#') {
            Some((file, anchor)) => (file, Some(anchor)),
            None => (target, None),
        };
        if file.is_empty() {
            return (self.path.clone(), anchor);
        }
        let folder = self.path.parent().unwrap_or(Path::new(""));
        (normal(&folder.join(file)), anchor)
    }
}

/// The pictures of a piece of HTML.
fn sources(html: &str, line: usize) -> Vec<Link> {
    let mut found = Vec::new();
    for attribute in ["src=\"", "srcset=\""] {
        let pieces = html.split(attribute).skip(1);
        found.extend(pieces.filter_map(|rest| {
            let (target, _) = rest.split_once('"')?;
            Some(Link {
                text: String::new(),
                target: target.to_owned(),
                line,
            })
        }));
    }
    found
}

/// Without `.` and `..`, of what need not be there.
fn normal(path: &Path) -> PathBuf {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if parts.last().is_some_and(|it| *it != Component::ParentDir) => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.into_iter().collect()
}

/// The book's pages and the README, whose blocks are all looked at.
pub(crate) fn pages() -> Result<Vec<Page>> {
    let mut paths = Vec::new();
    collect(Path::new(BOOK), &mut paths)?;
    paths.push("README.md".into());
    paths.iter().map(|path| Page::read(path)).collect()
}

/// Every page of the repository, by its path: links lead to them, and from them.
pub(crate) fn all_pages() -> Result<BTreeMap<PathBuf, Page>> {
    let mut paths = Vec::new();
    collect(Path::new(""), &mut paths)?;
    let pages = paths.into_iter().map(|path| {
        let page = Page::read(&path)?;
        Ok((path, page))
    });
    pages.collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    // What is built, fetched, or a page of something that is yet to be.
    const NOT: [&str; 3] = ["target", "node_modules", "templates"];
    let entries = fs::read_dir(workspace_root().join(folder))
        .with_context(|| format!("cannot read the folder {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = folder.join(&name);
        if entry.file_type()?.is_dir() {
            if !name.starts_with('.') && !NOT.contains(&name.as_str()) {
                collect(&path, paths)?;
            }
        } else if path.extension().is_some_and(|kind| kind == "md") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(())
}
