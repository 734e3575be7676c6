//! What happens in a run, as data: the only link between the pipeline and its
//! reporters (terminal, GitHub, journal).
//!
//! The pipeline never prints and a reporter never decides.

mod queue;
pub mod waves;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

pub use queue::EventQueue;
use waves::{TargetReport, WaveNews};

use crate::error::Error;
use crate::manifest::changes::Preview;
use crate::run::ProvenCaller;
use crate::signal::{Digest, ImageKey};
use crate::text;

/// The steps of a deploy that people see, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Waiting for the release's lock.
    Lock,
    /// Chart, images and cluster are looked at.
    Preflight,
    /// The chart is rendered and the images are proven.
    Prove,
    /// What an interrupted deploy left is settled.
    Heal,
    /// Helm applies, the rollout is watched.
    Rollout,
    /// Argo CD applies in several clusters, wave by wave.
    Waves,
    /// A controller has the signal.
    Forward,
    /// The last good revision is restored.
    Rollback,
    /// What the cluster holds is compared with what was asked.
    Verify,
}

impl Phase {
    /// The word for it in the journal and in progress lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Preflight => "preflight",
            Self::Prove => "prove",
            Self::Heal => "heal",
            Self::Rollout => "rollout",
            Self::Waves => "waves",
            Self::Forward => "forward",
            Self::Rollback => "rollback",
            Self::Verify => "verify",
        }
    }
}

/// Something that a person or a script may want to know.
#[derive(Debug)]
pub enum Event<'a> {
    /// What will be done: one per run, before anything is touched.
    Planned(&'a Summary),
    /// A phase begins.
    Started(Phase),
    /// A phase ended well.
    Done(Phase, Duration),
    /// A line of progress inside a phase: only when something changed.
    Progress(&'a str),
    /// How far the workloads are, whenever that is looked at.
    Workloads {
        /// Where each of them stands now.
        all: &'a [WorkloadProgress],
        /// What of it is worth a line of its own: only what changed.
        news: &'a [WorkloadProgress],
    },
    /// Something is new of a wave, or of a target in it.
    Wave(&'a WaveNews),
    /// What will change, before it does.
    Preview(&'a Preview),
    /// Worth knowing, nothing to do.
    Note(&'a str),
    /// Something to see to, though the deploy goes on.
    Warning(&'a str),
    /// The process is stopped, by its terminal.
    Suspended,
    /// It goes on, or the machine does, after so long.
    Continued(Duration),
    /// What is known when the run ends; sent right before its end.
    RunFacts(&'a RunFacts),
    /// The run ended well.
    Finished(&'a Report),
    /// The run ended with an error.
    Failed(&'a Error),
}

/// What will be done, in short.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The run's id, as `deploy show` takes it.
    pub run: String,
    /// The release.
    pub release: String,
    /// The release's namespace.
    pub namespace: String,
    /// `oci://…` with the version behind it.
    pub chart: String,
    /// Key and image of each requested image.
    pub images: Vec<(String, String)>,
}

/// What is known of a run when it ends, however it ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFacts {
    /// The chart's digest in the registry.
    pub chart_digest: Option<Digest>,
    /// The digest of each image, as far as the registry gave it.
    pub digests: BTreeMap<ImageKey, Digest>,
    /// Where chart and images come from, where that had to be proven.
    pub proven: Proven,
    /// The digests that really run of each image, as the kubelets name them.
    pub running: BTreeMap<ImageKey, BTreeSet<Digest>>,
    /// Where each key's image was found in the chart's values, a line each.
    pub layout: Vec<String>,
    /// The phases in their order, with the one that did not end well.
    pub phases: Vec<PhaseTiming>,
    /// The revision that served before.
    pub before: Option<u32>,
    /// The release's last revision.
    pub revision: Option<u32>,
    /// Who asked for it, where GitHub's token proved it.
    pub caller: Option<ProvenCaller>,
    /// What became of each target, in the order of the waves.
    pub targets: Vec<TargetReport>,
}

/// Where an artifact comes from, as it was proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// By what that was proven: `key sha256:…`, `workflow <file>@<ref>`.
    pub by: String,
    /// The commit that it was built from, where the proof tells it.
    pub commit: Option<String>,
    /// The digest that it was proven of.
    pub digest: Digest,
}

/// What was proven of a run's artifacts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proven {
    /// Of the chart.
    pub chart: Option<Origin>,
    /// Of each image.
    pub images: BTreeMap<ImageKey, Origin>,
}

/// A phase, and how long it took until it ended, well or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhaseTiming {
    /// The phase.
    pub phase: Phase,
    /// How long it took.
    pub took: Duration,
}

/// How far one workload is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadProgress {
    /// Its name.
    pub name: String,
    /// How many of its units are there.
    pub ready: i32,
    /// How many it wants.
    pub wanted: i32,
    /// What is counted.
    pub unit: Unit,
    /// What it waits for; none where it need not wait.
    pub waits_for: Option<String>,
}

/// What a workload's progress counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Pods that are ready.
    ReadyPods,
    /// Completions of a Job.
    Completions,
}

impl fmt::Display for WorkloadProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::ReadyPods => "ready",
            Unit::Completions => "done",
        };
        write!(
            f,
            "{} {}/{} {unit}",
            text::line(&self.name, text::VALUE),
            self.ready,
            self.wanted
        )?;
        match &self.waits_for {
            Some(what) => write!(f, " – waiting for {what}"),
            None => Ok(()),
        }
    }
}

