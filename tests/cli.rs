//! The command line as anyone can try it: without root, a cluster, a network,
//! Go or helm. `cargo test --test cli` is all that it takes.
//!
//! Each test has a home of its own and no variable of this machine's. What
//! needs the testbed stands in tests/it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "cli/audience.rs"]
mod audience;
#[path = "cli/contract.rs"]
mod contract;
#[path = "cli/events.rs"]
mod events;
#[path = "cli/help.rs"]
mod help;
#[path = "cli/refused.rs"]
mod refused;
#[path = "cli/settings.rs"]
mod settings;

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin;
use tempfile::TempDir;

/// A request that is right.
const GOOD: [&str; 8] = [
    "--app",
    "shop",
    "--chart",
    "oci://ghcr.io/acme/charts/shop",
    "--chart-version",
    "1.4.0",
    "--images",
    r#"{"api":"ghcr.io/acme/shop/api:1.4.0","web":"ghcr.io/acme/shop/web:1.4.0"}"#,
];

/// Settings with which a good request ends at the node (exit 3), on a machine
/// with a cluster too: there is no helm on its `PATH`.
const NOWHERE: &str = "[defaults]\nkubeconfig = \"/nowhere/config\"\n";

/// How a good request ends there.
const NO_HELM: &str = "helm is not in PATH";

/// A runner's home: the script, and settings that lead to no cluster.
struct Node {
    home: TempDir,
}

impl Node {
    fn new() -> Self {
        let home = tempfile::Builder::new()
            .prefix("deploy-cli-")
            .permissions(Permissions::from_mode(0o755))
            .tempdir()
            .unwrap();
        symlink(binary(), home.path().join("deploy.sh")).unwrap();
        let node = Self { home };
        node.write("deploy.toml", NOWHERE);
        node
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Writes a file of the runner's that nobody else may write.
    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
        self.chmod(name, 0o644);
    }

    fn chmod(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    /// `deploy` by hand, with nothing of this machine's: its deploy.toml and
    /// its state are the node's own.
    fn deploy(&self) -> Command {
        let mut command = self.bare(&binary());
        command
            .env("DEPLOY_CONFIG", self.path("deploy.toml"))
            .env("DEPLOY_STATE_DIR", self.path("state"));
        command
    }

    /// The script as a workflow calls it, with no variable set but its home and
    /// `PATH`: it reads the deploy.toml beside it.
    fn script(&self) -> Command {
        self.called(&self.path("deploy.sh"))
    }

    /// The same under another of its names.
    fn called(&self, name: &Path) -> Command {
        assert!(
            !Path::new("/etc/deploy/deploy.toml").exists(),
            "this machine's /etc/deploy/deploy.toml comes first: run these tests on another"
        );
        self.bare(name)
    }

    fn bare(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", self.home.path())
            .env("TMPDIR", self.home.path())
            .env("PATH", self.home.path())
            .current_dir(self.home.path());
        command
    }

    /// Every path in the home, and what its file holds.
    fn listing(&self) -> BTreeSet<(PathBuf, Vec<u8>)> {
        let mut found = BTreeSet::new();
        let mut folders = vec![self.home.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let meta = path.symlink_metadata().unwrap();
                let mut content = Vec::new();
                if meta.is_dir() {
                    folders.push(path.clone());
                } else if meta.is_file() {
                    content = fs::read(&path).unwrap();
                }
                found.insert((path, content));
            }
        }
        found
    }
}

/// The program under test.
fn binary() -> PathBuf {
    cargo_bin!("deploy").to_owned()
}
