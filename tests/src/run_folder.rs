//! A folder for one run of Envoy, which goes away with it.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result};
use tempfile::TempDir;

const LOCK: &str = ".lock";

/// A temporary folder that says, by a locked file, that it is in use.
#[derive(Debug)]
pub(crate) struct RunFolder {
    folder: TempDir,
    /// The kernel frees it when this process ends, in whatever way.
    _in_use: File,
}

impl RunFolder {
    /// Makes one under `home`, and removes those whose process was killed before it could
    /// do so itself.
    pub(crate) fn create(home: &Path) -> Result<Self> {
        fs::create_dir_all(home).with_context(|| format!("cannot make {}", home.display()))?;
        // One process at a time: a folder just made is not locked yet.
        let turn = lock_file(&home.join(LOCK))?;
        turn.lock().context("cannot lock the folder for runs")?;
        remove_abandoned(home);
        let folder = tempfile::Builder::new().prefix("run-").tempdir_in(home)?;
        let in_use = lock_file(&folder.path().join(LOCK))?;
        in_use.lock().context("cannot lock the folder of the run")?;
        Ok(Self {
            folder,
            _in_use: in_use,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

fn lock_file(path: &Path) -> Result<File> {
    File::create(path).with_context(|| format!("cannot make {}", path.display()))
}

fn remove_abandoned(home: &Path) {
    let entries = home.read_dir().into_iter().flatten().flatten();
    for folder in entries.map(|entry| entry.path()) {
        let Ok(lock) = File::open(folder.join(LOCK)) else {
            continue;
        };
        if lock.try_lock().is_ok() {
            // What cannot be removed is tried again by the next run.
            fs::remove_dir_all(&folder).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_what_a_killed_process_left_and_nothing_in_use() {
        let home = tempfile::tempdir().unwrap();
        let abandoned = home.path().join("run-abandoned");
        fs::create_dir(&abandoned).unwrap();
        fs::write(abandoned.join(LOCK), "").unwrap();

        let first = RunFolder::create(home.path()).unwrap();
        let second = RunFolder::create(home.path()).unwrap();

        assert!(!abandoned.exists());
        assert!(first.path().is_dir());
        assert!(second.path().is_dir());
    }

    #[test]
    fn goes_away_when_it_is_dropped() {
        let home = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(home.path()).unwrap();
        let path = folder.path().to_owned();

        drop(folder);

        assert!(!path.exists());
    }
}
