//! The release's Lease: one deploy at a time among all nodes, as the lock is
//! among the deploys of one. Pure: what a Lease says, and whether it can be
//! taken. [`keeper`] takes it, renews it and gives it back.
//!
//! It must never call a holder dead that can still live.

mod clock;
mod errors;
mod handle;
mod keeper;
mod messages;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use jiff::Timestamp;
pub use k8s_openapi::api::coordination::v1::Lease as Object;
use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};

pub use handle::Lease;
pub use messages::Acquisition;

use crate::run::{self, HelmSpan};
use crate::text;

/// How long a Lease lasts after its last renewal. Its holder gives up before.
const LASTS: Duration = crate::plan::LEASE;

/// The Lease of a release, by its name.
pub fn name(release: &str) -> String {
    format!("deploy.{release}")
}

/// Where the holder says who it is.
const HOLDER: &str = "deploy-signal/holder";

/// A process of the holder's machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// When it started, in ticks since boot; 0 where that is not known.
    pub started: u64,
}

impl Process {
    /// The process that has this id now.
    pub fn of(pid: u32) -> Self {
        Self {
            pid,
            started: run::started(pid).unwrap_or(0),
        }
    }

    /// Whether it has ended for sure. One that cannot be looked at counts as alive.
    pub fn is_gone(self) -> bool {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return false;
        };
        if test_kill_process(pid) == Err(rustix::io::Errno::SRCH) {
            return true;
        }
        let Ok(stat) = fs::read_to_string(format!("/proc/{}/stat", self.pid)) else {
            return false;
        };
        // Behind the name, which can hold anything (proc_pid_stat(5)): a zombie
        // does nothing more, even where nobody ever waits for it.
        let ended = stat
            .rsplit_once(')')
            .is_some_and(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']));
        let another = |now| self.started != 0 && now != self.started;
        ended || run::started(self.pid).is_some_and(another)
    }
}

/// Who holds a Lease, in its own words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseHolder {
    /// As in the lock's file: process, user and run.
    #[serde(flatten)]
    pub lock: run::LockHolder,
    /// The machine's name, for people.
    pub host: String,
    /// The machine's boot: no two machines and no two boots have the same.
    pub boot: String,
    /// The namespace of the process ids: containers of one machine have others.
    pub pids: u64,
    /// The helm that works under this Lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helm: Option<Process>,
}

impl LeaseHolder {
    /// This process, on this machine.
    pub fn this_process(lock: run::LockHolder) -> Self {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self {
            lock,
            host: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
            boot: boot.trim().to_owned(),
            pids: fs::metadata("/proc/self/ns/pid").map_or(0, |found| found.ino()),
            helm: None,
        }
    }

    /// One line for people.
    pub fn line(&self) -> String {
        format!(
            "{}, on host {}",
            self.lock.line(),
            text::line(&self.host, 80)
        )
    }

    /// Whether its processes can be looked at from where `other` is.
    fn is_beside(&self, other: &Self) -> bool {
        !self.boot.is_empty()
            && self.boot == other.boot
            && self.pids != 0
            && self.pids == other.pids
    }

    fn processes(&self) -> impl Iterator<Item = Process> {
        let own = Process {
            pid: self.lock.pid,
            started: self.lock.started,
        };
        std::iter::once(own).chain(self.helm)
    }
}

/// A Lease as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseView {
    /// Who holds it, in one word; none where nobody does.
    identity: Option<String>,
    /// What the holder says of itself, or the last one said.
    holder: Option<LeaseHolder>,
    /// When it was renewed last, by the holder's clock.
    renewed: Option<Timestamp>,
    /// How long it lasts without being renewed.
    lasts: Duration,
}

impl LeaseView {
    /// Reads what the cluster holds, whoever wrote it.
    pub fn of(object: &Object) -> Self {
        let spec = object.spec.clone().unwrap_or_default();
        let seconds = spec.lease_duration_seconds.unwrap_or(0);
        let annotations = object.metadata.annotations.as_ref();
        let holder = annotations
            .and_then(|all| all.get(HOLDER))
            .and_then(|json| serde_json::from_str(json).ok());
        Self {
            identity: spec.holder_identity.filter(|identity| !identity.is_empty()),
            holder,
            renewed: spec.renew_time.map(|time| time.0),
            lasts: u64::try_from(seconds)
                .ok()
                .filter(|seconds| *seconds > 0)
                .map_or(LASTS, Duration::from_secs),
        }
    }

