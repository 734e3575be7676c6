//! The deploys that this receiver knows: what each said so far, and how it ended.
//!
//! All of it is bounded: who reads slowly or not at all costs no more than that.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::error::UnixSignal;
use crate::process::cancel::CancelTrigger;
use crate::report::events::DeployName;
use crate::run::RunId;

/// How many lines of a deploy are kept; the client shows no more.
const LINES: usize = 5000;

/// How much of them is kept, in bytes.
const BYTES: usize = 1 << 20;

/// How many deploys may be on their way at once, those that wait included.
const ALL: usize = 64;

/// How many of them may be one user's.
const OF_ONE: usize = 32;

/// How many that ended are remembered.
const ENDED: usize = 200;

/// Why a deploy is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// One of this id is known.
    Known,
    /// This user has too many on their way.
    TooMany,
    /// All users together have.
    Full,
}

/// A deploy.
pub(super) struct Deploy {
    pub(super) name: DeployName,
    /// Who sent it.
    pub(super) uid: u32,
    cancel: CancelTrigger,
    said: Mutex<Said>,
    changed: watch::Sender<Progress>,
}

/// How far a deploy is: so many lines, and whether it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    lines: usize,
    pub(super) ended: bool,
}

#[derive(Default)]
struct Said {
    lines: Vec<Bytes>,
    bytes: usize,
    /// The last event.
    last: Option<Value>,
}

impl Deploy {
    /// Keeps a line, where there is room.
    pub(super) fn say(&self, line: String) {
        let mut said = self.said();
        if said.lines.len() >= LINES || said.bytes + line.len() > BYTES {
            return;
        }
        said.bytes += line.len() + 1;
        said.lines.push(Bytes::from(line + "\n"));
        self.tell(&said);
    }

    /// It ended with this event.
    pub(super) fn end(&self, last: Value) {
        let mut said = self.said();
        said.lines.push(Bytes::from(format!("{last}\n")));
        said.last = Some(last);
        self.tell(&said);
    }

    fn tell(&self, said: &Said) {
        self.changed.send_replace(Progress {
            lines: said.lines.len(),
            ended: said.last.is_some(),
        });
    }

    /// Asks it to stop, as SIGTERM does.
    pub(super) fn cancel(&self) {
        self.cancel.fire(UnixSignal::Terminate);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.changed.borrow().ended
    }

    /// Waits for its end.
    pub(super) async fn ended(&self) {
        let mut changed = self.changed.subscribe();
        // The sender is this deploy's own.
        let _ = changed.wait_for(|progress| progress.ended).await;
    }

    /// The line at this place, once it is there; none behind the last.
    pub(super) async fn line(&self, at: usize) -> Option<Bytes> {
        let mut changed = self.changed.subscribe();
        let there = changed
            .wait_for(|progress| progress.lines > at || progress.ended)
            .await;
        drop(there);
        self.said().lines.get(at).cloned()
    }

