//! A machine of its own to install on: a root that holds a shell, a few
//! programs, the runner's home, and nothing else.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::LazyLock;

use tempfile::TempDir;
use testbed::build::{Cache, unpack};
use testbed::progress::Progress;

use crate::harness::{self, deploy_binary};

/// A user that owns the runner's home and nothing else.
pub const RUNNER: u32 = 64_001;

/// Where the machine's users look for programs. All that install.sh may call is
/// there: a program of neither list would not be found.
pub const PROGRAMS: &str = "/programs";

/// What only looks.
const READERS: [&str; 6] = ["awk", "curl", "id", "ls", "sha256sum", "uname"];

/// What may change something: in a folder of its own, which it removes.
const WRITERS: [&str; 7] = ["cat", "chmod", "cp", "mkdir", "mktemp", "mv", "rm"];

/// What unpacks an archive.
const UNPACKERS: [&str; 2] = ["tar", "gzip"];

/// Where an installation changes anything.
const CHANGED: [&str; 4] = ["etc", "home", "usr/local", "var"];

/// Whose `sh` and programs a machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// dash, and Debian's programs.
    Dash,
    /// busybox alone.
    Busybox,
}

/// A program that needs nothing around it.
pub static BUSYBOX: LazyLock<PathBuf> = LazyLock::new(|| {
    let cache = Cache::open().unwrap();
    let folder = unpack(&cache, "busybox-static", Progress::stderr()).unwrap();
    folder.join("bin/busybox")
});

/// Enters the root and becomes the command. `usr/bin` is there where the
/// machine has Debian's own programs; its libraries are what the `deploy` that was
/// built here needs, which lies at `/built`.
const ENTER: &str = r#"
root=$1 deploy=$2 user=$3 programs=$4; shift 4
mount --bind /dev/null "$root/dev/null"
mount --bind "$deploy" "$root/built"
for folder in bin lib lib64; do
    [ ! -d "$root/usr/$folder" ] || mount --bind "/usr/$folder" "$root/usr/$folder"
done
exec env -i PATH="$programs" /usr/sbin/chroot --userspec="$user:$user" --groups= "$root" "$@"
"#;

/// A machine.
pub struct Machine {
    root: TempDir,
}

impl Machine {
    pub fn new(shell: Shell) -> Self {
        let root = tempfile::Builder::new()
            .prefix("install-it-")
            .tempdir()
            .unwrap();
        fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
        let machine = Self { root };
        for folder in [
            "bin",
            "dev",
            "etc",
            "home/github-runner",
            "programs",
            "tmp",
            "usr/local/bin",
            "var/lib",
        ] {
            fs::create_dir_all(machine.path(folder)).unwrap();
        }
        machine.write("dev/null", "");
        machine.write("built", "");
        machine.write("etc/passwd", &format!("root:x:0:0::/root:/bin/sh\nrunner:x:{RUNNER}:{RUNNER}::/home/github-runner:/bin/sh\n"));
        machine.write("etc/group", &format!("root:x:0:\nrunner:x:{RUNNER}:\n"));
        let script = harness::root().join("install.sh");
        fs::copy(script, machine.path("install.sh")).unwrap();
        chown(
            machine.path("home/github-runner"),
            Some(RUNNER),
            Some(RUNNER),
        )
        .expect("these tests are about root and run as root");
        let usr = |folder: &str| {
            fs::create_dir_all(machine.path("usr").join(folder)).unwrap();
            symlink(format!("usr/{folder}"), machine.path(folder)).unwrap();
        };
        ["lib", "lib64"].into_iter().for_each(usr);
        match shell {
            Shell::Dash => {
                fs::remove_dir(machine.path("bin")).unwrap();
                usr("bin");
            }
            Shell::Busybox => {
                fs::copy(&*BUSYBOX, machine.path("bin/busybox")).unwrap();
                symlink("busybox", machine.path("bin/sh")).unwrap();
            }
        }
        for program in READERS.iter().chain(&WRITERS).chain(&UNPACKERS) {
            let target = match shell {
                // awk itself is a symlink by way of /etc.
                Shell::Dash if *program == "awk" => "/usr/bin/mawk".to_owned(),
                Shell::Dash => format!("/usr/bin/{program}"),
                Shell::Busybox if *program == "curl" => continue,
                Shell::Busybox => "/bin/busybox".to_owned(),
            };
            symlink(target, machine.path(PROGRAMS).join(program)).unwrap();
        }
        machine
    }

