//! A node of its own for one scenario: a mount namespace in which the runner's
//! home, /etc, /var/lib and /usr/local/bin are scratch folders, so that
//! `deploy` runs under the real paths and touches nothing of this machine.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// The runner's user: one that this machine does not know otherwise.
pub const RUNNER: u32 = 41_001;

/// Where the workflow finds the script.
pub const SCRIPT: &str = "/home/github-runner/deploy.sh";

/// Enters the namespace and becomes the command, with the same pid throughout,
/// so that a signal to the child reaches `deploy` itself. A scenario that sets
/// `SMALL_DISK` to a tmpfs's limits finds it at `small` in the runner's home; one
/// that sets `ANOTHER_HOST` to a name is on a machine of that name, with a boot of
/// its own; one that sets `BINDS` (a path and its place to a line) finds them there.
const ENTER: &str = r#"
root=$1 user=$2 deploy=$3 helm=$4 cwd=$5; shift 5
mount --bind "$root/home" /home
mount --bind "$root/var-lib" /var/lib
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$root/etc,workdir=$root/etc.work" /etc
mount --bind "$root/bin" /usr/local/bin
mount --bind "$deploy" /usr/local/bin/deploy
[ ! -e "$root/full" ] || {
    mount -t tmpfs -o size=64k,mode=0777 full /var/lib/deploy
    cat /dev/zero > /var/lib/deploy/full 2>/dev/null || :
}
[ -z "$helm" ] || mount --bind "$helm" /usr/local/bin/helm
[ -z "${SMALL_DISK:-}" ] || mount -t tmpfs -o "mode=1777,$SMALL_DISK" tmpfs /home/github-runner/small
[ -z "${ANOTHER_HOST:-}" ] || {
    echo "$ANOTHER_HOST" > /proc/sys/kernel/hostname
    mount --bind "$root/boot_id" /proc/sys/kernel/random/boot_id
}
[ -z "${BINDS:-}" ] || while read -r from to; do mount --bind "$from" "$to"; done <<EOF
$BINDS
EOF
unset SMALL_DISK BINDS ANOTHER_HOST
cd "$cwd"
exec setpriv --reuid "$user" --regid "$user" --clear-groups "$@"
"#;

/// The scratch folders of one node.
pub struct Home {
    root: TempDir,
}

impl Home {
    /// A node with an empty runner's home, the script, and nothing else.
    pub fn new() -> Self {
        let root = tempfile::Builder::new()
            .prefix("deploy-it-")
            .tempdir()
            .unwrap();
        fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
        for folder in [
            "home/github-runner",
            "var-lib",
            "etc/deploy",
            "etc.work",
            "bin",
        ] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        let other = "00000000-0000-4000-8000-000000000000\n";
        fs::write(root.path().join("boot_id"), other).unwrap();
        for program in ["deploy", "helm"] {
            fs::write(root.path().join("bin").join(program), "").unwrap();
        }
        let home = Self { root };
        std::os::unix::fs::symlink("/usr/local/bin/deploy", home.inside("deploy.sh")).unwrap();
        home.give("");
        home
    }

    /// A path in the runner's home, as this process sees it.
    pub fn inside(&self, path: &str) -> PathBuf {
        self.root.path().join("home/github-runner").join(path)
    }

    /// A path under /etc, as this process sees it.
    pub fn etc(&self, path: &str) -> PathBuf {
        self.root.path().join("etc").join(path)
    }

    /// A path under /var/lib, as this process sees it.
    pub fn var_lib(&self, path: &str) -> PathBuf {
        self.root.path().join("var-lib").join(path)
    }

    /// A folder that pods can mount from the cluster's node, and this process reads.
    pub fn shared(&self, name: &str) -> PathBuf {
        let folder = self.root.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
        folder
    }

    /// Writes a file of the runner's into its home.
    pub fn write(&self, path: &str, content: &str, mode: u32) {
        put(&self.inside(path), content, mode);
        self.give(path);
    }

    /// Writes a file of root's under /etc.
    pub fn write_etc(&self, path: &str, content: &str, mode: u32) {
        put(&self.etc(path), content, mode);
    }

    /// From now on /var/lib/deploy, which has to be there, is a disk of its own
    /// that has no room left.
    pub fn fill_the_disk(&self) {
        fs::write(self.root.path().join("full"), "").unwrap();
    }

    /// A command that runs on this node as `user`, in the folder `cwd`.
    pub fn command(&self, deploy: &Path, helm: Option<&Path>, user: u32, cwd: &str) -> Command {
        let mut command = Command::new("unshare");
        command
            .args([
                "--mount",
                "--uts",
                "--propagation",
                "private",
                "--",
                "sh",
                "-euc",
                ENTER,
                "enter",
            ])
            .arg(self.root.path())
            .arg(user.to_string())
            .arg(deploy)
            .arg(helm.unwrap_or(Path::new("")))
            .arg(cwd)
            .env_clear();
        command
    }

    fn give(&self, path: &str) {
        let mut path = PathBuf::from(path);
        loop {
            chown(self.inside("").join(&path), Some(RUNNER), Some(RUNNER)).unwrap();
            if !path.pop() {
                return;
            }
        }
    }
}

fn put(path: &Path, content: &str, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}
