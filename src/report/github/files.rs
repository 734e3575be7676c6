//! The files that the runner gives to a step: its summary and its outputs.
//!
//! The workflow says where they are, so they are opened with care: only a plain
//! file that is there and belongs to this user, only at its end, and never through a link.
//! Whoever calls this turns a failure into a note.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// The most that the runner takes of a step's summary, in bytes
/// (docs.github.com, "Adding a job summary").
const SUMMARY_MAX: u64 = 1 << 20;

/// Appends a summary: `render` is told how many bytes there is room for, and
/// may give nothing.
pub(super) fn summary(path: &Path, render: impl FnOnce(usize) -> Option<String>) -> io::Result<()> {
    let mut file = open(path)?;
    let start = ending(&mut file)?;
    let taken = file.metadata()?.len() + start.len() as u64;
    let room = usize::try_from(SUMMARY_MAX.saturating_sub(taken)).unwrap_or(0);
    let text = render(room).ok_or_else(|| io::Error::other("earlier steps left no space in it"))?;
    // A line before it that has no end would swallow its first one.
    file.write_all(format!("{start}{text}").as_bytes())
}

/// Appends outputs. Names and values are plain words of this program.
pub(super) fn outputs(path: &Path, outputs: &[(&str, String)]) -> io::Result<()> {
    let mut file = open(path)?;
    let mut text = ending(&mut file)?.to_owned();
    for (name, value) in outputs {
        if value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        {
            for part in [name, "=", value, "\n"] {
                text.push_str(part);
            }
        }
    }
    file.write_all(text.as_bytes())
}

fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    let about = file.metadata()?;
    if !about.is_file() || about.nlink() != 1 {
        return Err(io::Error::other("it is not a plain file"));
    }
    let user = rustix::process::geteuid();
    if about.uid() != user.as_raw() && !user.is_root() {
        return Err(io::Error::other("it belongs to another user"));
    }
    Ok(file)
}

/// What has to come first so that what is appended begins on a line of its own.
fn ending(file: &mut File) -> io::Result<&'static str> {
    if file.metadata()?.len() == 0 {
        return Ok("");
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(if last == *b"\n" { "" } else { "\n" })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::os::unix::fs::symlink;

    use super::{SUMMARY_MAX, outputs, summary};

    #[test]
    fn what_is_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output");
        for (before, after) in [
            ("", "revision=4\n"),
            ("a=b", "a=b\nrevision=4\n"),
            ("a=b\n", "a=b\nrevision=4\n"),
        ] {
            fs::write(&path, before).unwrap();
            let values = [("revision", "4".to_owned()), ("bad", "x\ny=z".to_owned())];
            outputs(&path, &values).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), after);
        }
    }

    #[test]
    fn a_summary_keeps_within_what_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary");
        let full = usize::try_from(SUMMARY_MAX).unwrap();
        for (before, room) in [(0, full), (10, full - 11), (full - 1, 0), (full + 9, 0)] {
            fs::write(&path, "x".repeat(before)).unwrap();
            let mut told = None;
            let done = summary(&path, |room| {
                told = Some(room);
                (room > 1).then(|| "ok".to_owned())
            });
            assert_eq!((told, done.is_ok()), (Some(room), room > 1));
        }
    }

    #[test]
    fn only_a_plain_file_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("real"), "").unwrap();
        symlink(path("real"), path("link")).unwrap();
        fs::write(path("twice"), "").unwrap();
        fs::hard_link(path("twice"), path("again")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            path("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        let others = ["link", "twice", "pipe", "none", "."].map(path);
        for wrong in others.iter().map(std::path::PathBuf::as_path).chain([
            std::path::Path::new("/dev/null"),
            std::path::Path::new("/dev/full"),
            std::path::Path::new(""),
        ]) {
            assert!(outputs(wrong, &[]).is_err(), "{}", wrong.display());
        }
        assert!(!path("none").exists());
        outputs(&path("real"), &[]).unwrap();
    }
}
