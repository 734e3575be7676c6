//! What `deploy` has said of a revision, in the description that helm keeps with
//! its record, and which revision counts as good.
//!
//! Pure. Helm applies without waiting for workloads, and calls a revision
//! `deployed` at once; the mark says that nobody has judged it yet. Helm stores
//! the description in the same write that sets the status, so no record of ours
//! is `deployed` without one. Records without a mark (a person's, an older
//! deploy's) count as their status says. `helm history` shows it.

use super::record::{Record, Status};
use crate::run::RunId;
use crate::text;

/// Applied by helm, and its workloads not waited for yet.
const NOT_JUDGED: &str = "deploy: applied, not judged";

/// Ready by the rules of `deploy`.
const GOOD: &str = "deploy: good";

/// Not Ready in time, failed for good, or interrupted before it was judged.
const FAILED: &str = "deploy: judged failed";

/// Good, and the release leaves it by hand.
const LEAVING: &str = "deploy: good; rolling back to";

/// How the description of helm's own rollback begins (`pkg/action/rollback.go`).
const ROLLBACK: &str = "Rollback to ";

/// The most of a cause that a description holds, in characters.
const CAUSE: usize = 160;

/// What is passed to helm, before a revision is judged.
pub fn not_judged(run: &RunId) -> String {
    format!("{NOT_JUDGED} (run {run})")
}

/// What replaces it once every workload is Ready.
pub fn good(run: &RunId) -> String {
    format!("{GOOD} (run {run})")
}

/// What the good revision says that a rollback by hand leaves for `target`: a helm
/// that cannot describe its rollback gives the next no mark.
pub fn leaving(run: &RunId, target: u32) -> String {
    format!("{LEAVING} {target} (run {run})")
}

/// What replaces it where the rollout failed; `target` is the revision that the
/// release goes back to next.
pub fn failed(run: &RunId, target: Option<u32>, cause: &str) -> String {
    let next = target.map_or_else(String::new, |to| format!("; rolling back to {to}"));
    format!("{FAILED}{next} (run {run}): {}", text::line(cause, CAUSE))
}

/// The run that wrote a description, as text; none where no run of `deploy` did.
pub fn run_in(description: &str) -> Option<&str> {
    let (_, rest) = description.split_once("(run ")?;
    rest.split_once(')').map(|(run, _)| run)
}

/// What is known of a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Helm applied it, and whoever should have judged it did not.
    NotJudged,
    /// It was judged and failed.
    Failed,
    /// It was judged good, or nothing but its status says anything of it.
    AsItsStatus,
}

/// What was said of the revision at `at` of `records`, from the oldest to the
/// newest. A rollback that a run announced, and that helm gave no mark (before
/// 4.3 it takes none), is not judged.
fn judgement(records: &[Record], at: usize) -> Judgement {
    let said = records[at].description.as_str();
    if said.starts_with(NOT_JUDGED) {
        return Judgement::NotJudged;
    }
    if said.starts_with(FAILED) {
        return Judgement::Failed;
    }
    let announced = |target: &str| {
        let before = at.checked_sub(1).map(|before| &records[before].description);
        before.is_some_and(|before| {
            before.starts_with(&format!("{FAILED}; rolling back to {target} "))
                || before.starts_with(&format!("{LEAVING} {target} "))
        })
    };
    match said.strip_prefix(ROLLBACK) {
        Some(target) if announced(target.trim()) => Judgement::NotJudged,
        _ => Judgement::AsItsStatus,
    }
}

/// The records of the release's present life, from the oldest to the newest: an
/// uninstall that kept the history ended the one before, and nothing of that
/// life is left to go back to.
pub fn life(records: &[Record]) -> &[Record] {
    records
        .iter()
        .rposition(|record| record.status == Status::Uninstalled)
        .map_or(records, |at| &records[at + 1..])
}

/// The revision that counts as good: deployed, else the newest that once was,
/// of this life; never one that was not judged, or judged failed.
pub fn last_good(records: &[Record]) -> Option<&Record> {
    let records = life(records);
    let newest = |status: Status| {
        let mut indices = (0..records.len()).rev();
        indices
            .find(|at| {
                records[*at].status == status && judgement(records, *at) == Judgement::AsItsStatus
            })
            .map(|at| &records[at])
    };
    newest(Status::Deployed).or_else(|| newest(Status::Superseded))
}

/// Why the revision at `at` of a life's records does not count as good, in words;
/// none where it does.
pub fn not_good(life: &[Record], at: usize) -> Option<&'static str> {
    match (judgement(life, at), life[at].status) {
        (Judgement::NotJudged, _) => Some("was never judged"),
        (Judgement::Failed, _) | (_, Status::Failed) => Some("failed"),
        (_, Status::Deployed | Status::Superseded) => None,
        (_, status) if status.is_pending() => Some("was never finished"),
        _ => Some("was uninstalled, or has a status that is not known"),
    }
}

