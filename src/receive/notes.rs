//! Notes of what was taken and has not ended, so that each run has its end in the
//! journal: also one whose process was killed together with the receiver's.
//!
//! A note is on the disk before the deploy's process is told what to deploy. It
//! holds no token.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::document::{Order, SentSignal};
use crate::error::{Error, Kind};
use crate::host::Accounts;
use crate::run::{self, RunId, Timestamp};
use crate::signal::{self, DeclaredKeys};
use crate::state::journal::{self, Entry};
use crate::state::received;

/// How often it is looked whether a deploy of the receiver before has ended.
const EACH: Duration = Duration::from_secs(1);

#[derive(Serialize, Deserialize)]
struct Note {
    order: Order,
    at: Timestamp,
    /// The deploy's process, and when it started.
    process: Option<(u32, u64)>,
}

impl Note {
    fn is_at_work(&self) -> bool {
        self.process
            .is_some_and(|(pid, started)| run::started(pid) == Some(started))
    }
}

/// Notes a deploy that begins now in this process.
pub(super) fn begin(state: &Path, order: &Order, pid: Option<u32>) {
    let note = Note {
        order: Order {
            signal: SentSignal {
                token: None,
                ..order.signal.clone()
            },
            peer: order.peer.clone(),
        },
        at: run::now(),
        process: pid.and_then(|pid| Some((pid, run::started(pid)?))),
    };
    let kept = serde_json::to_vec(&note)
        .map_err(std::io::Error::from)
        .and_then(|note| received::keep(state, &order.signal.id, &note));
    if let Err(error) = kept {
        // As where the journal cannot be written: no reason not to deploy.
        tracing::warn!(%error, "a deploy cannot be noted");
    }
}

/// A deploy has ended; `is_lost` where its process told no end of it.
pub(super) fn end(state: &Path, run: &RunId, is_lost: bool, accounts: &Accounts) {
    let own = |(id, _): &(RunId, Vec<u8>)| id == run;
    if is_lost && let Some((_, note)) = received::all(state).into_iter().find(own) {
        settle(state, run, &note, accounts);
    } else {
        received::forget(state, run);
    }
}

/// Settles what a receiver before left; gives those of its deploys that are still at
/// work.
pub(super) fn settle_all(state: &Path, accounts: &Accounts) -> Vec<RunId> {
    let notes = received::all(state).into_iter();
    notes
        .filter(|(run, note)| !settle(state, run, note, accounts))
        .map(|(run, _)| run)
        .collect()
}

/// Waits for these deploys of a receiver before, and settles them.
pub(super) async fn follow_left(state: &Path, mut runs: Vec<RunId>, accounts: &Accounts) {
    while !runs.is_empty() {
        sleep(EACH).await;
        let mut all = received::all(state);
        all.retain(|(run, note)| runs.contains(run) && !settle(state, run, note, accounts));
        runs = all.into_iter().map(|(run, _)| run).collect();
    }
}

/// Writes the end of a run that told none into the journal, once its process is
/// gone; whether that is so.
fn settle(state: &Path, run: &RunId, note: &[u8], accounts: &Accounts) -> bool {
    // Torn: its deploy was not told what to do.
    if let Ok(note) = serde_json::from_slice::<Note>(note) {
        if note.is_at_work() {
            return false;
        }
        let known = journal::read(state, 1, |entry| entry.run == *run);
        if known.is_ok_and(|known| known.is_empty())
            && let Some(entry) = unended(note, accounts)
            && journal::append(state, &entry).is_err()
        {
            return true;
        }
    }
    received::forget(state, run);
    true
}

/// The line of a run that was killed; none for what was no signal.
fn unended(note: Note, accounts: &Accounts) -> Option<Entry> {
    let signal = signal::parse(&note.order.signal.arguments(), |_| DeclaredKeys::Unreadable);
    let request = signal.ok()?.request;
    let error = Error::new(
        Kind::Broken,
        "the deploy's process was killed before its end: whether it was deployed is not known",
    );
    let who = note.order.who(accounts);
    let run = note.order.signal.id;
    Some(Entry::new(run, note.at, who, &request, error.exit()).with_cause(&error.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::{begin, end, settle_all};
    use crate::host::Accounts;
    use crate::receive::Order;
    use crate::run::RunId;
    use crate::state::{journal, received};

    fn order(number: u32, app: &str) -> Order {
        serde_json::from_value(json!({
            "signal": {
                "id": format!("20261124T175106Z-{number:06x}"), "app": app, "token": "s3cret",
                "chart": "oci://ghcr.io/acme/charts/shop", "chart_version": "1.0.0",
                "images": { "api": "ghcr.io/acme/api:1", "web": "ghcr.io/acme/web:1" },
            },
            "peer": { "uid": 1001, "gid": 1001, "unit": null },
        }))
        .unwrap()
    }

    #[test]
    fn a_run_that_was_killed_has_its_end_in_the_journal() {
        let scratch = tempfile::tempdir().unwrap();
        let state = scratch.path();
        let accounts = Accounts::parse("runner:x:1001:1001::/:/bin/sh\n", "");
        let runs = || {
            let mut runs: Vec<_> = received::all(state).into_iter().collect();
            runs.sort();
            runs.into_iter().map(|(run, _)| run).collect::<Vec<RunId>>()
        };
        // One that is at work, one whose process is gone, one that is no signal, and
        // one that was torn when it was written.
        begin(state, &order(1, "shop"), Some(std::process::id()));
        begin(state, &order(2, "shop"), None);
        begin(state, &order(3, "../x"), None);
        let torn = order(4, "shop").signal.id;
        received::keep(state, &torn, b"{").unwrap();
        let kept = received::all(state);
        assert_eq!(kept.len(), 4);
        assert!(
            !kept
                .iter()
                .any(|(_, note)| note.windows(6).any(|part| part == b"s3cret"))
        );

        let at_work = order(1, "shop").signal.id;
        let open = std::slice::from_ref(&at_work);
        assert_eq!(settle_all(state, &accounts), open);
        assert_eq!(runs(), open);
        let lines = journal::read(state, 9, |_| true).unwrap();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!((lines[0].exit, lines[0].who.user.as_str()), (8, "runner"));
        assert_eq!(lines[0].run, order(2, "shop").signal.id);

        // An end of its own needs no other; a second line of a run is never written.
        end(state, &at_work, false, &accounts);
        begin(state, &order(2, "shop"), None);
        end(state, &order(2, "shop").signal.id, true, &accounts);
        assert_eq!(runs(), []);
        begin(state, &order(5, "shop"), None);
        end(state, &order(5, "shop").signal.id, true, &accounts);
        assert_eq!(journal::read(state, 9, |_| true).unwrap().len(), 2);
    }
}
