//! Which revision a rollback by hand means: a run of the journal by its id. Pure
//! but for reading the journal.

use std::path::Path;
use std::str::FromStr;

use crate::error::{Error, Kind, Result};
use crate::plan::ReleaseId;
use crate::run::RunId;
use crate::signal::Request;
use crate::state::journal::{self, Entry, RecordedRequest};
use crate::text;

/// Where to go back to, as it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// A revision of the release.
    Revision(u32),
    /// What this run deployed.
    Run(RunId),
}

impl FromStr for Goal {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        const SHAPE: &str =
            "expected a revision such as 7, or a run's id such as 20261124T175106Z-1a2b3c";
        if let Ok(revision) = text.parse::<u32>() {
            return if revision > 0 {
                Ok(Self::Revision(revision))
            } else {
                Err(SHAPE)
            };
        }
        text.parse().map(Self::Run).map_err(|_| SHAPE)
    }
}

/// The revision that is meant; `Kind::Request` for a run that is not known, is of
/// another release, or deployed nothing.
pub fn revision(goal: &Goal, release: &ReleaseId, state: &Path) -> Result<u32> {
    let run = match goal {
        Goal::Revision(revision) => return Ok(*revision),
        Goal::Run(run) => run,
    };
    of_run(known(run, state)?.as_ref(), run, release)
}

/// A run's line in the journal.
fn known(run: &RunId, state: &Path) -> Result<Option<Entry>> {
    let found = journal::read(state, 1, |entry| entry.run == *run).map_err(|error| {
        let state = text::line(&state.to_string_lossy(), text::LINE).into_owned();
        Error::new(
            Kind::Node,
            format!("the journal in {state} cannot be read: {error}"),
        )
    })?;
    Ok(found.into_iter().next())
}

fn of_run(entry: Option<&Entry>, run: &RunId, release: &ReleaseId) -> Result<u32> {
    let entry = of_release(entry, run, release)?;
    match entry.revision {
        Some(revision) if entry.exit == 0 && !entry.dry_run => Ok(revision),
        _ => Err(deployed_nothing(entry)),
    }
}

/// The line of a run, where it is of this release.
fn of_release<'a>(entry: Option<&'a Entry>, run: &RunId, release: &ReleaseId) -> Result<&'a Entry> {
    let Some(entry) = entry else {
        return Err(refused(format!("no run {run} is known on this node")));
    };
    let of = (entry.namespace.as_deref(), entry.release.as_deref());
    let wanted = (release.namespace.as_str(), release.name.as_str());
    if of == (Some(wanted.0), Some(wanted.1)) {
        return Ok(entry);
    }
    Err(refused(format!(
        "run {run} is not of the release {release}"
    )))
}

fn deployed_nothing(entry: &Entry) -> Error {
    refused(format!(
        "run {} deployed nothing: {} ({})",
        entry.run,
        text::line(&entry.outcome, 60),
        entry.exit
    ))
}

fn refused(message: String) -> Error {
    Error::new(Kind::Request, message)
        .hint("deploy history lists the runs of this node, deploy status the release")
}

/// What the run asked for that is meant, of an app in several clusters; `Kind::Request`
/// for a revision, and for a run that is not known, is of another app, or did not bring
/// every target to what it asked for.
pub fn request(goal: &Goal, release: &ReleaseId, state: &Path) -> Result<Request> {
    let run = match goal {
        Goal::Revision(_) => {
            let message = "an app that Argo CD carries out has no revisions, expected a run's id";
            let error = Error::new(Kind::Request, message);
            return Err(error.hint("deploy history lists the runs of this node"));
        }
        Goal::Run(run) => run,
    };
    let entry = known(run, state)?;
    let asked = of_targets(entry.as_ref(), run, release)?;
    asked.request().map_err(|error| {
        Error::new(
            Kind::Node,
            format!("the journal does not hold what run {run} asked for"),
        )
        .detail(error)
    })
}

