//! What becomes of a release that an interrupted helm left. Pure: records and
//! facts in, a decision out; `pipeline::recover` carries it out.
//!
//! It must never call a helm dead that can still live: when in doubt the release
//! is left as it is.

use std::time::Duration;

use jiff::Timestamp;

use crate::release::judgement;
use crate::release::record::{Record, Status};
use crate::run::HelmSpan;

/// How long a deploy's helm can take from its start to its record: it reads the
/// chart, asks the server what it can do, and renders.
const TO_ITS_RECORD: Duration = Duration::from_secs(120);

/// How the description of a record begins that was settled for a dead helm.
pub const SETTLED: &str = "interrupted; settled by deploy";

/// What is known besides the records. Whoever decides holds the release's lock,
/// which every helm that `deploy` starts on this node holds as long as it lives,
/// and the release's lease, which is taken only from the dead: so none of those
/// is alive.
#[derive(Clone, Copy, Debug)]
pub struct RecoveryContext {
    /// The last helm of a `deploy`, on this node or under the lease.
    pub helm: Option<HelmSpan>,
    /// The time, by the clock that helm's records are written with.
    pub now: Timestamp,
    /// After what time a helm that cannot be proven dead counts as dead.
    pub stale_after: Duration,
}

/// What to do about the records.
#[derive(Clone, Debug, PartialEq)]
pub enum RecoveryDecision<'a> {
    /// Helm can go on from them.
    Leave,
    /// The release has served: this record becomes `failed`.
    Fail(&'a Record),
    /// The release has served, and this was on its way back: its record goes, so
    /// that helm compares with the revision before again, whose fields can
    /// still be there ([`crate::chart::leftover_fields`]).
    Undo(&'a Record),
    /// It never has: these go, in this order, so that the next helm installs
    /// afresh, with its install hooks, and adopts what is there.
    Remove(Vec<&'a Record>),
    /// A helm that no deploy started can still be at work on this record.
    Wait(&'a Record),
}

/// Decides; `records` from the oldest to the newest.
pub fn decide<'a>(records: &'a [Record], facts: &RecoveryContext) -> RecoveryDecision<'a> {
    let Some(last) = records.last() else {
        return RecoveryDecision::Leave;
    };
    let pending = last.status.is_pending();
    if pending && !dead(records, last, facts) {
        return RecoveryDecision::Wait(last);
    }
    let life = judgement::life(records);
    // Its install hooks have run, and must not run again.
    let served = judgement::was_applied(records);
    match (pending, served) {
        (true, true) if last.status == Status::PendingRollback => RecoveryDecision::Undo(last),
        (true, true) => RecoveryDecision::Fail(last),
        // A later revision does not run install hooks, and what a first one left may
        // have been mended by hand.
        (true, false) if life.len() > 1 => RecoveryDecision::Fail(last),
        (true, false) => RecoveryDecision::Remove(life.iter().collect()),
        // Marked failed, helm would upgrade it and skip the install hooks.
        (false, false) if life.len() == 1 && interrupted(last) => {
            RecoveryDecision::Remove(life.iter().collect())
        }
        (false, _) => RecoveryDecision::Leave,
    }
}

/// Whether a revision was cut short: left pending, settled by helm itself when it
/// was told to end (`context canceled`, from `failRelease` in
/// `pkg/action/install.go` and `upgrade.go`), or by a deploy whose helm was dead.
pub fn interrupted(record: &Record) -> bool {
    let said = &record.description;
    let cut = said.contains("context canceled") || said.starts_with(SETTLED);
    record.status.is_pending() || (record.status == Status::Failed && cut)
}

/// Whether the helm that wrote the last record is dead.
fn dead(records: &[Record], last: &Record, facts: &RecoveryContext) -> bool {
    let Some(written) = time(last) else {
        return false;
    };
    let age = Duration::try_from(facts.now.duration_since(written)).unwrap_or_default();
    age >= facts.stale_after || is_a_deploys(records, last, facts)
}

/// Whether the last record is the one of a deploy's last helm.
fn is_a_deploys(records: &[Record], last: &Record, facts: &RecoveryContext) -> bool {
    facts
        .helm
        .and_then(|helm| written_by(records, helm))
        .is_some_and(|first| first.revision == last.revision)
}

/// The record that a deploy's helm wrote: the first since it began, if it came
/// soon enough, and before that helm ended. A person who helps with a helm of
/// their own writes a later one.
pub fn written_by(records: &[Record], helm: HelmSpan) -> Option<&Record> {
    let first = records
        .iter()
        .find(|record| time(record).is_none_or(|time| time >= helm.began))?;
    let written = time(first)?;
    let soon = Duration::try_from(written.duration_since(helm.began))
        .is_ok_and(|took| took <= TO_ITS_RECORD);
    let while_it_worked = helm.ended.is_none_or(|ended| written <= ended);
    (soon && while_it_worked).then_some(first)
}

fn time(record: &Record) -> Option<Timestamp> {
    record.last_deployed.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use jiff::Timestamp;
    use serde_json::json;

    use super::{RecoveryContext, RecoveryDecision, decide};
    use crate::release::record::{Record, read};
    use crate::run::HelmSpan;

    /// `status@second`, behind a revision that helm settled when told to end a
    /// `*`, and a `+` where a deploy did it.
    fn records(text: &str) -> Vec<Record> {
        let record = |(at, word): (usize, &str)| {
            let (status, second) = word.trim_end_matches(['*', '+']).split_once('@').unwrap();
            let description = match word.chars().last() {
                Some('*') => "Release \"shop\" failed: context canceled",
                Some('+') => "interrupted; settled by deploy, run 1",
                _ => "x",
            };
            let second: i64 = second.parse().unwrap();
            let time = Timestamp::from_second(second).map(|time| time.to_string());
            let info = json!({
                "status": status,
                "description": description,
                "last_deployed": time.unwrap_or_default(),
            });
            read(json!({"version": at + 1, "info": info})).unwrap()
        };
        text.split_whitespace().enumerate().map(record).collect()
    }

    #[test]
    fn what_an_interrupted_helm_left() {
        // records, when a deploy's last helm began, what is done
        for (text, began, expected) in [
            ("", None, "leave"),
            ("deployed@10", Some(9), "leave"),
            ("deployed@10 failed@20", Some(19), "leave"),
            // A deploy's: the first record since its last helm began.
            ("deployed@10 pending-upgrade@20", Some(19), "fail 2"),
            ("superseded@10 pending-rollback@20", Some(20), "undo 2"),
            (
                "deployed@10 failed@15 pending-rollback@20",
                Some(20),
                "undo 3",
            ),
            ("pending-install@20", Some(19), "remove 1"),
            // Case A15: a later revision runs no install hooks, and must not again.
            ("failed@10 pending-upgrade@20", Some(19), "fail 2"),
            ("failed@10* pending-upgrade@20", Some(19), "fail 2"),
            ("failed@10 failed@20*", Some(19), "leave"),
            // Helm settled it itself.
            ("failed@10*", Some(9), "remove 1"),
            ("failed@10*", None, "remove 1"),
            ("deployed@10 failed@20*", Some(19), "leave"),
            // A deploy did.
            ("failed@10+", Some(9), "remove 1"),
            ("deployed@10 failed@20+", Some(19), "leave"),
            // Failed for a reason of its own: as bare helm goes on from it.
            ("failed@10", Some(9), "leave"),
            // A history that was kept.
            (
                "superseded@1 uninstalled@10 pending-install@20",
                Some(19),
                "remove 3",
            ),
            ("superseded@1 uninstalled@10", Some(9), "leave"),
            // Another's: no deploy's helm, before it, after it, too late.
            ("deployed@10 pending-upgrade@20", None, "wait 2"),
            ("deployed@10 pending-upgrade@20", Some(21), "wait 2"),
            (
                "deployed@10 failed@20 pending-upgrade@30",
                Some(19),
                "wait 3",
            ),
            ("deployed@10 pending-upgrade@200", Some(19), "wait 2"),
            ("pending-install@20", None, "wait 1"),
            // A time that cannot be read proves nothing.
            (
                "deployed@10 pending-upgrade@999999999999",
                Some(19),
                "wait 2",
            ),
            // Older than stale_after (the time is 1000).
            ("deployed@10 pending-upgrade@-2600", None, "fail 2"),
            ("pending-install@-2600", None, "remove 1"),
            ("deployed@10 pending-upgrade@-2599", None, "wait 2"),
            // From the future: the clock was set.
            ("deployed@10 pending-upgrade@5000", None, "wait 2"),
        ] {
            let facts = RecoveryContext {
                helm: began.map(|second| HelmSpan {
                    began: at(second),
                    ended: None,
                }),
                now: at(1000),
                stale_after: Duration::from_secs(3600),
            };
            assert_eq!(said(text, &facts), expected, "{text} began {began:?}");
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// What is done about these records.
    fn said(text: &str, facts: &RecoveryContext) -> String {
        match decide(&records(text), facts) {
            RecoveryDecision::Leave => "leave".to_owned(),
            RecoveryDecision::Fail(record) => format!("fail {}", record.revision),
            RecoveryDecision::Undo(record) => format!("undo {}", record.revision),
            RecoveryDecision::Wait(record) => format!("wait {}", record.revision),
            RecoveryDecision::Remove(records) => {
                records.iter().fold("remove".to_owned(), |said, record| {
                    format!("{said} {}", record.revision)
                })
            }
        }
    }

    /// Case E5: a deploy's helm ended without a record, and a person's own helm
    /// works within the time in which the first could have written one.
    #[test]
    fn what_is_written_after_a_deploys_helm_ended_is_anothers() {
        // records, when a deploy's last helm began and ended, what is done
        for (text, began, ended, expected) in [
            ("deployed@10 pending-upgrade@25", 20, Some(22), "wait 2"),
            ("pending-install@25", 20, Some(22), "wait 1"),
            ("deployed@10 pending-upgrade@21", 20, Some(22), "fail 2"),
            ("deployed@10 pending-upgrade@22", 20, Some(22), "fail 2"),
            // Nobody saw its end.
            ("deployed@10 pending-upgrade@25", 20, None, "fail 2"),
        ] {
            let facts = RecoveryContext {
                helm: Some(HelmSpan {
                    began: at(began),
                    ended: ended.map(at),
                }),
                now: at(1000),
                stale_after: Duration::from_secs(3600),
            };
            assert_eq!(said(text, &facts), expected, "{text} ended {ended:?}");
        }
    }
}