    /// What a client is told that asks for it.
    pub(super) fn status(&self) -> Value {
        let said = self.said();
        let state = if said.last.is_some() {
            "ended"
        } else {
            "running"
        };
        json!({ "id": self.name.id, "app": self.name.app, "state": state, "finished": said.last })
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All of them, by their ids.
#[derive(Default)]
pub(super) struct Deploys {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    all: BTreeMap<RunId, Arc<Deploy>>,
    /// Those that ended, the oldest first.
    ended: VecDeque<RunId>,
}

impl Deploys {
    /// Takes a deploy in, where there is room for one more.
    pub(super) fn take(
        &self,
        id: &RunId,
        name: DeployName,
        uid: u32,
        cancel: CancelTrigger,
    ) -> Result<Arc<Deploy>, NotTaken> {
        let mut known = self.known();
        if known.all.contains_key(id) {
            return Err(NotTaken::Known);
        }
        let on_their_way = || known.all.values().filter(|deploy| !deploy.has_ended());
        if on_their_way().filter(|deploy| deploy.uid == uid).count() >= OF_ONE {
            return Err(NotTaken::TooMany);
        }
        if on_their_way().count() >= ALL {
            return Err(NotTaken::Full);
        }
        let deploy = Arc::new(Deploy {
            name,
            uid,
            cancel,
            said: Mutex::default(),
            changed: watch::Sender::new(Progress::default()),
        });
        known.all.insert(id.clone(), Arc::clone(&deploy));
        Ok(deploy)
    }

    /// Notes that one ended: the oldest of those are forgotten.
    pub(super) fn note_end(&self, id: RunId) {
        let mut known = self.known();
        known.ended.push_back(id);
        if known.ended.len() > ENDED
            && let Some(oldest) = known.ended.pop_front()
        {
            known.all.remove(&oldest);
        }
    }

    /// The deploy of this id.
    pub(super) fn get(&self, id: &RunId) -> Option<Arc<Deploy>> {
        self.known().all.get(id).cloned()
    }

    /// Those that have not ended.
    pub(super) fn on_their_way(&self) -> Vec<Arc<Deploy>> {
        let known = self.known();
        let all = known.all.values().filter(|deploy| !deploy.has_ended());
        all.cloned().collect()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::{ALL, BYTES, Deploys, ENDED, LINES, NotTaken, OF_ONE};
    use crate::process::Cancel;
    use crate::report::events::DeployName;
    use crate::run::RunId;

    fn id(number: usize) -> RunId {
        format!("20261124T175106Z-{number:06x}").parse().unwrap()
    }

    fn take(deploys: &Deploys, number: usize, uid: u32) -> Result<(), NotTaken> {
        let name = DeployName {
            id: id(number).to_string(),
            app: "shop".to_owned(),
            chart_version: "1.0.0".to_owned(),
        };
        let (_, trigger) = Cancel::manual();
        deploys.take(&id(number), name, uid, trigger).map(drop)
    }

    #[test]
    fn there_is_room_for_so_many() {
        let deploys = Deploys::default();
        for number in 0..OF_ONE {
            assert_eq!(take(&deploys, number, 1001), Ok(()));
        }
        assert_eq!(take(&deploys, 0, 1001), Err(NotTaken::Known));
        assert_eq!(take(&deploys, 500, 1001), Err(NotTaken::TooMany));
        assert_eq!(
            take(&deploys, 500, 0),
            Ok(()),
            "another user has its own room"
        );
        for number in OF_ONE..ALL - 1 {
            assert_eq!(take(&deploys, number, 1002), Ok(()));
        }
        assert_eq!(take(&deploys, 600, 1003), Err(NotTaken::Full));
        let first = deploys.get(&id(0)).unwrap();
        first.end(json!({}));
        assert_eq!(take(&deploys, 600, 1003), Ok(()));
    }

    #[test]
    fn what_ended_long_ago_is_forgotten() {
        let deploys = Deploys::default();
        for number in 0..=ENDED {
            take(&deploys, number, 1001).unwrap();
            deploys.get(&id(number)).unwrap().end(json!({}));
            deploys.note_end(id(number));
        }
        assert!(deploys.get(&id(0)).is_none());
        assert!(deploys.get(&id(ENDED)).is_some());
        assert!(deploys.on_their_way().is_empty());
    }

    #[tokio::test]
    async fn a_deploy_that_says_much_keeps_its_last_word() {
        let deploys = Deploys::default();
        for (number, line) in [(1, "x".to_owned()), (2, "x".repeat(60_000))] {
            take(&deploys, number, 1001).unwrap();
            let deploy = deploys.get(&id(number)).unwrap();
            for _ in 0..LINES * 2 {
                deploy.say(line.clone());
            }
            deploy.end(json!({ "event": "finished" }));
            let mut kept = Vec::new();
            while let Some(line) = deploy.line(kept.len()).await {
                kept.push(line);
            }
            assert!(kept.len() <= LINES + 1);
            assert!(kept.iter().map(bytes_of).sum::<usize>() < 2 * BYTES);
            assert_eq!(kept.last().unwrap(), "{\"event\":\"finished\"}\n");
        }
    }

    fn bytes_of(line: &hyper::body::Bytes) -> usize {
        line.len()
    }
}