/// What was done.
#[derive(Clone, Debug)]
pub struct Report {
    /// The plan it came from.
    pub summary: Summary,
    /// The revision before, where there was one.
    pub before: Option<u32>,
    /// The revision that serves now; none for a dry run.
    pub revision: Option<u32>,
    /// Whether the manifest is the one of the revision before.
    pub unchanged: bool,
    /// Whether it was a dry run.
    pub dry_run: bool,
    /// What would change, where a dry run could tell.
    pub preview: Option<Preview>,
    /// The revision that it is a copy of, where it went back by hand.
    pub restored: Option<u32>,
    /// Whether the result is wanted as JSON.
    pub json: bool,
    /// Where each image stands: key, image, and the containers that carry it.
    pub placed: Vec<(String, String, Vec<String>)>,
    /// The controller that did it, where the signal was forwarded.
    pub forward: Option<String>,
    /// What each target serves now, where Argo CD did it.
    pub targets: Vec<TargetReport>,
    /// From start to end.
    pub took: Duration,
}

/// Something that takes events: terminal, GitHub, journal.
pub trait Reporter: Send {
    /// Takes one event. It must not fail: a closed pipe or a full disk never
    /// changes a deploy.
    fn event(&mut self, event: &Event<'_>);
}

/// How long the reporters may take at the end. What they did not write by then
/// is not worth the wait: the exit code tells.
const LAST: Duration = Duration::from_secs(2);

/// Gives each event to every reporter.
#[derive(Default)]
pub struct Events {
    /// Those who take an event at once; none once the queue is there.
    direct: Mutex<Vec<Box<dyn Reporter>>>,
    queue: OnceLock<EventQueue>,
}

impl Events {
    /// Events for these reporters, who take each at once.
    pub fn to(reporters: Vec<Box<dyn Reporter>>) -> Self {
        Self {
            direct: Mutex::new(reporters),
            queue: OnceLock::new(),
        }
    }

    /// From now on the reporters work on a thread of their own: none of them can
    /// stop whoever emits. When this is dropped they get the rest, within two
    /// seconds. A bad request needs no thread, and begins none.
    pub fn start_queue(&self) {
        let reporters = std::mem::take(&mut *self.lock());
        match EventQueue::start(reporters) {
            Ok(queue) => {
                let _ = self.queue.set(queue);
            }
            Err(error) => tracing::debug!(%error, "no thread for reporters"),
        }
    }

    /// The queue, where there is one: for what happens beside the pipeline.
    pub fn queue(&self) -> Option<&EventQueue> {
        self.queue.get()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Box<dyn Reporter>>> {
        self.direct.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives an event to every reporter.
    pub fn emit(&self, event: &Event<'_>) {
        match event {
            Event::Started(phase) => tracing::debug!(phase = phase.name(), "begins"),
            Event::Done(phase, took) => tracing::debug!(phase = phase.name(), ?took, "done"),
            _ => {}
        }
        match self.queue() {
            Some(queue) => queue.emit(event),
            None => queue::give(&mut self.lock(), event),
        }
    }

    /// A note.
    pub fn note(&self, text: impl AsRef<str>) {
        self.emit(&Event::Note(text.as_ref()));
    }

    /// A warning.
    pub fn warn(&self, text: impl AsRef<str>) {
        self.emit(&Event::Warning(text.as_ref()));
    }

    /// A line of progress.
    pub fn progress(&self, text: impl AsRef<str>) {
        self.emit(&Event::Progress(text.as_ref()));
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        if let Some(queue) = self.queue() {
            queue.close(LAST);
        }
    }
}
