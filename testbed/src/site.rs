//! A node for figures: a home of its own, a configuration that names the helm, and an
//! environment in which nothing of this machine's counts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::client::Info;

/// A node.
pub struct Site<'a> {
    /// The testbed that it belongs to.
    pub info: &'a Info,
    /// The program of helm that it has.
    pub helm: &'a Path,
    home: tempfile::TempDir,
    script: PathBuf,
    namespaces: Vec<String>,
}

impl<'a> Site<'a> {
    /// With this helm, this `deploy`, and these lines of defaults. It takes these namespaces away
    /// when it goes.
    pub fn new(
        info: &'a Info,
        helm: &'a Path,
        deploy: &Path,
        defaults: &str,
        namespaces: Vec<String>,
    ) -> Result<Self> {
        let home = tempfile::Builder::new().prefix("bench-").tempdir()?;
        let helm_path = helm.display().to_string();
        let config = format!("[defaults]\nhelm = {helm_path:?}\n{defaults}");
        fs::write(home.path().join("deploy.toml"), config)?;
        let script = home.path().join("deploy.sh");
        std::os::unix::fs::symlink(deploy, &script)?;
        Ok(Self {
            info,
            helm,
            home,
            script,
            namespaces,
        })
    }

    /// Where its journal lies.
    pub fn journal(&self) -> PathBuf {
        self.home.path().join("state/journal.jsonl")
    }

    /// A program in the node's environment.
    pub fn command(&self, program: &Path) -> Command {
        let home = self.home.path();
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs(self.info.variables())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", home)
            .env("TMPDIR", std::env::temp_dir())
            .env("DEPLOY_CONFIG", home.join("deploy.toml"))
            .env("DEPLOY_STATE_DIR", home.join("state"))
            .current_dir(home);
        command
    }

    /// A signal for the shop of an owner, with these tags of its api and web.
    pub fn signal(&self, app: &str, owner: &str, version: &str, tags: [&str; 2]) -> Command {
        let [api, web] = tags;
        let mut command = self.command(&self.script);
        command.args(["--app", app, "--chart-version", version]).args([
            "--chart",
            &format!("oci://ghcr.io/{owner}/charts/shop"),
            "--images",
            &format!(
                r#"{{"api":"ghcr.io/{owner}/shop/api:{api}","web":"ghcr.io/{owner}/shop/web:{web}"}}"#
            ),
        ]);
        command
    }

    /// The same as a script calls helm for it; the release is its namespace.
    pub fn bare(&self, app: &str, owner: &str, version: &str, tags: [&str; 2]) -> Command {
        let mut command = self.command(self.helm);
        command
            .args(["upgrade", "--install", app])
            .arg(format!("oci://ghcr.io/{owner}/charts/shop"))
            .args(["--version", version, "--namespace", app])
            .args(["--create-namespace", "--wait"]);
        for (key, tag) in ["api", "web"].into_iter().zip(tags) {
            command
                .arg("--set")
                .arg(format!("{key}.image.repository=ghcr.io/{owner}/shop/{key}"))
                .arg("--set")
                .arg(format!("{key}.image.tag={tag}"));
        }
        command
    }

    /// What kubectl says.
    pub fn kubectl(&self, args: &[&str]) -> Result<String> {
        let output = self.command(&self.info.kubectl).args(args).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "kubectl {args:?}: {said}");
        String::from_utf8(output.stdout).context("what kubectl says is no text")
    }

    /// A file in its home.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Hands a manifest to the cluster, one of several at the same time.
    pub fn apply(&self, number: usize, manifest: &str) -> Result<()> {
        let file = self.path(&format!("manifest-{number}.json"));
        fs::write(&file, manifest)?;
        let file = file.to_str().context("a path that is no text")?;
        self.kubectl(&["create", "-f", file]).map(|_| ())
    }
}

impl Drop for Site<'_> {
    fn drop(&mut self) {
        // The cluster goes by itself; this only keeps its one node small until then.
        let _ = self
            .command(&self.info.kubectl)
            .args(["delete", "namespace", "--wait=false", "--ignore-not-found"])
            .args(&self.namespaces)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}