    /// Who holds it, in one word: a deploy's run, as a rule. None where nobody does.
    pub fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    /// Whether it has not run out, by the holder's clock.
    pub fn is_current(&self, now: Timestamp) -> bool {
        self.renewed.is_some_and(|renewed| {
            Duration::try_from(now.duration_since(renewed)).unwrap_or_default() < self.lasts
        })
    }

    /// The holder, where it said who it is.
    fn known(&self) -> Option<&LeaseHolder> {
        let identity = self.identity.as_deref()?;
        self.holder
            .as_ref()
            .filter(|holder| holder.lock.run.as_str() == identity)
    }

    /// The last helm that worked under it.
    fn last_helm(&self) -> Option<HelmSpan> {
        self.holder.as_ref()?.lock.helm()
    }

    /// Who held it last, where nobody does now.
    fn last_line(&self) -> String {
        match &self.holder {
            Some(holder) => format!("taken, and given back, by {}", holder.line()),
            None => "taken, and given back, by another deploy".to_owned(),
        }
    }

    /// One line for people.
    pub fn line(&self) -> String {
        match (self.known(), &self.identity) {
            (Some(holder), _) => holder.line(),
            (None, Some(identity)) => text::line(identity, 120).into_owned(),
            (None, None) => "nobody".to_owned(),
        }
    }
}

/// What is known besides the Lease.
#[derive(Clone, Copy, Debug)]
struct LeaseContext<'a> {
    /// Who asks.
    me: &'a LeaseHolder,
    /// The time.
    now: Timestamp,
    /// For how long it was seen unchanged, by this machine's clock: those of two
    /// machines can differ.
    unchanged: Duration,
    /// After what time a holder that cannot be proven dead counts as dead.
    stale_after: Duration,
}

/// What to do about a Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeaseDecision {
    /// Nobody holds it, or a dead one does.
    Take,
    /// Its holder can still live.
    Wait,
}

/// Decides. A holder stops its helm before its Lease runs out ([`keeper`]), so
/// one that let it run out has no helm any more. Whether it ran out is judged by
/// how long it was seen unchanged: a Lease that is renewed is held, whatever the
/// clocks say.
fn decide(
    seen: &LeaseView,
    facts: &LeaseContext<'_>,
    is_gone: impl Fn(Process) -> bool,
) -> LeaseDecision {
    let age = |renewed| Duration::try_from(facts.now.duration_since(renewed)).unwrap_or_default();
    let old = seen
        .renewed
        .is_some_and(|renewed| age(renewed) >= facts.stale_after);
    let ran_out = facts.unchanged >= seen.lasts;
    let free = match seen.known() {
        None => seen.identity.is_none() || ran_out,
        Some(holder) if holder.lock.run == facts.me.lock.run => true,
        // A process that is stopped does not renew, and can go on: its helm must
        // be gone, as can be seen here.
        Some(holder) if holder.is_beside(facts.me) => {
            holder.processes().all(&is_gone) || (ran_out && holder.helm.is_none_or(is_gone))
        }
        Some(_) => ran_out,
    };
    // One that says to last for hours: no holder that lives renews as rarely.
    let stale = old && facts.unchanged >= LASTS.min(seen.lasts);
    if free || stale {
        LeaseDecision::Take
    } else {
        LeaseDecision::Wait
    }
}

/// What a Lease says that `me` holds from now on, or renews. `object` is what
/// is there, or a new one.
fn held(mut object: Object, me: &LeaseHolder, now: Timestamp) -> Object {
    let identity = me.lock.run.to_string();
    let spec = object.spec.get_or_insert_default();
    if spec.holder_identity.as_ref() != Some(&identity) {
        spec.acquire_time = Some(MicroTime(now));
        spec.lease_transitions = Some(
            spec.lease_transitions
                .map_or(0, |so_far| so_far.saturating_add(1)),
        );
    }
    spec.holder_identity = Some(identity);
    spec.lease_duration_seconds = i32::try_from(LASTS.as_secs()).ok();
    spec.renew_time = Some(MicroTime(now));
    if let Ok(json) = serde_json::to_string(me) {
        let annotations = object.metadata.annotations.get_or_insert_default();
        annotations.insert(HOLDER.to_owned(), json);
    }
    object
}

/// What a Lease says that nobody holds; what its last holder said stays.
fn released(mut object: Object) -> Object {
    let spec: &mut LeaseSpec = object.spec.get_or_insert_default();
    spec.holder_identity = None;
    object
}

#[cfg(test)]
mod tests;
