//! The socket: passed by systemd, or made by hand.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use listenfd::ListenFd;

use crate::error::{Error, Kind, Result};
use crate::text;

/// A socket that signals come in by. One that was made here is removed at the end.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    made: Option<PathBuf>,
}

impl Listener {
    /// The socket, for a runtime.
    pub(super) fn socket(&self) -> io::Result<tokio::net::UnixListener> {
        let socket = self.socket.try_clone()?;
        socket.set_nonblocking(true)?;
        tokio::net::UnixListener::from_std(socket)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(path) = &self.made {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The socket to listen on: one at `path`, else the one that systemd passes.
/// `shared` says that others than this user may send; who they are is asked of
/// each connection.
pub fn listener(path: Option<&Path>, shared: bool) -> Result<Listener> {
    let Some(path) = path else {
        let passed = ListenFd::from_env().take_unix_listener(0);
        let socket = passed.map_err(|error| not_listening("the socket of systemd", error))?;
        return match socket {
            Some(socket) => Ok(Listener { socket, made: None }),
            None => Err(
                Error::new(Kind::Node, "no socket was passed to deploy receive")
                    .hint("systemctl start deploy.socket starts it with one")
                    .hint("by hand: deploy receive --listen unix:/run/deploy/deploy.sock"),
            ),
        };
    };
    let socket = make(path, shared).map_err(|error| {
        let path = text::line(&path.to_string_lossy(), text::LINE).into_owned();
        not_listening(&path, error)
    })?;
    Ok(Listener {
        socket,
        made: Some(path.to_owned()),
    })
}

fn make(path: &Path, shared: bool) -> io::Result<UnixListener> {
    let directory = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let about = directory.metadata()?;
    let own = rustix::process::geteuid().as_raw();
    if about.mode() & 0o022 != 0 || ![0, own].contains(&about.uid()) {
        // Whoever can write there can put another socket in its place.
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "others can write in its directory",
        ));
    }
    let socket = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left_over(path) => {
            std::fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        other => other?,
    };
    let mode = if shared { 0o666 } else { 0o600 };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    Ok(socket)
}

/// Whether a socket is there that nobody listens on any more.
fn is_left_over(path: &Path) -> bool {
    let is_socket = path
        .symlink_metadata()
        .is_ok_and(|found| found.file_type().is_socket());
    let refuses = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    is_socket && UnixStream::connect(path).err().is_some_and(refuses)
}

fn not_listening(what: &str, error: io::Error) -> Error {
    Error::new(Kind::Node, format!("{what} cannot be listened on: {error}"))
        .with_source(error)
        .hint("see that its directory is there and only this user can write in it, and that no other receiver runs")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::listener;

    #[test]
    fn a_socket_is_made_only_where_nobody_else_can_replace_it() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("deploy.sock");
        let mode =
            |mode| fs::set_permissions(scratch.path(), Permissions::from_mode(mode)).unwrap();
        for open in [0o777, 0o770, 0o1777] {
            mode(open);
            assert!(listener(Some(&path), true).is_err(), "{open:o}");
        }
        mode(0o755);
        let first = listener(Some(&path), true).unwrap();
        assert!(listener(Some(&path), true).is_err(), "one is there");
        // As after SIGKILL: the socket stays, and nobody listens.
        std::mem::forget(first.made.clone());
        let left = first.socket.try_clone().unwrap();
        drop(left);
        drop(first);
        assert!(!path.exists());
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let second = listener(Some(&path), false).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        drop(second);
        // What is no socket stays.
        fs::write(&path, "kept").unwrap();
        assert!(listener(Some(&path), true).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "kept");
        fs::remove_file(&path).unwrap();
        symlink("/nowhere", &path).unwrap();
        assert!(listener(Some(&path), true).is_err());
    }
}
