//! What is kept of tokens: which were used, and the keys of their issuer.
//!
//! No token is kept, and nothing that could be used as one.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::directory::{create_file, make_directory, replace_file};

/// The largest set of keys, in bytes.
const KEYS_MAX: u64 = 1 << 20;

fn folder(state: &Path) -> PathBuf {
    state.join("tokens")
}

/// Notes that a token was used, by a name of its own that is a plain word. Whether
/// it is used for the first time: of several who try at once, it is for one.
///
/// It is on the disk when this returns. Notes older than `keep` are removed.
pub fn use_once(state: &Path, name: &str, keep: Duration) -> io::Result<bool> {
    let used = folder(state).join("used");
    make_directory(state, &folder(state))?;
    make_directory(state, &used)?;
    forget(&used, keep);
    let Some(file) = create_file(state, &used.join(name))? else {
        return Ok(false);
    };
    file.sync_all()?;
    fs::File::open(&used)?.sync_all()?;
    Ok(true)
}

/// Removes what is older. What cannot be removed only takes room.
fn forget(used: &Path, keep: Duration) {
    let now = SystemTime::now();
    let entries = fs::read_dir(used).into_iter().flatten().flatten();
    for entry in entries {
        let age = entry
            .metadata()
            .and_then(|about| about.modified())
            .map(|made| now.duration_since(made).unwrap_or_default());
        if age.is_ok_and(|age| age > keep) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The kept keys, where there are any.
pub fn keys(state: &Path) -> Option<Vec<u8>> {
    let path = folder(state).join("keys.json");
    let file = open_file_to_read(&path)?;
    let mut keys = Vec::new();
    file.take(KEYS_MAX).read_to_end(&mut keys).ok()?;
    Some(keys)
}

fn open_file_to_read(path: &Path) -> Option<fs::File> {
    crate::host::file::open_regular(path).ok()
}

/// Keeps the keys, whole or not at all.
pub fn keep_keys(state: &Path, keys: &[u8]) -> io::Result<()> {
    make_directory(state, &folder(state))?;
    replace_file(state, &folder(state).join("keys.json"), keys)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::{keep_keys, keys, use_once};

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn a_token_is_used_once_by_one() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path();
        let won = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| use_once(path, "abc", LONG).unwrap()))
                .collect();
            tries
                .into_iter()
                .filter(|_| true)
                .map(|one| one.join().unwrap())
                .filter(|won| *won)
                .count()
        });
        assert_eq!(won, 1);
        assert!(use_once(path, "abd", LONG).unwrap());
        assert!(!use_once(path, "abd", LONG).unwrap());
        std::thread::sleep(Duration::from_millis(5));
        assert!(use_once(path, "abe", Duration::from_millis(1)).unwrap());
        assert!(
            !path.join("tokens/used/abd").exists(),
            "old notes are removed"
        );
        let state = tempfile::tempdir().unwrap();
        std::fs::write(state.path().join("tokens"), "").unwrap();
        assert!(use_once(state.path(), "abc", LONG).is_err());
    }

    #[test]
    fn keys_are_kept_whole() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(keys(state.path()), None);
        for text in ["{}", "{\"keys\":[]}", "[]"] {
            keep_keys(state.path(), text.as_bytes()).unwrap();
            assert_eq!(keys(state.path()).unwrap(), text.as_bytes());
        }
    }
}
