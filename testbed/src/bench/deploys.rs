//! Good deploys: what `deploy` costs beyond the bare helm that it runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::{Figure, beyond, megabytes, pairs, time};
use crate::chart::Shop;
use crate::client::Info;
use crate::image::Spec;
use crate::push::Pusher;

const OWNER: &str = "bench";
const VERSION: &str = "1.0.0";
/// Between these the api's image flips: every upgrade changes it.
const TAGS: [&str; 2] = ["a", "b"];
/// How long the pods of the revision before may take to go.
const QUIET: Duration = Duration::from_secs(60);

/// The figures of good deploys with Helm 4 and 3: `rounds` pairs of an upgrade that changes an
/// image, and the most memory that `deploy` itself took in an install and an upgrade.
pub fn good_deploys(info: &Info, deploy: &Path, rounds: usize) -> Result<Vec<Figure>> {
    let pusher = Pusher::new(info)?;
    pusher.chart(OWNER, &Shop::new("shop", VERSION).grace(1).chart())?;
    for tag in TAGS {
        for key in ["api", "web"] {
            pusher.image(&format!("{OWNER}/shop/{key}"), tag, &Spec::default())?;
        }
    }
    let mut figures = Vec::new();
    for (name, helm) in [("Helm 4", &info.helm4), ("Helm 3", &info.helm3)] {
        let bench = Bench::new(info, helm, deploy, name)?;
        let mut most = 0;
        for round in 0..TAGS.len() {
            most = most.max(peak(&mut bench.deploy(round))?);
            time(&mut bench.bare(round), 0)?;
        }
        let pairs = pairs(
            rounds,
            |round| {
                bench.settle()?;
                time(&mut bench.deploy(round), 0)
            },
            |round| {
                bench.settle()?;
                time(&mut bench.bare(round), 0)
            },
        )?;
        let what = format!("a good upgrade with {name}");
        figures.push(beyond(what, "bare helm", &pairs, 300.0));
        let what = format!("the most memory of deploy itself, with {name}");
        figures.push(megabytes(what, most, 20.0));
    }
    Ok(figures)
}

/// Two releases of one chart, one for `deploy` and one for bare helm.
struct Bench<'a> {
    info: &'a Info,
    helm: &'a Path,
    home: tempfile::TempDir,
    script: PathBuf,
    /// The releases, which are their namespaces too.
    ours: String,
    theirs: String,
}

impl<'a> Bench<'a> {
    fn new(info: &'a Info, helm: &'a Path, deploy: &Path, name: &str) -> Result<Self> {
        let id = format!(
            "{}-{}",
            name.to_lowercase().replace(' ', ""),
            std::process::id()
        );
        let home = tempfile::Builder::new().prefix("bench-").tempdir()?;
        fs::write(
            home.path().join("deploy.toml"),
            format!("[defaults]\nhelm = {:?}\n", helm.display().to_string()),
        )?;
        let script = home.path().join("deploy.sh");
        std::os::unix::fs::symlink(deploy, &script)?;
        Ok(Self {
            info,
            helm,
            home,
            script,
            ours: format!("ours-{id}"),
            theirs: format!("theirs-{id}"),
        })
    }

    fn command(&self, program: &Path) -> Command {
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

    /// The signal of a round.
    fn deploy(&self, round: usize) -> Command {
        let tag = TAGS[round % TAGS.len()];
        let mut command = self.command(&self.script);
        command.args(["--app", &self.ours]).args([
            "--chart",
            &format!("oci://ghcr.io/{OWNER}/charts/shop"),
            "--chart-version",
            VERSION,
            "--images",
            &format!(
                r#"{{"api":"ghcr.io/{OWNER}/shop/api:{tag}","web":"ghcr.io/{OWNER}/shop/web:a"}}"#
            ),
        ]);
        command
    }

    /// The same upgrade as a script calls helm for it.
    fn bare(&self, round: usize) -> Command {
        let tag = TAGS[round % TAGS.len()];
        let mut command = self.command(self.helm);
        command
            .args(["upgrade", "--install", &self.theirs])
            .arg(format!("oci://ghcr.io/{OWNER}/charts/shop"))
            .args(["--version", VERSION, "--namespace", &self.theirs])
            .args(["--create-namespace", "--wait"]);
        for (key, tag) in [("api", tag), ("web", "a")] {
            command
                .arg("--set")
                .arg(format!("{key}.image.repository=ghcr.io/{OWNER}/shop/{key}"))
                .arg("--set")
                .arg(format!("{key}.image.tag={tag}"));
        }
        command
    }

    /// Waits until the pods of earlier revisions are gone: their end is no part of the next upgrade.
    fn settle(&self) -> Result<()> {
        let deadline = Instant::now() + QUIET;
        for namespace in [&self.ours, &self.theirs] {
            loop {
                let output = self
                    .command(&self.info.kubectl)
                    .args(["get", "pods", "--output", "name", "--namespace", namespace])
                    .output()?;
                ensure!(
                    output.status.success(),
                    "kubectl get pods: {}",
                    String::from_utf8_lossy(&output.stderr)
                );
                if String::from_utf8_lossy(&output.stdout).lines().count() <= 2 {
                    break;
                }
                ensure!(
                    Instant::now() < deadline,
                    "old pods are still there in {namespace} after {QUIET:?}"
                );
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        Ok(())
    }
}

impl Drop for Bench<'_> {
    fn drop(&mut self) {
        // The cluster goes by itself; this only keeps its one node small until then.
        let _ = self
            .command(&self.info.kubectl)
            .args(["delete", "namespace", "--wait=false", &self.ours])
            .arg(&self.theirs)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

/// Runs a program to its good end, and gives the most memory that it itself had in use, in bytes:
/// the kernel's `VmHWM`, read until it ends. Its children are not in it.
fn peak(command: &mut Command) -> Result<u64> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::piped()).spawn()?;
    let path = format!("/proc/{}/status", child.id());
    let mut most = 0;
    let status = loop {
        if let Some(kilobytes) = fs::read_to_string(&path)
            .ok()
            .as_deref()
            .and_then(high_water)
        {
            most = most.max(kilobytes * 1024);
        }
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    if !status.success() {
        let mut said = String::new();
        if let Some(mut stderr) = child.stderr.take() {
            std::io::Read::read_to_string(&mut stderr, &mut said).context("what deploy said")?;
        }
        bail!("deploy ended with {status}:\n{said}");
    }
    Ok(most)
}

/// `VmHWM` of a process's status file, in KiB.
fn high_water(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_high_water_mark_is_read() {
        let status = "Name:\tdeploy\nVmPeak:\t  900 kB\nVmHWM:\t   12345 kB\nVmRSS:\t 1 kB\n";
        assert_eq!(high_water(status), Some(12345));
        assert_eq!(high_water("Name:\tx\n"), None);
    }

    #[test]
    fn the_peak_of_a_program_is_seen() {
        let most = peak(Command::new("sleep").arg("0.05")).unwrap();
        assert!(most > 100_000, "{most}");
        assert!(peak(&mut Command::new("false")).is_err());
    }
}
