//! What a page leads to is there.

use std::path::{Path, PathBuf};

use anyhow::Result;
use legation_tests::workspace_root;

use super::book::{self, BOOK, Page};

#[test]
fn every_link_leads_somewhere() -> Result<()> {
    let pages = book::all_pages()?;
    let mut broken = Vec::new();
    for page in pages.values() {
        for link in &page.links {
            let target = link.target.as_str();
            if ["https://", "http://", "mailto:"]
                .iter()
                .any(|it| target.starts_with(it))
            {
                continue;
            }
            let (path, anchor) = page.resolve(target);
            let there = workspace_root().join(&path).exists();
            let named = anchor.is_none_or(|anchor| {
                let page = pages.get(&path);
                page.is_some_and(|page| page.anchors.contains(anchor))
            });
            if !there || !named {
                broken.push(format!("{}: {target}", page.place(link.line)));
            }
        }
    }
    assert!(broken.is_empty(), "lead nowhere:\n{}", broken.join("\n"));
    Ok(())
}

#[test]
fn every_page_is_in_the_summary_once() -> Result<()> {
    let summary = Path::new(BOOK).join("SUMMARY.md");
    let listed = Page::read(&summary)?;
    let mut listed: Vec<PathBuf> = listed
        .links
        .iter()
        .map(|link| listed.resolve(&link.target).0)
        .collect();
    listed.sort();
    let there: Vec<PathBuf> = book::all_pages()?
        .into_keys()
        .filter(|path| path.starts_with(BOOK) && *path != summary)
        .collect();
    assert_eq!(listed, there);
    Ok(())
}
