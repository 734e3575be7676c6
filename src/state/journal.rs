//! The journal: one JSON line per run, in the order in which runs ended.
//!
//! A line is appended with one write and fsynced. A line that a full disk or a
//! crash tore is passed over by the reader, and the next line starts afresh.
//! No secret enters it: a line holds the request, which is public, and facts.
//! A failure to write is the caller's warning, never its error.

mod recorded;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

pub use recorded::{RecordedOrigins, RecordedPhase, RecordedRequest, RecordedTarget};

use super::directory::{open_file, prepare};
use crate::error::Exit;
use crate::event::RunFacts;
use crate::run::{RunId, Timestamp, Who, field};
use crate::signal::{App, Request};

/// The longest line that is read, in bytes: a request alone may take 64 KiB,
/// and twice that with its escapes.
const LINE_MAX: u64 = 1 << 20;

/// A run. Every field that is added later has a default, so that old lines
/// stay readable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The run's id.
    pub run: RunId,
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Who ran it.
    pub who: Who,
    /// What was asked for.
    pub request: RecordedRequest,
    /// The release, as far as the node was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// The release's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The chart's digest in the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chart_digest: Option<String>,
    /// The digest of each image, as far as the registry gave it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digests: BTreeMap<String, String>,
    /// By what the origin of chart and images was proven, where it had to be.
    #[serde(default, skip_serializing_if = "RecordedOrigins::is_empty")]
    pub proven: RecordedOrigins,
    /// The digests that really ran of each image when the rollout was over, as the
    /// kubelets named them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub running: BTreeMap<String, BTreeSet<String>>,
    /// Where each key's image was found in the chart's values, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layout: Vec<String>,
    /// The phases in their order.
    #[serde(default)]
    pub phases: Vec<RecordedPhase>,
    /// The revision before.
    #[serde(default)]
    pub before: Option<u32>,
    /// The revision after.
    #[serde(default)]
    pub revision: Option<u32>,
    /// What became of each target, where Argo CD carried it out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<RecordedTarget>,
    /// The controller that had the signal, where it was forwarded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward: Option<String>,
    /// What was done by hand; none for a signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// Why, where that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether nothing was applied on purpose.
    #[serde(default)]
    pub dry_run: bool,
    /// The word for how it ended ([`Exit::outcome`]).
    pub outcome: String,
    /// The exit code.
    pub exit: u8,
    /// Why it failed, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// What was done by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// `deploy rollback`
    Rollback,
    /// `deploy freeze`
    Freeze,
    /// `deploy unfreeze`
    Unfreeze,
}

impl Operation {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rollback => "rollback",
            Self::Freeze => "freeze",
            Self::Unfreeze => "unfreeze",
        }
    }
}

impl Entry {
    /// A run that ends now with nothing more to say of it than this.
    pub fn new(run: RunId, at: Timestamp, who: Who, request: &Request, exit: Exit) -> Self {
        Self::of(run, at, who, request.into(), exit)
    }

    /// What was done by hand and succeeded, without a signal; an app of `*` stands
    /// for all of them.
    pub fn by_hand(
        run: RunId,
        at: Timestamp,
        who: Who,
        app: Option<&App>,
        operation: Operation,
    ) -> Self {
        let request = RecordedRequest {
            app: app.map_or("*", App::as_str).to_owned(),
            ..RecordedRequest::default()
        };
        Self {
            operation: Some(operation),
            ..Self::of(run, at, who, request, Exit::Deployed)
        }
    }

    fn of(run: RunId, at: Timestamp, who: Who, request: RecordedRequest, exit: Exit) -> Self {
        Self {
            run,
            at,
            took_ms: u64::try_from(crate::run::now().duration_since(at).as_millis()).unwrap_or(0),
            who,
            request,
            release: None,
            namespace: None,
            chart_digest: None,
            digests: BTreeMap::new(),
            proven: RecordedOrigins::default(),
            running: BTreeMap::new(),
            layout: Vec::new(),
            phases: Vec::new(),
            before: None,
            revision: None,
            targets: Vec::new(),
            forward: None,
            operation: None,
            reason: None,
            dry_run: false,
            outcome: exit.outcome().to_owned(),
            exit: exit.code(),
            cause: None,
        }
    }

    /// With what is known of the run.
    #[must_use]
    pub fn with_facts(mut self, facts: &RunFacts) -> Self {
        self.chart_digest = facts.chart_digest.as_ref().map(ToString::to_string);
        self.digests = facts
            .digests
            .iter()
            .map(|(key, digest)| (key.to_string(), digest.to_string()))
            .collect();
        self.proven = RecordedOrigins::from(&facts.proven);
        self.running = facts
            .running
            .iter()
            .map(|(key, digests)| {
                let digests = digests.iter().map(ToString::to_string);
                (key.to_string(), digests.collect())
            })
            .collect();
        self.layout = facts.layout.iter().map(|line| field(line)).collect();
        self.phases = facts.phases.iter().map(RecordedPhase::from).collect();
        self.before = facts.before;
        self.revision = facts.revision;
        self.targets = facts.targets.iter().map(RecordedTarget::from).collect();
        self.who.proven.clone_from(&facts.caller);
        self
    }

    /// With the cause of a failure, made safe and cut.
    #[must_use]
    pub fn with_cause(mut self, cause: &str) -> Self {
        self.cause = Some(field(cause));
        self
    }
}

/// The journal's file in a state directory.
pub fn file(state: &Path) -> PathBuf {
    state.join("journal.jsonl")
}

/// Appends a run to the journal of a state directory, with one write, and
/// waits until it is on the disk. The directory is made where it is not there.
pub fn append(state: &Path, entry: &Entry) -> io::Result<()> {
    prepare(state)?;
    let access = OFlags::RDWR | OFlags::APPEND;
    let mut journal = open_file(state, &file(state), access)?;
    let mut line = Vec::with_capacity(2048);
    if is_torn(&mut journal)? {
        line.push(b'\n');
    }
    serde_json::to_writer(&mut line, entry)?;
    line.push(b'\n');
    // One call: the kernel keeps appends of several processes apart. What it
    // could not take whole is torn, and reported.
    let written = journal.write(&line)?;
    if written < line.len() {
        return Err(io::Error::new(
            io::ErrorKind::StorageFull,
            "the disk is full",
        ));
    }
    journal.sync_data()
}

/// Whether the last line has no end.
fn is_torn(journal: &mut File) -> io::Result<bool> {
    if journal.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    journal.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    journal.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// The last `limit` runs that fit, newest first.
pub fn read(state: &Path, limit: usize, fits: impl Fn(&Entry) -> bool) -> io::Result<Vec<Entry>> {
    let mut found = VecDeque::new();
    each(state, |entry| {
        if fits(&entry) {
            found.push_front(entry);
            found.truncate(limit);
        }
    })?;
    Ok(found.into())
}

/// Every run, the oldest first. Lines that are no runs (torn, or of a later
/// version) are passed over. No journal means no runs.
pub fn each(state: &Path, mut take: impl FnMut(Entry)) -> io::Result<()> {
    let journal = match File::open(file(state)) {
        Ok(journal) => journal,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut journal = BufReader::new(journal);
    let mut line = Vec::new();
    loop {
        line.clear();
        if journal
            .by_ref()
            .take(LINE_MAX)
            .read_until(b'\n', &mut line)?
            == 0
        {
            return Ok(());
        }
        if let Ok(entry) = serde_json::from_slice::<Entry>(&line) {
            take(entry);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
