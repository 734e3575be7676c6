//! The process that stays outside. It outlives the supervisor, to remove what that left.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use rustix::fs::Mode;
use serde::{Deserialize, Serialize};

use super::instance::{Instance, Settings};
use super::{ENTER, SUPERVISE, Told, cgroups, handover};
use crate::cluster;

/// What the supervisor is told beside the open files.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Orders {
    /// The testbed's entry in the list.
    pub entry: PathBuf,
    /// The supervisor's process id, as the host sees it.
    pub supervisor_pid: u32,
}

/// Runs a testbed and removes it at its end. Standard input is the file whose lock shows that it
/// lives; standard output is read by the starter until the testbed is ready.
pub fn run(entry: &Path) -> Result<()> {
    let result = keep_and_remove(entry);
    if let Err(error) = &result {
        tell(&Told::Failed(format!("{error:#}")));
    }
    result
}

fn keep_and_remove(entry: &Path) -> Result<()> {
    let instance = Instance::read(entry)?;
    // The starter's folder must not be kept busy, and its umask must not keep pods from theirs.
    std::env::set_current_dir("/")?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let alive = std::io::stdin().as_fd().try_clone_to_owned()?;
    let outcome = keep(&instance, alive);
    if outcome.is_err() {
        // The run folder goes; the logs are what is left to tell why.
        let _ = keep_logs(&instance.settings);
    }
    let removed = instance.remove();
    outcome.and(removed)
}

/// Where the logs of the last testbed that did not come up are kept.
pub(super) fn last_logs(cache: &Path) -> PathBuf {
    cache.join("last-failure")
}

fn keep_logs(settings: &Settings) -> Result<()> {
    let target = last_logs(&settings.cache);
    if target.exists() {
        fs::remove_dir_all(&target)?;
    }
    fs::create_dir_all(&target)?;
    for entry in fs::read_dir(settings.run.join("logs"))? {
        let entry = entry?;
        fs::copy(entry.path(), target.join(entry.file_name()))?;
    }
    Ok(())
}

/// From the first cgroup to the end of the last process.
fn keep(instance: &Instance, alive: OwnedFd) -> Result<()> {
    let settings = &instance.settings;
    for folder in ["logs", "tmp"] {
        fs::create_dir(settings.run.join(folder))?;
    }
    for hierarchy in &settings.hierarchies {
        hierarchy.create(&settings.cgroup)?;
    }
    let loopback = || TcpListener::bind("127.0.0.1:0").context("no port of 127.0.0.1 is free");
    // In the order that the supervisor takes them in.
    let mut files = vec![
        alive,
        OwnedFd::from(UnixListener::bind(instance.socket())?),
        loopback()?.into(),
    ];
    for _ in cluster::places(&settings.artefacts) {
        files.push(loopback()?.into());
    }

    let (ours, theirs) = UnixStream::pair()?;
    let log = File::create(settings.run.join("logs/supervisor.log"))?;
    let mut unshare = Command::new(std::env::current_exe()?)
        .arg(ENTER)
        .arg(instance.dir())
        .env_clear()
        .env(
            "PATH",
            format!(
                "{}:/usr/sbin:/usr/bin:/sbin:/bin",
                std::env::var("PATH").unwrap_or_default()
            ),
        )
        .stdin(OwnedFd::from(theirs))
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    // Only the supervisor must hold the other end: its end is seen by it.
    let mut reader = BufReader::new(ours.try_clone()?);
    let entered = read_told(&mut reader)?;
    if !matches!(entered, Some(Told::Entered)) {
        unshare.wait()?;
        bail!(
            "the namespaces could not be made: {}",
            last_line(&settings.run.join("logs/supervisor.log"))
        );
    }
    // `unshare` has done its part: a supervisor without a janitor must be able to remove the
    // cgroups, so nothing of the host may stay in them.
    for hierarchy in &settings.hierarchies {
        cgroups::join(&hierarchy.own, unshare.id())?;
    }
    handover::send(&ours, &files)?;
    // The janitor keeps the lock, and no listener: with the supervisor they must close.
    files.truncate(1);
    let orders = Orders {
        entry: instance.dir().to_owned(),
        supervisor_pid: child_of(unshare.id())?,
    };
    writeln!(&ours, "{}", serde_json::to_string(&orders)?)?;

    let mut failure = None;
    while let Some(told) = read_told(&mut reader)? {
        match told {
            Told::Failed(why) => failure = Some(why),
            told => tell(&told),
        }
    }
    unshare.wait()?;
    match failure {
        Some(why) => bail!(why),
        None => Ok(()),
    }
}

/// Nothing, when the other side is gone.
fn read_told(reader: &mut impl BufRead) -> Result<Option<Told>> {
    let mut line = String::new();
    match reader.read_line(&mut line) {
        Ok(0) => Ok(None),
        // A killed process may reset its connections.
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(None),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(Some(serde_json::from_str(&line)?)),
    }
}

/// Tells the starter, who may be gone.
fn tell(told: &Told) {
    if let Ok(line) = serde_json::to_string(told) {
        let mut stdout = std::io::stdout().lock();
        let _ = writeln!(stdout, "{line}");
        let _ = stdout.flush();
    }
}

/// The last that a program wrote into its log.
pub(super) fn last_line(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines().last().unwrap_or("nothing was said").to_owned()
}

/// The only child of a process.
fn child_of(parent: u32) -> Result<u32> {
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process may end while it is looked at.
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let is_parent = |line: &str| {
            line.strip_prefix("PPid:")
                .is_some_and(|rest| rest.trim() == parent.to_string())
        };
        if status.lines().any(is_parent) {
            return Ok(pid);
        }
    }
    bail!("process {parent} has no child, but said that it has one")
}

/// Joins the testbed's cgroups and goes on as `unshare`, which makes the namespaces: a cgroup
/// namespace begins at the cgroup that its maker is in.
pub fn enter(entry: &Path) -> Result<()> {
    let settings = Instance::read(entry)?.settings;
    for hierarchy in &settings.hierarchies {
        cgroups::join(&hierarchy.ours(&settings.cgroup), 0)?;
    }
    let error = Command::new("unshare")
        .args(["--pid", "--fork", "--kill-child", "--mount", "--mount-proc"])
        .args(["--net", "--ipc", "--uts", "--cgroup", "--"])
        .arg(std::env::current_exe()?)
        .arg(SUPERVISE)
        .stdin(Stdio::inherit())
        .exec();
    Err(error).context("`unshare` cannot be run")
}
