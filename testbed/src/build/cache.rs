//! The cache of built things: one folder for each, keyed by what it was made from. Must never
//! show a folder that is half made.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::progress::Progress;

/// A cache folder. Several processes and several testbeds may use one at the same time.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// `$DEPLOY_TESTBED_CACHE`, else `$XDG_CACHE_HOME/deploy-testbed`, else
    /// `~/.cache/deploy-testbed`. Made if it is not there.
    pub fn open() -> Result<Self> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let root = variable("DEPLOY_TESTBED_CACHE")
            .map(PathBuf::from)
            .or_else(|| {
                variable("XDG_CACHE_HOME").map(|dir| Path::new(&dir).join("deploy-testbed"))
            })
            .or_else(|| variable("HOME").map(|dir| Path::new(&dir).join(".cache/deploy-testbed")));
        match root {
            Some(root) => Self::at(&root),
            None => bail!("no folder for the cache: set DEPLOY_TESTBED_CACHE, or HOME"),
        }
    }

    /// A cache in the given folder, made if it is not there.
    pub fn at(root: &Path) -> Result<Self> {
        let make = || -> std::io::Result<PathBuf> {
            fs::create_dir_all(root.join(LOCKS))?;
            fs::canonicalize(root)
        };
        let root = make().with_context(|| {
            format!(
                "the cache folder {} cannot be made: free the path, or set DEPLOY_TESTBED_CACHE",
                root.display()
            )
        })?;
        Ok(Self { root })
    }

    /// The folder itself, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder `name-key` of a built thing. Where it is not there, `make` fills a folder
    /// beside it, which is then renamed into place: a process that is killed leaves nothing
    /// that looks finished. One process makes it, others wait and say so.
    pub fn artefact(
        &self,
        name: &str,
        key: &str,
        progress: Progress,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let target = self.root.join(format!("{name}-{key}"));
        if target.is_dir() {
            return Ok(target);
        }
        let _lock = self.lock(name, &format!("building {name}"), progress)?;
        if target.is_dir() {
            return Ok(target);
        }
        self.fill(name, make, |()| Ok(target.clone()))
    }

    /// As [`Cache::artefact`], for what has no key before it is there: any folder of that name
    /// serves, the newest first, and `make` gives the key of what it made.
    pub fn artefact_of_any_key(
        &self,
        name: &str,
        progress: Progress,
        make: impl FnOnce(&Path) -> Result<String>,
    ) -> Result<PathBuf> {
        if let Some(found) = self.newest(name)? {
            return Ok(found);
        }
        let _lock = self.lock(name, &format!("building {name}"), progress)?;
        if let Some(found) = self.newest(name)? {
            return Ok(found);
        }
        self.fill(name, make, |key| {
            Ok(self.root.join(format!("{name}-{key}")))
        })
    }

    fn fill<T>(
        &self,
        name: &str,
        make: impl FnOnce(&Path) -> Result<T>,
        target: impl FnOnce(T) -> Result<PathBuf>,
    ) -> Result<PathBuf> {
        let prefix = format!(".making-{name}-");
        self.remove_leftovers(&prefix)?;
        let scratch = tempfile::Builder::new()
            .prefix(&prefix)
            .tempdir_in(&self.root)
            .with_context(|| format!("no folder could be made in {}", self.root.display()))?;
        let content = scratch.path().join("content");
        fs::create_dir(&content)?;
        let target = target(make(&content)?)?;
        fs::rename(&content, &target)
            .with_context(|| format!("{} could not be put into place", target.display()))?;
        Ok(target)
    }

    /// Scratch folders of processes that were killed. The lock is held: nobody is at them.
    fn remove_leftovers(&self, prefix: &str) -> Result<()> {
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    fn newest(&self, name: &str) -> Result<Option<PathBuf>> {
        let prefix = format!("{name}-");
        let mut found: Option<(SystemTime, PathBuf)> = None;
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            if !entry.file_name().to_string_lossy().starts_with(&prefix) {
                continue;
            }
            let made = entry.metadata()?.modified()?;
            if found.as_ref().is_none_or(|(newest, _)| made > *newest) {
                found = Some((made, entry.path()));
            }
        }
        Ok(found.map(|(_, path)| path))
    }

    /// An exclusive lock for `name`, let go when it is dropped or its process ends. Says so when
    /// it has to wait for another process that is `doing` something.
    pub fn lock(&self, name: &str, doing: &str, progress: Progress) -> Result<File> {
        let path = self.root.join(LOCKS).join(name);
        let context = || format!("{} cannot be locked", path.display());
        let mut options = File::options();
        options.create(true).append(true);
        let file = options.open(&path).with_context(context)?;
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error).with_context(context),
        }
        let what = format!("waiting: another process is {doing}");
        progress
            .during(&what, || file.lock())
            .with_context(context)?;
        Ok(file)
    }
}

const LOCKS: &str = ".locks";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn cache() -> (tempfile::TempDir, Cache) {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path()).unwrap();
        (dir, cache)
    }

    #[test]
    fn a_thing_is_made_once() {
        let (_dir, cache) = cache();
        let make = |path: &Path| Ok(fs::write(path.join("a"), "1")?);
        let first = cache.artefact("x", "1", Progress::silent(), make).unwrap();
        let again = |_: &Path| -> Result<()> { bail!("made twice") };
        assert_eq!(
            cache.artefact("x", "1", Progress::silent(), again).unwrap(),
            first
        );
        assert_eq!(fs::read_to_string(first.join("a")).unwrap(), "1");
    }

    #[test]
    fn a_failure_leaves_nothing() {
        let (_dir, cache) = cache();
        let fail = |path: &Path| -> Result<()> {
            fs::write(path.join("half"), "")?;
            bail!("no")
        };
        assert!(cache.artefact("x", "1", Progress::silent(), fail).is_err());
        let left: Vec<_> = fs::read_dir(cache.root())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(left, [LOCKS]);
    }

    #[test]
    fn what_a_killed_process_left_goes() {
        let (_dir, cache) = cache();
        fs::create_dir(cache.root().join(".making-x-old")).unwrap();
        cache
            .artefact("x", "1", Progress::silent(), |_| Ok(()))
            .unwrap();
        assert!(!cache.root().join(".making-x-old").exists());
    }

    #[test]
    fn two_that_ask_at_once_make_once() {
        let (_dir, cache) = cache();
        let count = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let make = |_: &Path| {
                        count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        Ok(())
                    };
                    cache.artefact("x", "1", Progress::silent(), make).unwrap();
                });
            }
        });
        assert_eq!(count.into_inner(), 1);
    }

    #[test]
    fn any_key_serves() {
        let (_dir, cache) = cache();
        let make = |_: &Path| Ok("2.0".to_owned());
        let path = cache
            .artefact_of_any_key("pkg", Progress::silent(), make)
            .unwrap();
        assert!(path.ends_with("pkg-2.0"));
        let again = |_: &Path| -> Result<String> { bail!("made twice") };
        assert_eq!(
            cache
                .artefact_of_any_key("pkg", Progress::silent(), again)
                .unwrap(),
            path
        );
    }
}
