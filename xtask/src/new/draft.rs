//! Files that are all written, or none of them.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// New files, and the folders they needed: gone again unless they are kept.
pub(super) struct Draft<'a> {
    root: &'a Path,
    /// In the order in which they were made.
    made: Vec<PathBuf>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(root: &'a Path) -> Self {
        Self {
            root,
            made: Vec::new(),
        }
    }

    /// Writes a file that is not there yet.
    pub(super) fn write(&mut self, path: &str, text: &str) -> Result<()> {
        let file = self.root.join(path);
        if let Some(folder) = file.parent() {
            self.make_folder(folder)?;
        }
        let mut open =
            File::create_new(&file).with_context(|| format!("cannot make the file {path}"))?;
        self.made.push(file);
        open.write_all(text.as_bytes())
            .with_context(|| format!("cannot write {path}"))
    }

    fn make_folder(&mut self, folder: &Path) -> Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        if let Some(parent) = folder.parent() {
            self.make_folder(parent)?;
        }
        fs::create_dir(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        self.made.push(folder.to_owned());
        Ok(())
    }

    /// All is well: what was written stays.
    pub(super) fn keep(mut self) {
        self.made.clear();
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        for path in self.made.drain(..).rev() {
            // A folder goes only if nobody has put anything else into it.
            let _ = if path.is_dir() {
                fs::remove_dir(&path)
            } else {
                fs::remove_file(&path)
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_kept_is_gone_with_its_folders() -> Result<()> {
        let root = tempfile::tempdir()?;
        fs::create_dir(root.path().join("there"))?;
        let mut draft = Draft::new(root.path());
        draft.write("there/a", "text")?;
        draft.write("new/deep/b", "text")?;
        draft.write("new/c", "text")?;

        drop(draft);

        assert!(root.path().join("there").read_dir()?.next().is_none());
        assert!(!root.path().join("new").exists());
        Ok(())
    }

    #[test]
    fn what_is_kept_stays() -> Result<()> {
        let root = tempfile::tempdir()?;
        let mut draft = Draft::new(root.path());
        draft.write("new/a", "text")?;

        draft.keep();

        assert_eq!(fs::read_to_string(root.path().join("new/a"))?, "text");
        Ok(())
    }

    #[test]
    fn a_file_that_is_there_is_not_overwritten_and_not_removed() -> Result<()> {
        let root = tempfile::tempdir()?;
        fs::write(root.path().join("a"), "precious")?;
        let mut draft = Draft::new(root.path());
        draft.write("b", "text")?;

        let error = draft.write("a", "text").expect_err("is there");

        drop(draft);
        assert_eq!(error.to_string(), "cannot make the file a");
        assert_eq!(fs::read_to_string(root.path().join("a"))?, "precious");
        assert!(!root.path().join("b").exists());
        Ok(())
    }
}
