//! Files of the node are opened without waiting: a FIFO in place of one would
//! hold whoever opens it until somebody writes.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Opens a regular file to read it. What is something else (a directory, a
/// FIFO, a device) is an error of the kind [`io::ErrorKind::InvalidInput`].
pub fn open_regular(path: &Path) -> io::Result<File> {
    open(path, |kind| kind.is_file())
}

/// The same, and devices too: `/dev/null` stands for an empty file.
pub fn open_file_or_device(path: &Path) -> io::Result<File> {
    open(path, |kind| kind.is_file() || kind.is_char_device())
}

fn open(path: &Path, fits: impl Fn(std::fs::FileType) -> bool) -> io::Result<File> {
    let nonblock = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nonblock)
        .open(path)?;
    let kind = file.metadata()?.file_type();
    if fits(kind) {
        return Ok(file);
    }
    let seen = if kind.is_dir() {
        "it is a directory"
    } else if kind.is_fifo() {
        "it is a FIFO"
    } else {
        "it is a device"
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, seen))
}

/// The content of a regular file.
pub fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    use io::Read as _;
    let mut content = Vec::new();
    open_regular(path)?.read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io;
    use std::path::Path;

    use super::{open_file_or_device, open_regular, read_regular};

    /// Case F4: nothing but a regular file is waited for.
    #[test]
    fn nothing_but_a_file_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "text").unwrap();
        assert_eq!(read_regular(&file).unwrap(), b"text");
        let fifo = folder.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
        for (path, seen) in [
            (fifo.as_path(), "a FIFO"),
            (folder.path(), "a directory"),
            (Path::new("/dev/null"), "a device"),
        ] {
            let error = open_regular(path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains(seen), "{error}");
        }
        assert!(open_file_or_device(&fifo).is_err());
        assert!(open_file_or_device(Path::new("/dev/null")).is_ok());
    }
}