    /// A path of the machine's, as this process sees it.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    pub fn write(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).unwrap();
    }

    /// A program of the machine's own.
    pub fn program(&self, path: &str, text: &str) {
        self.write(path, text);
        fs::set_permissions(self.path(path), Permissions::from_mode(0o755)).unwrap();
    }

    /// What the file holds; none where it is not there.
    pub fn read(&self, path: &str) -> Option<String> {
        fs::read(self.path(path))
            .ok()
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Where a symlink leads; none where there is none.
    pub fn link(&self, path: &str) -> Option<String> {
        fs::read_link(self.path(path))
            .ok()
            .map(|to| to.display().to_string())
    }

    /// Makes another release of `deploy`, as far as install.sh looks at it, and
    /// gives its path.
    pub fn release(&self, version: &str) -> String {
        let path = format!("/deploy-{version}");
        self.program(&path, &release(version));
        path
    }

    /// Runs install.sh as root.
    pub fn install(&self, args: &[&str]) -> Ran {
        self.install_as(0, PROGRAMS, args)
    }

    /// Runs install.sh as a user who finds programs in this folder.
    pub fn install_as(&self, user: u32, programs: &str, args: &[&str]) -> Ran {
        let mut command = vec!["/bin/sh", "/install.sh"];
        command.extend(args);
        self.run(user, programs, &command)
    }

    /// Runs a command in a process group of its own.
    pub fn run(&self, user: u32, programs: &str, command: &[&str]) -> Ran {
        let mut unshare = Command::new("unshare");
        unshare.env_clear();
        self.run_by(unshare, user, programs, command)
    }

    /// The same by a program that runs `unshare`.
    pub fn run_by(&self, mut unshare: Command, user: u32, programs: &str, command: &[&str]) -> Ran {
        let output = unshare
            .args(["--mount", "--propagation", "private", "--"])
            .args(["sh", "-euc", ENTER, "enter"])
            .args([self.root.path(), deploy_binary()])
            .args([&user.to_string(), programs])
            .args(command)
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .process_group(0)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Ran {
            status: output.status,
            said: String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr),
        }
    }

    /// A copy of all that an installation could change.
    pub fn keep(&self) -> TempDir {
        let kept = tempfile::tempdir().unwrap();
        for folder in CHANGED {
            copy(&self.path(folder), &kept.path().join(folder));
        }
        kept
    }

    /// Makes the machine what it was when that copy was made.
    pub fn restore(&self, kept: &TempDir) {
        for folder in CHANGED {
            fs::remove_dir_all(self.path(folder)).unwrap();
            copy(&kept.path().join(folder), &self.path(folder));
        }
    }

    /// Every path that an installation could have changed, with owner, mode and
    /// what is there.
    pub fn listing(&self) -> BTreeMap<String, String> {
        let mut listing = BTreeMap::new();
        for folder in CHANGED {
            self.list(&self.path(folder), &mut listing);
        }
        listing
    }

    fn list(&self, folder: &Path, into: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let found = path.symlink_metadata().unwrap();
            let what = if found.is_symlink() {
                format!("-> {}", fs::read_link(&path).unwrap().display())
            } else if found.is_dir() {
                self.list(&path, into);
                format!("{:o} of {}", found.mode() & 0o7777, found.uid())
            } else {
                let text = fs::read(&path).unwrap();
                let text = String::from_utf8_lossy(&text);
                format!("{:o} of {}: {text}", found.mode() & 0o7777, found.uid())
            };
            let name = path.strip_prefix(self.root.path()).unwrap();
            into.insert(format!("/{}", name.display()), what);
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    let copied = Command::new("cp")
        .arg("-a")
        .args([from, to])
        .status()
        .unwrap();
    assert!(copied.success());
}

/// What stands in for a release of `deploy`.
pub fn release(version: &str) -> String {
    format!(
        "#!/bin/sh\ncase $1 in\n--version) echo 'deploy {version}' ;;\n\
         completions | man) echo \"$1 $2 of {version}\" ;;\n\
         install) exec /built \"$@\" ;;\n*) exit 2 ;;\nesac\n"
    )
}

/// How a command ended, and what it said.
pub struct Ran {
    pub status: ExitStatus,
    pub said: String,
}

impl Ran {
    #[track_caller]
    pub fn exits(&self, code: i32) -> &Self {
        assert_eq!(
            self.status.code(),
            Some(code),
            "{}: {}",
            self.status,
            self.said
        );
        self
    }

    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        assert!(
            self.said.contains(text),
            "expected {text:?} in {}",
            self.said
        );
        self
    }
}

/// Makes two tests of a scenario, one on each shell's machine.
macro_rules! in_both_shells {
    ($(#[doc = $doc:literal])* fn $name:ident($machine:ident) $body:block) => {
        $(#[doc = $doc])*
        mod $name {
            #[allow(unused_imports, reason = "a body may need nothing from around it")]
            use super::*;

            fn scenario($machine: &$crate::install::machine::Machine) $body

            #[test]
            fn dash() {
                scenario(&$crate::install::machine::Machine::new($crate::install::machine::Shell::Dash));
            }

            #[test]
            fn busybox() {
                scenario(&$crate::install::machine::Machine::new($crate::install::machine::Shell::Busybox));
            }
        }
    };
}
pub(crate) use in_both_shells;
