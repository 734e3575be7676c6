//! What builds images on this machine: `BuildKit` itself and buildx. Of `docker`
//! there is a stand-in that only knows `buildx`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

use testbed::build::{self, Cache, Hosted};
use testbed::progress::Progress;

use crate::harness::{bed, until};

/// Built on first use.
pub static PROGRAMS: LazyLock<Hosted> = LazyLock::new(|| {
    let cache = Cache::open().unwrap();
    build::hosted(&cache, Progress::stderr()).unwrap_or_else(|error| panic!("{error:#}"))
});

/// In place of Docker's own command line, which would ask for its daemon.
pub const DOCKER: &str =
    "#!/bin/sh\n[ \"$1\" = buildx ] || exit 64\nshift\nexec docker-buildx \"$@\"\n";

/// `BuildKit`, for as long as this lives.
pub struct Builder {
    daemon: Child,
    log: PathBuf,
}

impl Builder {
    /// Keeps what it needs in `folder`, and listens on a socket that this group may use.
    pub fn start(folder: &Path, socket: &Path, group: u32) -> Self {
        let mut path = runc();
        path.extend(["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from));
        let log = folder.join("log");
        // With it go its mounts and children; where we are killed, it is too.
        let daemon = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "unshare"])
            .args(["--mount", "--propagation", "private"])
            .args(["--pid", "--fork", "--mount-proc", "--kill-child", "--"])
            // It keeps sockets there that are one machine's.
            .args(["sh", "-euc", "mount -t tmpfs run /run; exec \"$@\"", "sh"])
            .arg(&PROGRAMS.buildkitd)
            .args(["--oci-worker-net", "host", "--group", &group.to_string()])
            .arg("--root")
            .arg(folder)
            .arg("--addr")
            .arg(format!("unix://{}", socket.display()))
            .env_clear()
            .env("PATH", std::env::join_paths(path).unwrap())
            .envs(bed().info.variables())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let builder = Self { daemon, log };
        until("BuildKit serves", || {
            fs::read_to_string(&builder.log).is_ok_and(|log| log.contains("running server"))
        });
        builder
    }

    /// What buildx keeps of a builder called `testbed`, as `buildx create` writes it.
    pub fn instance(socket: &str) -> String {
        let node =
            serde_json::json!({ "Name": "testbed0", "Endpoint": format!("unix://{socket}") });
        serde_json::json!({ "Name": "testbed", "Driver": "remote", "Nodes": [node] }).to_string()
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        if std::thread::panicking() {
            let told = fs::read_to_string(&self.log).unwrap_or_default();
            // It goes with the failed test's own output.
            let _ = std::io::Write::write_all(&mut std::io::stderr(), told.as_bytes());
        }
    }
}

/// The folders with runc, where the testbed has one of its own.
fn runc() -> Vec<PathBuf> {
    let cache = fs::read_dir(&bed().info.cache).unwrap();
    cache
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("runc-"))
        .map(|entry| entry.path().join("usr/sbin"))
        .collect()
}
