//! What a testbed could leave on the host, and the processes of one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use testbed::build::PacketFilters;

/// Settings of the kernel that change by themselves.
const COUNTERS: [&str; 14] = [
    "fs/aio-nr",
    "fs/dentry-state",
    "fs/epoll",
    "fs/file-nr",
    "fs/inode-nr",
    "fs/inode-state",
    "fs/quota",
    "kernel/ns_last_pid",
    "kernel/pty/nr",
    "kernel/random",
    "net/ipv4/tcp_fastopen_key",
    "net/netfilter",
    "net/nf_conntrack_max",
    "vm/stat_refresh",
];
/// Folders that node programs like to write to.
const FOLDERS: [&str; 8] = [
    "/",
    "/etc",
    "/etc/cni",
    "/opt",
    "/run",
    "/var/lib",
    "/var/log",
    "/usr/libexec",
];

/// What lists the rules of each kind of packet filter.
const FILTERS: [&str; 4] = [
    "iptables-nft-save",
    "ip6tables-nft-save",
    "iptables-legacy-save",
    "ip6tables-legacy-save",
];

/// The state of the host.
#[derive(Debug)]
pub(crate) struct Host {
    facts: BTreeMap<String, BTreeSet<String>>,
}

impl Host {
    /// Looks at everything.
    pub(crate) fn look(filters: &PacketFilters) -> Self {
        let mut facts = BTreeMap::new();
        let mut fact = |name: &str, lines: BTreeSet<String>| facts.insert(name.to_owned(), lines);
        fact("sysctls", sysctls());
        fact(
            "mounts",
            lines(&fs::read_to_string("/proc/self/mounts").unwrap()),
        );
        fact("cgroups", cgroups());
        fact("interfaces", names(Path::new("/sys/class/net")));
        fact(
            "routes",
            lines(&fs::read_to_string("/proc/net/route").unwrap()),
        );
        for program in FILTERS {
            fact(program, rules(filters.command(program)));
        }
        fact(
            "network namespaces",
            output(Command::new("ip").args(["netns", "list"])),
        );
        for folder in FOLDERS {
            fact(folder, names(Path::new(folder)));
        }
        Self { facts }
    }

    /// Panics with what came and what went.
    pub(crate) fn assert_equal(&self, after: &Self) {
        let mut changes = Vec::new();
        for (name, before) in &self.facts {
            let after = &after.facts[name];
            for line in before.difference(after) {
                changes.push(format!("{name}: gone: {line}"));
            }
            for line in after.difference(before) {
                changes.push(format!("{name}: new: {line}"));
            }
        }
        let changes = changes.join("\n");
        assert!(
            changes.is_empty(),
            "the testbed changed the host:\n{changes}"
        );
    }
}

fn lines(text: &str) -> BTreeSet<String> {
    text.lines().map(str::to_owned).collect()
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect()
}

/// What a program says; it must be there and work.
fn output(command: &mut Command) -> BTreeSet<String> {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    lines(&String::from_utf8_lossy(&output.stdout))
}

/// The rules of one kind of packet filter, without the comments, which hold the time.
fn rules(mut save: Command) -> BTreeSet<String> {
    let mut rules = output(&mut save);
    rules.retain(|line| !line.starts_with('#'));
    rules
}

fn sysctls() -> BTreeSet<String> {
    let root = Path::new("/proc/sys");
    let mut found = BTreeSet::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap();
            if COUNTERS.iter().any(|counter| name.starts_with(counter)) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(value) = fs::read(&path) {
                let value = String::from_utf8_lossy(&value).trim().to_owned();
                found.insert(format!("{} = {value}", name.display()));
            }
        }
    }
    found
}

/// All cgroups but those of testbeds: other processes may run some, which come and go.
fn cgroups() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        // One that goes meanwhile is another process's.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_testbed = entry
                .file_name()
                .to_string_lossy()
                .starts_with("deploy-testbed-");
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !is_testbed {
                found.insert(path.display().to_string());
                folders.push(path);
            }
        }
    }
    found
}

/// The cgroups of one testbed that are there.
pub(crate) fn cgroups_of(settings: &testbed::supervisor::Settings) -> Vec<PathBuf> {
    let hierarchies = settings.hierarchies.iter();
    let ours = hierarchies.map(|hierarchy| hierarchy.ours(&settings.cgroup));
    ours.filter(|cgroup| cgroup.exists()).collect()
}

/// The processes of one testbed: their ids and start times.
#[derive(Debug)]
pub(crate) struct Processes {
    all: Vec<Process>,
}

#[derive(Debug)]
struct Process {
    pid: u32,
    start: String,
    command: Vec<String>,
}

impl Processes {
    /// The janitor, `unshare`, the supervisor and all below it.
    pub(crate) fn of(run: &Path) -> Self {
        let entry = run.file_name().unwrap().to_string_lossy().into_owned();
        let table = table();
        let is_janitor = |process: &Process| match &process.command[..] {
            [_, janitor, path] => janitor == "__janitor" && path.ends_with(&entry),
            _ => false,
        };
        let janitor = table
            .iter()
            .find(|(_, process)| is_janitor(process))
            .expect("a janitor")
            .1
            .pid;
        let mut family = BTreeSet::from([janitor]);
        loop {
            let children = table.iter().filter(|(parent, _)| family.contains(parent));
            let more: Vec<u32> = children.map(|(_, process)| process.pid).collect();
            let before = family.len();
            family.extend(more);
            if family.len() == before {
                break;
            }
        }
        let mut all: Vec<Process> = table.into_iter().map(|(_, process)| process).collect();
        all.retain(|process| family.contains(&process.pid));
        Self { all }
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// The janitor's process id.
    pub(crate) fn janitor(&self) -> u32 {
        let is_janitor =
            |process: &&Process| process.command.iter().any(|word| word == "__janitor");
        self.all.iter().find(is_janitor).expect("a janitor").pid
    }

    /// The process id of a program.
    pub(crate) fn running(&self, program: &str) -> u32 {
        let suffix = format!("/{program}");
        let is_it = |process: &&Process| {
            process
                .command
                .first()
                .is_some_and(|word| word.ends_with(&suffix))
        };
        self.all.iter().find(is_it).expect("the program runs").pid
    }

    /// Waits until none of them is there. One that is dead and not yet waited for by the host's
    /// first process is gone.
    pub(crate) fn wait_until_gone(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let left: Vec<&Process> = self.all.iter().filter(|process| process.lives()).collect();
            if left.is_empty() {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "still there after 30 s: {left:?}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Process {
    fn lives(&self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.start == self.start && stat.state != "Z")
    }
}

struct Stat {
    state: String,
    parent: u32,
    start: String,
}

/// Reads /proc/PID/stat; see proc(5).
fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses and may hold any character.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    Some(Stat {
        state: (*fields.first()?).to_owned(),
        parent: fields.get(1)?.parse().ok()?,
        start: (*fields.get(19)?).to_owned(),
    })
}

/// All processes of the host, with their parents.
fn table() -> Vec<(u32, Process)> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap() {
        let Some(pid) = entry
            .unwrap()
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let Some(stat) = stat(pid) else {
            continue;
        };
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&command)
            .trim_end_matches('\0')
            .to_owned();
        let command = words.split('\0').map(str::to_owned).collect();
        found.push((
            stat.parent,
            Process {
                pid,
                start: stat.start,
                command,
            },
        ));
    }
    found
}
