//! Evidence of failed deploys: one folder per run, pruned by age and size.
//!
//! Only folders whose name is a run's id are ever removed.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;

use super::directory::{make_directory, open_file};
use crate::plan::Retention;
use crate::run::{RunId, Timestamp};
use crate::text;

/// The folder of a run's evidence, made where it is not there.
pub fn folder(state: &Path, run: &RunId) -> io::Result<PathBuf> {
    let evidence = state.join("evidence");
    make_directory(state, &evidence)?;
    let folder = evidence.join(run.as_str());
    make_directory(state, &folder)?;
    Ok(folder)
}

/// The file in a run's folder that holds what people read.
const TEXT: &str = "evidence.txt";

/// The most that is kept of one run, in bytes.
const MAX: usize = 1 << 20;

/// Writes a run's evidence, a line each; what is over 1 MiB is cut off.
pub fn keep(state: &Path, run: &RunId, lines: &[String]) -> io::Result<()> {
    let path = folder(state, run)?.join(TEXT);
    let access = OFlags::WRONLY | OFlags::TRUNC;
    let mut file = open_file(state, &path, access)?;
    let mut bytes = lines.join("\n").into_bytes();
    bytes.truncate(MAX);
    bytes.push(b'\n');
    file.write_all(&bytes)?;
    file.sync_data()
}

/// A run's evidence, a safe line each; none where nothing was kept.
pub fn read(state: &Path, run: &RunId) -> io::Result<Vec<String>> {
    let path = state.join("evidence").join(run.as_str()).join(TEXT);
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(MAX as u64 + 1).read_to_end(&mut bytes)?;
    // Others may write to a shared directory.
    Ok(text::tail(&String::from_utf8_lossy(&bytes), usize::MAX))
}

/// Removes what is older than `keep`, then the oldest until all of it is no
/// larger than `max`; the newest run's stays. Gives the removed runs.
pub fn prune(state: &Path, retention: Retention, now: Timestamp) -> io::Result<Vec<RunId>> {
    let evidence = state.join("evidence");
    let mut runs: Vec<(RunId, u64)> = match fs::read_dir(&evidence) {
        Ok(entries) => entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let run: RunId = entry.file_name().to_str()?.parse().ok()?;
                entry
                    .file_type()
                    .ok()?
                    .is_dir()
                    .then(|| (run, size(&entry.path())))
            })
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    runs.sort_unstable();
    let mut removed = Vec::new();
    for run in expired(&runs, retention, now) {
        fs::remove_dir_all(evidence.join(run.as_str()))?;
        removed.push(run);
    }
    Ok(removed)
}

/// Which runs go, given all of them with their sizes in bytes, oldest first.
fn expired(runs: &[(RunId, u64)], retention: Retention, now: Timestamp) -> Vec<RunId> {
    let mut total: u64 = runs.iter().map(|(_, size)| size).sum();
    let Some((_, older)) = runs.split_last() else {
        return Vec::new();
    };
    older
        .iter()
        .filter(|(run, size)| {
            let goes = age(run, now) > retention.keep || total > retention.max;
            if goes {
                total -= size;
            }
            goes
        })
        .map(|(run, _)| run.clone())
        .collect()
}

/// How long ago a run began, by its id.
fn age(run: &RunId, now: Timestamp) -> Duration {
    let began = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", &run.as_str()[..16])
        .and_then(|began| began.to_zoned(jiff::tz::TimeZone::UTC));
    began.map_or(Duration::ZERO, |began| {
        Duration::try_from(now.duration_since(began.timestamp())).unwrap_or_default()
    })
}

/// The size of a folder's own files, in bytes.
fn size(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files
        .filter_map(|file| Some(file.metadata().ok()?.len()))
        .sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::time::Duration;

    use super::{Retention, expired, folder, keep, prune, read};
    use crate::run::RunId;

    fn run(day: u8) -> RunId {
        format!("202611{day:02}T120000Z-00000{}", day % 10)
            .parse()
            .unwrap()
    }

    #[test]
    fn the_old_and_the_many_go() {
        let now = "2026-11-24T12:00:00Z".parse().unwrap();
        let runs = [(run(1), 10), (run(20), 10), (run(22), 10), (run(23), 10)];
        let days = |days: u64| Duration::from_secs(days * 86_400);
        for (keep, max, gone) in [
            (days(30), 100, vec![]),
            (days(10), 100, vec![run(1)]),
            (days(30), 25, vec![run(1), run(20)]),
            (days(10), 25, vec![run(1), run(20)]),
            (days(0), 0, vec![run(1), run(20), run(22)]),
        ] {
            assert_eq!(expired(&runs, Retention { keep, max }, now), gone);
        }
    }

    #[test]
    fn what_is_kept_is_read_again_escaped() {
        let state = tempfile::tempdir().unwrap();
        assert!(read(state.path(), &run(1)).unwrap().is_empty());
        for lines in [
            vec!["a longer text".to_owned()],
            vec!["cause".to_owned(), "  \u{1b}[31mlog".to_owned()],
        ] {
            keep(state.path(), &run(1), &lines).unwrap();
        }
        assert_eq!(
            read(state.path(), &run(1)).unwrap(),
            ["cause", "  \\x1b[31mlog"]
        );
    }

    #[test]
    fn only_folders_of_runs_are_removed() {
        let state = tempfile::tempdir().unwrap();
        let nothing = Retention {
            keep: Duration::ZERO,
            max: 0,
        };
        let now = "2026-11-24T12:00:00Z".parse().unwrap();
        assert_eq!(prune(state.path(), nothing, now).unwrap(), []);
        for day in [1, 2] {
            let folder = folder(state.path(), &run(day)).unwrap();
            fs::write(folder.join("events.txt"), "cause").unwrap();
        }
        let other = state.path().join("evidence/notes");
        fs::create_dir(&other).unwrap();
        assert_eq!(prune(state.path(), nothing, now).unwrap(), [run(1)]);
        assert!(other.exists());
        assert!(state.path().join("evidence").join(run(2).as_str()).exists());
    }
}
