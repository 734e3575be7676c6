//! The processes under process 1: its own children, and orphans that the kernel gives to it. It
//! waits for all of them here, and nothing else in the process may wait for any.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail};
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group, wait,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use crate::cluster::Cluster;
use crate::cluster::programs::Program;

/// How a process ended, in words: `exit status 1`, `signal 9`.
pub(super) type Ending = String;

/// The children that run.
#[derive(Debug)]
pub struct Children {
    cluster: Cluster,
    table: Mutex<Table>,
    ended: mpsc::UnboundedSender<(String, Ending)>,
}

#[derive(Debug, Default)]
struct Table {
    running: HashMap<i32, Child>,
    /// Every lasting program that was started, to start it again.
    programs: HashMap<String, Program>,
}

#[derive(Debug)]
enum Child {
    /// Runs for as long as the testbed; its end is told.
    Lasting(String),
    /// Somebody waits for its end.
    Passing(oneshot::Sender<Ending>),
}

impl Children {
    /// No children yet. The receiver is told of each lasting one that ended by itself.
    pub(super) fn new(cluster: Cluster) -> (Self, mpsc::UnboundedReceiver<(String, Ending)>) {
        let (ended, receiver) = mpsc::unbounded_channel();
        let children = Self {
            cluster,
            table: Mutex::default(),
            ended,
        };
        (children, receiver)
    }

    /// Starts a program that should run for as long as the testbed.
    pub fn start(&self, program: &Program) -> Result<()> {
        let mut table = self.table();
        table.programs.insert(program.name.clone(), program.clone());
        self.spawn(&mut table, program, Child::Lasting(program.name.clone()))
    }

    /// Where a program's output goes.
    pub(super) fn log_of(&self, name: &str) -> PathBuf {
        self.cluster.logs().join(format!("{name}.log"))
    }

    /// Runs a program to its end. Its failure is an error.
    pub async fn finish(&self, program: &Program) -> Result<()> {
        let (told, ending) = oneshot::channel();
        self.spawn(&mut self.table(), program, Child::Passing(told))?;
        let ending = ending
            .await
            .context("nobody waits for processes any more")?;
        if ending != SUCCESS {
            let log = self.log_of(&program.name);
            bail!(
                "{} ended with {ending}; see {}",
                program.name,
                log.display()
            );
        }
        Ok(())
    }

    /// Kills a lasting program and waits for its end, which is not told.
    pub(super) async fn stop(&self, name: &str) -> Result<()> {
        let (told, ending) = oneshot::channel();
        {
            let mut table = self.table();
            let pid = table.pid(name)?;
            table
                .running
                .insert(pid.as_raw_nonzero().get(), Child::Passing(told));
            kill_process(pid, Signal::KILL)?;
        }
        ending
            .await
            .context("nobody waits for processes any more")?;
        Ok(())
    }

    /// Whether a program that ended wants to be started again.
    pub(super) fn returns(&self, name: &str) -> bool {
        let table = self.table();
        table
            .programs
            .get(name)
            .is_some_and(|program| program.returns)
    }

    /// Starts a program that was stopped.
    pub(super) fn start_again(&self, name: &str) -> Result<()> {
        let mut table = self.table();
        if table.pid(name).is_ok() {
            bail!("{name} runs already");
        }
        let program = table.programs.get(name).cloned();
        let program = program.with_context(|| table.unknown(name))?;
        self.spawn(&mut table, &program, Child::Lasting(program.name.clone()))
    }

    /// Sends a signal to a lasting program.
    pub(super) fn signal(&self, name: &str, signal: Signal) -> Result<()> {
        Ok(kill_process(self.table().pid(name)?, signal)?)
    }

    /// The table is held while the program starts: it may end before it is in there.
    fn spawn(&self, table: &mut Table, program: &Program, child: Child) -> Result<()> {
        let cluster = &self.cluster;
        let log = log_file(&self.log_of(&program.name))?;
        let own = program.env.iter().find(|(name, _)| *name == "PATH");
        let path = own.map_or_else(|| cluster.search_path(), |(_, path)| path.clone());
        let mut command = Command::new(find(&path, program.program)?);
        command
            .args(&program.args)
            .env_clear()
            .env("PATH", path)
            .env("HOME", &cluster.run)
            .env("TMPDIR", cluster.run.join("tmp"))
            .current_dir(&cluster.run)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        if let Ok(libraries) = std::env::join_paths(&cluster.artefacts.system.libraries)
            && !libraries.is_empty()
        {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command.envs(program.env.iter().map(|(name, value)| (name, value)));
        let started = command
            .spawn()
            .with_context(|| format!("{} cannot be started", program.program))?;
        table.running.insert(started.id().cast_signed(), child);
        Ok(())
    }

    /// Waits for processes as they end. Never returns.
    pub(super) async fn reap(&self) -> Result<()> {
        let mut signals = signal(SignalKind::child())?;
        loop {
            self.reap_ended();
            signals.recv().await;
        }
    }

    fn reap_ended(&self) {
        let mut table = self.table();
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            match table.running.remove(&pid.as_raw_nonzero().get()) {
                Some(Child::Lasting(name)) => {
                    drop(self.ended.send((name, ending(status))));
                }
                Some(Child::Passing(told)) => drop(told.send(ending(status))),
                None => {}
            }
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn pid(&self, name: &str) -> Result<Pid> {
        let found = self.running.iter().find_map(|(pid, child)| match child {
            Child::Lasting(other) if other == name => Pid::from_raw(*pid),
            _ => None,
        });
        found.with_context(|| {
            if self.programs.contains_key(name) {
                format!("{name} does not run")
            } else {
                self.unknown(name)
            }
        })
    }

    fn unknown(&self, name: &str) -> String {
        let mut known: Vec<&str> = self.programs.keys().map(String::as_str).collect();
        known.sort_unstable();
        format!(
            "no program is called {name}; there are {}",
            known.join(", ")
        )
    }
}

/// Ends every process of the namespace but this one, and waits until they are gone.
pub(super) fn end_all() {
    loop {
        // kill(-1, …): from process 1 of a pid namespace it reaches all of the others.
        let _ = kill_process_group(Pid::INIT, Signal::KILL);
        if wait(WaitOptions::empty()).is_err() {
            return;
        }
    }
}

const SUCCESS: &str = "exit status 0";

fn ending(status: WaitStatus) -> Ending {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown status".to_owned(),
    }
}

fn log_file(path: &Path) -> Result<File> {
    let mut options = File::options();
    options.create(true).append(true);
    options
        .open(path)
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// `Command` looks programs up in this process's PATH, not in the child's.
fn find(path: &str, program: &str) -> Result<PathBuf> {
    std::env::split_paths(path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .with_context(|| format!("no program {program} in {path}"))
}