fn of_targets<'a>(
    entry: Option<&'a Entry>,
    run: &RunId,
    release: &ReleaseId,
) -> Result<&'a RecordedRequest> {
    let entry = of_release(entry, run, release)?;
    if entry.exit == 0 && !entry.dry_run && !entry.targets.is_empty() {
        return Ok(&entry.request);
    }
    Err(deployed_nothing(entry))
}

/// The run that made a revision, where this node's journal knows it.
pub fn run_of(state: &Path, release: &ReleaseId, revision: u32) -> Option<Entry> {
    let fits = |entry: &Entry| {
        entry.revision == Some(revision)
            && entry.exit == 0
            && !entry.dry_run
            && entry.release.as_deref() == Some(release.name.as_str())
            && entry.namespace.as_deref() == Some(release.namespace.as_str())
    };
    journal::read(state, 1, fits).ok()?.into_iter().next()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Goal, of_run, request};
    use crate::error::{Exit, Kind};
    use crate::plan::ReleaseId;
    use crate::state::journal::{self, Entry, RecordedTarget, tests::entry};

    #[test]
    fn a_run_stands_for_the_revision_that_it_deployed() {
        let release = ReleaseId::new("prod", "shop");
        let of = |change: &dyn Fn(&mut crate::state::journal::Entry)| {
            let mut entry = entry("shop", Exit::Deployed);
            entry.release = Some("shop".to_owned());
            entry.namespace = Some("prod".to_owned());
            entry.revision = Some(7);
            change(&mut entry);
            of_run(Some(&entry), &entry.run.clone(), &release)
        };
        assert_eq!(of(&|_| {}).unwrap(), 7);
        let refused: [&dyn Fn(&mut crate::state::journal::Entry); 4] = [
            &|entry| entry.exit = 7,
            &|entry| entry.dry_run = true,
            &|entry| entry.namespace = Some("other".to_owned()),
            &|entry| entry.revision = None,
        ];
        for change in refused {
            assert_eq!(of(change).unwrap_err().kind(), Kind::Request);
        }
        assert_eq!("7".parse(), Ok(Goal::Revision(7)));
        assert!("0".parse::<Goal>().is_err() && "x".parse::<Goal>().is_err());
    }

    #[test]
    fn a_run_in_several_clusters_stands_for_what_it_asked_for() {
        type Change = dyn Fn(&mut Entry);
        let release = ReleaseId::new("argocd", "shop");
        let state = tempfile::tempdir().unwrap();
        let target = RecordedTarget {
            name: "shop-eu".to_owned(),
            wave: 1,
            cluster: "eu".to_owned(),
            outcome: "deployed".to_owned(),
            version: None,
            cause: None,
        };
        let of = |number: u32, change: &Change| {
            let mut entry = entry("shop", Exit::Deployed);
            entry.run = format!("20261124T175106Z-{number:06x}").parse().unwrap();
            entry.namespace = Some("argocd".to_owned());
            entry.targets = vec![target.clone()];
            change(&mut entry);
            journal::append(state.path(), &entry).unwrap();
            request(&Goal::Run(entry.run), &release, state.path())
        };
        let asked = of(1, &|_| {}).unwrap();
        assert_eq!(asked.version.to_string(), "1.2.3");
        assert_eq!(asked.images.len(), 1);
        let refused: [(&Change, Kind); 5] = [
            (&|entry| entry.exit = 7, Kind::Request),
            (&|entry| entry.dry_run = true, Kind::Request),
            (&|entry| entry.targets.clear(), Kind::Request),
            (&|entry| entry.namespace = None, Kind::Request),
            // Others can write to a journal.
            (&|entry| entry.request.chart = "--x".to_owned(), Kind::Node),
        ];
        for (number, (change, kind)) in (2..).zip(refused) {
            assert_eq!(of(number, change).unwrap_err().kind(), kind);
        }
        let revision = request(&Goal::Revision(7), &release, state.path());
        assert_eq!(revision.unwrap_err().kind(), Kind::Request);
    }
}
