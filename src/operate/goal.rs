//! Which revision a rollback by hand means: a run of the journal by its id. Pure
//! but for reading the journal.

use std::path::Path;
use std::str::FromStr;

use crate::error::{Error, Kind, Result};
use crate::plan::ReleaseId;
use crate::run::RunId;
use crate::state::journal::{self, Entry};
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
    let found = journal::read(state, 1, |entry| entry.run == *run).map_err(|error| {
        let state = text::line(&state.to_string_lossy(), text::LINE).into_owned();
        Error::new(
            Kind::Node,
            format!("the journal in {state} cannot be read: {error}"),
        )
    })?;
    of_run(found.first(), run, release)
}

fn of_run(entry: Option<&Entry>, run: &RunId, release: &ReleaseId) -> Result<u32> {
    let refused = |message: String| {
        Err(Error::new(Kind::Request, message)
            .hint("deploy history lists the runs of this node, deploy status the release"))
    };
    let Some(entry) = entry else {
        return refused(format!("no run {run} is known on this node"));
    };
    let of = (entry.namespace.as_deref(), entry.release.as_deref());
    if of
        != (
            Some(release.namespace.as_str()),
            Some(release.name.as_str()),
        )
    {
        return refused(format!("run {run} is not of the release {release}"));
    }
    match entry.revision {
        Some(revision) if entry.exit == 0 && !entry.dry_run => Ok(revision),
        _ => refused(format!(
            "run {run} deployed nothing: {} ({})",
            text::line(&entry.outcome, 60),
            entry.exit
        )),
    }
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

    use super::{Goal, of_run};
    use crate::error::{Exit, Kind};
    use crate::plan::ReleaseId;
    use crate::state::journal::tests::entry;

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
}
