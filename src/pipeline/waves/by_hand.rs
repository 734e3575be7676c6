//! `deploy rollback` of an app that an engine carries out: every target goes back to its
//! last good version, or to what a former run deployed, wave by wave as a deploy does.

use std::collections::BTreeMap;

use super::targets::Targets;
use crate::engine::{Engine, Observed};
use crate::error::{Error, Kind, Result};
use crate::pipeline::context::Run;
use crate::plan::fleet::{Fleet, TargetName};
use crate::plan::{Plan, ReleaseId};
use crate::state::journal::{self, Entry};

/// Every target with its last good version as what is wanted. [`Kind::Request`] where
/// each serves that already.
pub(super) fn to_what_is_good<E: Engine>(
    run: &Run<'_>,
    fleet: &Fleet,
    mut found: BTreeMap<TargetName, Observed>,
) -> Result<Targets<E::Operation>> {
    if found.values().all(Observed::is_good) {
        return Err(nothing_to_do(run.plan));
    }
    let mut wanted = BTreeMap::new();
    let mut named = fleet.clone();
    for wave in &mut named.waves {
        wave.retain(|target| {
            let good = found.get(target).and_then(|seen| seen.good.clone());
            if let Some(good) = good {
                wanted.insert(target.clone(), good);
                return true;
            }
            found.remove(target);
            run.events.warn(format!(
                "{target} is left as it is: nothing was ever judged good there"
            ));
            false
        });
    }
    Targets::new(&named, found, wanted)
}

fn nothing_to_do(plan: &Plan) -> Error {
    let message =
        "every target serves its last good version already, expected the run to go back to";
    let app = &plan.request.app;
    let error = Error::new(Kind::Request, message);
    match former(plan) {
        Some(entry) => error.hint(format!(
            "the last one before, of version {}: deploy rollback {app} {}",
            entry.request.version, entry.run
        )),
        None => error.hint(format!("deploy history {app} lists the runs of this node")),
    }
}

/// The last run that deployed something else than the newest did.
fn former(plan: &Plan) -> Option<Entry> {
    let fits = |entry: &Entry| is_deployed(entry, &plan.release);
    let newest = journal::read(&plan.state, 1, fits).ok()?.pop()?;
    let fits = |entry: &Entry| fits(entry) && entry.request != newest.request;
    journal::read(&plan.state, 1, fits).ok()?.pop()
}

/// Whether a run brought every target to what it asked for.
fn is_deployed(entry: &Entry, release: &ReleaseId) -> bool {
    entry.exit == 0
        && !entry.dry_run
        && !entry.targets.is_empty()
        && entry.request.version != "-"
        && entry.release.as_deref() == Some(release.name.as_str())
        && entry.namespace.as_deref() == Some(release.namespace.as_str())
}
