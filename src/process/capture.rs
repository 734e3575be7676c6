//! What a program wrote, in memory: all of it is taken, its ends are kept.
//!
//! Not a pipe, for three reasons. Helm tells that it was cancelled before it
//! settles the release, and a pipe whose reader is dead would kill it there
//! (SIGPIPE), with the release pending. A pipe that nobody empties would stop
//! it. And whatever else holds a pipe open would make `deploy` wait.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt as _;
use std::process::Stdio;

/// What is kept of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CaptureLimits {
    /// The first bytes.
    pub(crate) head: u64,
    /// The last bytes.
    pub(crate) tail: u64,
}

/// An output that is taken into memory, and to be read afterwards.
#[derive(Debug)]
pub(crate) struct Capture(File);

impl Capture {
    /// A new one, with nothing in it. The name is for people who look into /proc.
    pub(crate) fn new(name: &str) -> io::Result<Self> {
        let memory = rustix::fs::memfd_create(name, rustix::fs::MemfdFlags::CLOEXEC)?;
        Ok(Self(File::from(memory)))
    }

    /// The end to write to.
    pub(crate) fn writer(&self) -> io::Result<Stdio> {
        Ok(Stdio::from(self.0.as_fd().try_clone_to_owned()?))
    }

    /// The text, and whether something in its middle was left out. What is not
    /// UTF-8 is replaced.
    pub(crate) fn read(&self, ends: CaptureLimits) -> io::Result<(String, bool)> {
        let length = self.0.metadata()?.len();
        let lost = length.saturating_sub(ends.head.saturating_add(ends.tail));
        if lost == 0 {
            return Ok((text(self.part(0, length)?), false));
        }
        let mut bytes = self.part(0, ends.head)?;
        bytes.extend_from_slice(format!("\n… {lost} bytes left out …\n").as_bytes());
        bytes.extend(self.part(length - ends.tail, ends.tail)?);
        Ok((text(bytes), true))
    }

    fn part(&self, from: u64, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        self.0.read_exact_at(&mut bytes, from)?;
        Ok(bytes)
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Write as _;

    use super::{Capture, CaptureLimits};

    #[test]
    fn both_ends_are_kept() {
        for (said, text, cut) in [
            (b"".as_slice(), "", false),
            (b"abcdefg", "abcdefg", false),
            (b"abcdefgh", "abcd\n… 1 bytes left out …\nfgh", true),
            (b"abcdefghij", "abcd\n… 3 bytes left out …\nhij", true),
            (b"a\xffb", "a\u{fffd}b", false),
        ] {
            let mut capture = Capture::new("test").unwrap();
            capture.0.write_all(said).unwrap();
            let ends = CaptureLimits { head: 4, tail: 3 };
            assert_eq!(capture.read(ends).unwrap(), (text.to_owned(), cut));
        }
    }
}
