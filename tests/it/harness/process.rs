//! Processes that a scenario looks for and kills.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// What is killed.
#[derive(Clone, Copy, Debug)]
pub enum Victim {
    Deploy,
    Helm,
    Both,
    Session,
}

impl Victim {
    /// Kills at once what is to be killed, as far as it is there; all of it was
    /// found before.
    pub fn kill(self, shell: u32, deploy: Option<u32>, helm: Option<u32>) {
        let victims = match self {
            Self::Deploy => [None, deploy, None],
            Self::Helm => [None, None, helm],
            Self::Both => [None, deploy, helm],
            Self::Session => [Some(shell), deploy, helm],
        };
        victims.into_iter().flatten().for_each(kill);
    }
}

/// The processes that this one began, and those began, the eldest first.
pub fn descendants(of: u32) -> Vec<u32> {
    let mut parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?;
            Some((pid, parent.parse().ok()?))
        })
        .collect();
    parents.sort_unstable();
    let mut found = vec![of];
    let mut at = 0;
    while let Some(&parent) = found.get(at) {
        found.extend(
            parents
                .iter()
                .filter(|(_, its)| *its == parent)
                .map(|(pid, _)| *pid),
        );
        at += 1;
    }
    found.split_off(1)
}

/// The helm that works for this process with this command, where there is one.
pub fn helm(of: u32, command: &str) -> Option<u32> {
    descendants(of).into_iter().find(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = line.split(|byte| *byte == 0);
        words.next() == Some(b"helm") && words.next() == Some(command.as_bytes())
    })
}

/// The helms that write to a release anywhere on this machine.
pub fn helms_that_write(release: &str) -> Vec<u32> {
    let namespace = format!("--namespace={release}");
    let works = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = line.split(|byte| *byte == 0);
        words.next() == Some(b"helm")
            && matches!(words.next(), Some(b"upgrade" | b"rollback"))
            && words.any(|word| word == namespace.as_bytes())
    };
    descendants(1).into_iter().filter(works).collect()
}

/// Kills a process; it may have ended.
pub fn kill(pid: u32) {
    let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    let _ = kill_process(pid, Signal::KILL);
}
