//! The list of testbeds of a cache, and the removal of what one left. A testbed lives as long as
//! the lock of its `alive` file is held.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::cgroups::{self, Hierarchy};
use crate::build::{Artefacts, Cache};
use crate::cluster;
use crate::progress::Progress;

/// All that the processes of a testbed need to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Settings {
    /// Which starters may share it.
    pub key: String,
    /// The run folder.
    pub run: PathBuf,
    /// The cache folder.
    pub cache: PathBuf,
    /// The name of its cgroup in each of the hierarchies.
    pub cgroup: String,
    /// The host's cgroup hierarchies.
    pub hierarchies: Vec<Hierarchy>,
    /// The programs.
    pub artefacts: Artefacts,
    /// How long it stays when nobody uses it, in seconds.
    pub idle_seconds: u64,
}

/// A testbed's entry in the list.
#[derive(Debug)]
pub struct Instance {
    dir: PathBuf,
    /// What it was started with.
    pub settings: Settings,
}

impl Instance {
    /// Enters a new testbed into the list and makes its run folder. The file that is returned
    /// holds the lock: it must be handed to the janitor.
    pub fn create(
        cache: &Cache,
        key: &str,
        artefacts: Artefacts,
        idle_seconds: u64,
    ) -> Result<(Self, File)> {
        let hierarchies = cgroups::hierarchies()?;
        let list = list_dir(cache);
        fs::create_dir_all(&list)?;
        // Nobody sweeps an entry before it can be locked.
        let _lock = cache.lock("instances", TIDYING, Progress::stderr())?;
        let run = tempfile::Builder::new()
            .prefix("deploy-testbed-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()
            .context("the run folder cannot be made: set TMPDIR to a folder that can be written")?;
        let path = fs::canonicalize(run.path())?;
        for (what, folder) in [
            ("TMPDIR", path.as_path()),
            ("DEPLOY_TESTBED_CACHE", cache.root()),
        ] {
            let why = match what {
                "TMPDIR" => cluster::unfit(folder),
                _ => cluster::hidden(folder),
            };
            if let Some(why) = why {
                bail!(
                    "{} cannot be used: {why}. Set {what} to another folder",
                    folder.display()
                );
            }
        }
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let dir = list.join(&name);
        fs::create_dir(&dir)?;
        let alive = File::create(dir.join(ALIVE))?;
        alive.lock()?;
        let settings = Settings {
            key: key.to_owned(),
            run: path,
            cache: cache.root().to_owned(),
            cgroup: name,
            hierarchies,
            artefacts,
            idle_seconds,
        };
        cluster::config::write_private(&dir.join(SETTINGS), &serde_json::to_string(&settings)?)?;
        // From here on the entry leads to it.
        let _ = run.keep();
        Ok((Self { dir, settings }, alive))
    }

    /// Reads an entry.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(SETTINGS);
        let read = || -> Result<Settings> { Ok(serde_json::from_slice(&fs::read(&path)?)?) };
        Ok(Self {
            dir: dir.to_owned(),
            settings: read().with_context(|| format!("{} cannot be read", path.display()))?,
        })
    }

    /// The entries of a cache whose testbeds live, or did a moment ago.
    pub fn all(cache: &Cache) -> Result<Vec<Self>> {
        let mut found = Vec::new();
        for dir in entries(cache)? {
            // One that cannot be read is at its end, or was never begun.
            found.extend(Self::read(&dir).ok());
        }
        Ok(found)
    }

    /// The folder of the entry.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The socket that the supervisor answers on.
    pub fn socket(&self) -> PathBuf {
        self.settings.run.join("control.sock")
    }

    /// Whether a janitor or a supervisor is there. Where none is, it cannot come back.
    pub fn lives(&self) -> bool {
        match File::open(self.dir.join(ALIVE)) {
            Ok(file) => matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)),
            Err(_) => false,
        }
    }

    /// Waits until the testbed and all that it made is gone.
    pub fn wait_until_gone(&self) -> Result<()> {
        const PATIENCE: Duration = Duration::from_secs(60);
        let deadline = Instant::now() + PATIENCE;
        while self.lives() {
            if Instant::now() > deadline {
                bail!(
                    "the testbed in {} does not end after {} s: end the process that has {} open",
                    self.settings.run.display(),
                    PATIENCE.as_secs(),
                    self.dir.join(ALIVE).display()
                );
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Removes everything that the testbed made, and at last its entry. Its processes must be
    /// gone. What can be removed is, even where something else cannot.
    pub fn remove(&self) -> Result<()> {
        let settings = &self.settings;
        let ours = settings
            .hierarchies
            .iter()
            .map(|hierarchy| hierarchy.ours(&settings.cgroup));
        self.remove_with(&ours.collect::<Vec<_>>())
    }

    /// As [`Instance::remove`], with the folders of the cgroups as this process sees them.
    pub fn remove_with(&self, cgroups: &[PathBuf]) -> Result<()> {
        let mut result = Ok(());
        for cgroup in cgroups {
            result = result.and(cgroups::remove(cgroup));
        }
        result = result.and(remove_run_folder(&self.settings.run));
        if result.is_ok() {
            result = remove_dir(&self.dir);
        }
        result
    }
}

/// Removes what dead testbeds left. What cannot be removed is told, and is no reason not to start.
pub fn sweep(cache: &Cache, progress: Progress) -> Result<()> {
    let _lock = cache.lock("instances", TIDYING, progress)?;
    for dir in entries(cache)? {
        match Instance::read(&dir) {
            Ok(instance) if instance.lives() => {}
            Ok(instance) => {
                if let Err(error) = instance.remove() {
                    progress.say(&format!(
                        "not all of a dead testbed could be removed: {error:#}"
                    ));
                }
            }
            // Its starter was killed before it had made anything else.
            Err(_) => remove_dir(&dir)?,
        }
    }
    Ok(())
}

fn list_dir(cache: &Cache) -> PathBuf {
    cache.root().join("instances")
}

fn entries(cache: &Cache) -> Result<Vec<PathBuf>> {
    match fs::read_dir(list_dir(cache)) {
        Ok(entries) => Ok(entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// A mount in the folder would make the removal reach into what is mounted: then nothing is.
fn remove_run_folder(run: &Path) -> Result<()> {
    if let Some(mount) = super::namespaces::mounts_under(run)?.first() {
        bail!(
            "{} is still mounted, so {} is not removed",
            mount.display(),
            run.display()
        );
    }
    remove_dir(run)
}

fn remove_dir(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", dir.display()))
        }
        _ => Ok(()),
    }
}

/// What a process does that holds the list.
const TIDYING: &str = "removing what a dead testbed left";

const ALIVE: &str = "alive";
const SETTINGS: &str = "settings.json";