/// The newest revision, where helm applied it and nobody judged it.
pub fn last_not_judged(records: &[Record]) -> Option<&Record> {
    let records = life(records);
    let at = records.len().checked_sub(1)?;
    let deployed = records[at].status == Status::Deployed;
    (deployed && judgement(records, at) == Judgement::NotJudged).then(|| &records[at])
}

/// Whether helm ever applied workloads of this life: its install hooks have run
/// then, and must not run again.
pub fn was_applied(records: &[Record]) -> bool {
    life(records).iter().any(|record| {
        matches!(record.status, Status::Deployed | Status::Superseded)
            || record.description.starts_with(FAILED)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::{Record, failed, good, last_good, last_not_judged, life, not_judged, was_applied};
    use crate::release::record::read;
    use crate::run::RunId;

    fn run() -> RunId {
        "20261124T175106Z-1a2b3c".parse().unwrap()
    }

    fn records(of: &[(&str, &str)]) -> Vec<Record> {
        of.iter()
            .enumerate()
            .map(|(at, (status, description))| {
                read(json!({"version": at + 1,
                    "info": {"status": status, "description": description}}))
                .unwrap()
            })
            .collect()
    }

    /// Cases A10 and A13.
    #[test]
    fn only_a_revision_that_was_ready_counts_as_good() {
        let mark = not_judged(&run());
        let is_good = good(&run());
        let bad = failed(&run(), None, "api: crashes");
        let back = failed(&run(), Some(1), "api: crashes");
        for (of, expected, why) in [
            (vec![], None, "nothing is there"),
            (
                vec![("deployed", "Install complete")],
                Some(1),
                "helm's own",
            ),
            (vec![("deployed", mark.as_str())], None, "nobody judged it"),
            (
                vec![
                    ("superseded", is_good.as_str()),
                    ("deployed", mark.as_str()),
                ],
                Some(1),
                "the one before was judged",
            ),
            (
                vec![
                    ("superseded", "Upgrade complete"),
                    ("superseded", bad.as_str()),
                ],
                Some(1),
                "helm calls the failed one superseded after a failed rollback",
            ),
            (
                vec![
                    ("superseded", is_good.as_str()),
                    ("failed", back.as_str()),
                    ("deployed", "Rollback to 1"),
                ],
                Some(1),
                "a rollback of a run that died is not judged",
            ),
            (
                vec![
                    ("superseded", is_good.as_str()),
                    ("failed", bad.as_str()),
                    ("deployed", "Rollback to 1"),
                ],
                Some(3),
                "a person's rollback counts",
            ),
            (
                vec![
                    ("superseded", is_good.as_str()),
                    ("uninstalled", "Uninstallation complete"),
                    ("failed", "x"),
                ],
                None,
                "of a former life nothing is left",
            ),
        ] {
            let records = records(&of);
            let found = last_good(&records).map(|record| record.revision);
            assert_eq!(found, expected, "{why}: {of:?}");
        }
    }

    #[test]
    fn what_nobody_judged_is_found() {
        let mark = not_judged(&run());
        let not_judged =
            |of: &[(&str, &str)]| last_not_judged(&records(of)).map(|record| record.revision);
        assert_eq!(not_judged(&[("deployed", &mark)]), Some(1));
        assert_eq!(not_judged(&[("failed", &mark)]), None);
        assert_eq!(not_judged(&[("superseded", &mark), ("failed", "x")]), None);
        assert_eq!(not_judged(&[("deployed", &good(&run()))]), None);
    }

    #[test]
    fn hooks_of_a_marked_first_install_have_run() {
        let applied = |of: &[(&str, &str)]| was_applied(&records(of));
        assert!(applied(&[("deployed", &not_judged(&run()))]));
        assert!(applied(&[("failed", &failed(&run(), None, "x"))]));
        assert!(!applied(&[(
            "failed",
            "Release \"shop\" failed: context canceled"
        )]));
        assert!(!applied(&[
            ("superseded", "x"),
            ("uninstalled", "x"),
            ("pending-install", "x")
        ]));
        assert_eq!(life(&records(&[("uninstalled", "x")])).len(), 0);
    }

    #[test]
    fn a_description_is_short_and_safe() {
        let long = failed(&run(), Some(12), &"x\n\u{1b}[2J".repeat(200));
        assert!(long.chars().count() <= 1000, "{long}");
        assert!(long.starts_with(
            "deploy: judged failed; rolling back to 12 (run 20261124T175106Z-1a2b3c): x"
        ));
        assert!(!long.chars().any(char::is_control));
    }
}
