//! A job of the hosted half without Actions: a clone of the example's
//! repository, the runner's variables, and the way to the testbed's ghcr.io.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;
use testbed::ghcr::{PUSH_PASSWORD, PUSH_USER};

use crate::harness::{Helm, Ran, Running, bed, root};

/// A job of a repository of its own.
pub struct Stage {
    folder: TempDir,
    /// The owner on GitHub, in the case that it was given.
    pub owner: String,
    env: Vec<(String, String)>,
}

impl Stage {
    /// A push to `main` of the example's repository.
    pub fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let owner = format!("Hosted-{name}-{}-{count}", std::process::id());
        let folder = tempfile::Builder::new()
            .prefix("deploy-it-")
            .tempdir()
            .unwrap();
        for inner in ["workspace", "temp", "home", "bin"] {
            fs::create_dir(folder.path().join(inner)).unwrap();
        }
        let stage = Self {
            folder,
            owner,
            env: Vec::new(),
        };
        std::os::unix::fs::symlink(Helm::V4.path(), stage.path("bin/helm")).unwrap();
        let mut copy = Command::new("cp");
        copy.args(["-R", "-T"])
            .arg(root().join("examples/shop"))
            .arg(stage.path("workspace"));
        assert!(copy.status().unwrap().success());
        // Built files of somebody who tried it are not of the repository.
        stage.git(&["init", "--quiet", "--initial-branch", "main"]);
        stage.commit("first");
        // GitHub itself: what the runner would ask, it asks of this folder.
        let config = format!(
            "[url \"file://{}/\"]\n\tinsteadOf = https://github.com/{}/Shop\n",
            stage.path("workspace/.git").display(),
            stage.owner
        );
        fs::write(stage.path("home/.gitconfig"), config).unwrap();
        stage
    }

    /// With another helm.
    pub fn helm(self, helm: Helm) -> Self {
        fs::remove_file(self.path("bin/helm")).unwrap();
        std::os::unix::fs::symlink(helm.path(), self.path("bin/helm")).unwrap();
        self
    }

    /// With a variable, in place of what was there.
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.env.push((key.to_owned(), value.to_owned()));
        self
    }

    /// A path in the job's folder.
    pub fn path(&self, inner: &str) -> PathBuf {
        self.folder.path().join(inner)
    }

    /// The owner as the registry has it.
    pub fn lower(&self) -> String {
        self.owner.to_lowercase()
    }

    pub fn git(&self, args: &[&str]) -> String {
        let output = Command::new("git")
            .args([
                "-c",
                "user.name=shop",
                "-c",
                "user.email=shop@example.invalid",
            ])
            .args(args)
            .current_dir(self.path("workspace"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "git {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Commits all that is there; gives the commit's id.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.head()
    }

    pub fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    /// Changes a file of the repository.
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let path = self.path("workspace").join(path);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from:?} is not in {}", path.display());
        fs::write(path, text.replace(from, to)).unwrap();
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        let path = |inner: &str| self.path(inner).display().to_string();
        command
            .env_clear()
            .current_dir(self.path("workspace"))
            .envs(
                bed()
                    .info
                    .variables()
                    .into_iter()
                    .filter(|(key, _)| *key != "KUBECONFIG"),
            )
            .env("PATH", format!("{}:/usr/bin:/bin", path("bin")))
            .env("HOME", path("home"))
            .env("RUNNER_TEMP", path("temp"))
            .env("GITHUB_OUTPUT", path("temp/output"))
            .env("GITHUB_STEP_SUMMARY", path("temp/summary"))
            .env("GITHUB_REPOSITORY", format!("{}/Shop", self.owner))
            .env("GITHUB_SERVER_URL", "https://github.com")
            .env("GITHUB_ACTOR", PUSH_USER)
            .env("GITHUB_EVENT_NAME", "push")
            .env("GITHUB_REF", "refs/heads/main")
            .env("GITHUB_REF_NAME", "main")
            .env("GITHUB_REF_TYPE", "branch")
            .env("GITHUB_RUN_ATTEMPT", "1")
            .env("GITHUB_RUN_ID", "7")
            .env("GITHUB_SHA", self.head())
            .env("APP", "shop")
            .env("PLATFORM", "linux/amd64")
            .env("PLATFORMS", r#"["linux/amd64"]"#)
            .env("IMAGE_PATH", "")
            .env("LAYOUTS", path("temp/layouts/amd64"))
            .env("CHART_FOLDER", path("temp/package"))
            .env("COMPONENTS", r#"["api", "web", "worker"]"#)
            .env("REFERENCES", "digest")
            .env("CHART", "chart")
            .env("REGISTRY_TOKEN", PUSH_PASSWORD)
            .env("READ_TOKEN", PUSH_PASSWORD)
            .envs(self.env.iter().map(|(key, value)| (key, value)));
        command
    }

    /// Runs a script as a step does.
    pub fn run(&self, script: &str) -> Ran {
        self.run_with(script, &[])
    }

    /// Runs a script with arguments.
    pub fn run_with(&self, script: &str, args: &[&str]) -> Ran {
        let _ = fs::remove_file(self.path("temp/output"));
        let mut command = self.command(&root().join("hosted").join(script));
        command.args(args);
        Running::spawn(command).wait()
    }

    /// Runs a script with further variables.
    pub fn run_env(&self, script: &str, variables: &[(&str, String)]) -> Ran {
        let _ = fs::remove_file(self.path("temp/output"));
        let mut command = self.command(&root().join("hosted").join(script));
        command.envs(variables.iter().map(|(key, value)| (key, value)));
        Running::spawn(command).wait()
    }

    /// Runs a step's own script, with further variables.
    pub fn shell(&self, script: &str, variables: &[(&str, String)]) -> Ran {
        let _ = fs::remove_file(self.path("temp/output"));
        let mut command = self.command(Path::new("/bin/bash"));
        // As GitHub's runner does where a step says `shell: bash`.
        command.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script]);
        command.envs(variables.iter().map(|(key, value)| (key, value)));
        Running::spawn(command).wait()
    }

    /// As [`Stage::run_with`], of another commit.
    pub fn with_commit(&self, id: &str, script: &str, args: &[&str]) -> Ran {
        let mut command = self.command(&root().join("hosted").join(script));
        command.env("GITHUB_SHA", id).args(args);
        Running::spawn(command).wait()
    }

    /// What helm shows of a chart in the registry.
    pub fn helm_shows(&self, chart: &str, version: &str) -> String {
        let mut command = self.command(Helm::V4.path());
        command.args(["show", "chart", chart, "--version", version]);
        Running::spawn(command).wait().exits(0).stdout.clone()
    }

    /// Writes Chart.lock for the chart's dependencies, as its developer does.
    pub fn lock_dependencies(&self) {
        let mut command = self.command(Helm::V4.path());
        command.args(["dependency", "update", "chart"]);
        Running::spawn(command).wait().exits(0);
        fs::remove_dir_all(self.path("workspace/chart/charts")).unwrap();
    }

    /// A manifest as the registry has it.
    pub fn registry(&self, repository: &str, reference: &str) -> String {
        let mut command = self.command(Path::new("/bin/bash"));
        let lib = root().join("hosted/lib.sh");
        let script = r#"source "$1"; sign_in; exists "$2" "$3"; cat "$scratch/body""#;
        command
            .args(["-c", script, "registry"])
            .arg(lib)
            .args([repository, reference]);
        Running::spawn(command).wait().exits(0).stdout.clone()
    }

    /// Every path lies in the workspace, in the runner's temp, or is a device.
    #[track_caller]
    pub fn wrote_only(&self, paths: &[String]) {
        assert!(!paths.is_empty(), "the trace holds nothing");
        let inside = [self.path("workspace"), self.path("temp"), "/dev".into()];
        let outside: Vec<_> = paths
            .iter()
            .filter(|path| {
                !inside
                    .iter()
                    .any(|folder| Path::new(path).starts_with(folder))
            })
            .collect();
        assert!(outside.is_empty(), "{outside:#?}");
    }

    /// As [`Stage::run`], and gives the paths of all that it wrote, made or removed.
    pub fn traced(&self, script: &str) -> (Ran, Vec<String>) {
        let trace = self.path("trace");
        let mut command = self.command(Path::new("strace"));
        command
            .args(["--follow-forks", "--quiet=all", "--seccomp-bpf"])
            .args(["--decode-fds=path", "--trace=%file", "--output"])
            .arg(&trace)
            .arg(root().join("hosted").join(script));
        let ran = Running::spawn(command).wait();
        let calls = fs::read_to_string(trace).unwrap();
        let workspace = self.path("workspace");
        let written = calls.lines().filter_map(|line| written(line, &workspace));
        (ran, written.collect())
    }

    /// Whether the script put this out.
    pub fn put_out(&self, name: &str) -> bool {
        let all = fs::read_to_string(self.path("temp/output")).unwrap_or_default();
        let start = format!("{name}=");
        all.lines().any(|line| line.starts_with(&start))
    }

    /// What the script put out.
    pub fn output(&self, name: &str) -> String {
        let all = fs::read_to_string(self.path("temp/output")).unwrap_or_default();
        let start = format!("{name}=");
        let found = all.lines().rev().find_map(|line| line.strip_prefix(&start));
        found
            .unwrap_or_else(|| panic!("no output {name} in {all:?}"))
            .to_owned()
    }
}

/// Calls that change what a path stands for; the last path they name is the one made.
const CHANGES: [&str; 21] = [
    "creat",
    "mkdir",
    "mkdirat",
    "mknod",
    "mknodat",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "rmdir",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "truncate",
    "chmod",
    "fchmodat",
    "chown",
    "fchownat",
    "mount",
];

/// The path that a call changed, from a line of strace; nothing where it only
/// looked or failed.
fn written(line: &str, workspace: &Path) -> Option<String> {
    let (_, call) = line.split_once(' ')?;
    let (name, rest) = call.trim_start().split_once('(')?;
    let writes = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"];
    let opens = matches!(name, "open" | "openat") && writes.iter().any(|flag| rest.contains(flag));
    if rest.contains(" = -1 ") || !(opens || CHANGES.contains(&name)) {
        return None;
    }
    let path = Path::new(rest.rsplit('"').nth(1)?);
    // `AT_FDCWD<folder>` or `3<folder>`, as strace decodes it.
    let folder = rest
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'))
        .map_or(workspace, |(folder, _)| Path::new(folder));
    Some(folder.join(path).display().to_string())
}
