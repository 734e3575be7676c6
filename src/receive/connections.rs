//! How many connections there are, and which has to go for another one.
//!
//! One that has not asked anything yet makes room for the next of its user's, the
//! oldest first: who connects and stays silent keeps nobody out who has something to
//! say, not even of the same user.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// How many connections there may be at once.
const ALL: usize = 192;

/// How many of them may be one user's, each of which is a deploy or a question.
const OF_ONE: usize = 64;

/// Whether a connection has asked, or has to go.
#[derive(Default)]
pub(super) struct Asking {
    has_asked: AtomicBool,
    must_go: Notify,
}

impl Asking {
    /// Its request has come whole: from now on it stays.
    pub(super) fn has_asked(&self) {
        self.has_asked.store(true, Ordering::Relaxed);
    }

    /// Waits until it has to make room; one that has asked is never told to.
    pub(super) async fn must_go(&self) {
        self.must_go.notified().await;
    }
}

/// The connections of each user, the oldest first.
#[derive(Default)]
pub(super) struct Connections(BTreeMap<u32, VecDeque<Arc<Asking>>>);

impl Connections {
    pub(super) fn count(&self) -> usize {
        self.0.values().map(VecDeque::len).sum()
    }

    /// Takes one more of this user's in, where there is room or can be made.
    pub(super) fn take(&mut self, uid: u32) -> Option<Arc<Asking>> {
        let own = self.0.get(&uid).map_or(0, VecDeque::len);
        // Root can always look and stop.
        let has_room = uid == 0
            || if own >= OF_ONE {
                self.make_room(uid)
            } else {
                self.count() < ALL || self.largest().is_some_and(|user| self.make_room(user))
            };
        has_room.then(|| {
            let asking = Arc::new(Asking::default());
            let own = self.0.entry(uid).or_default();
            own.push_back(Arc::clone(&asking));
            asking
        })
    }

    /// The user with the most connections.
    fn largest(&self) -> Option<u32> {
        let users = self.0.iter().max_by_key(|(_, own)| own.len());
        users.map(|(uid, _)| *uid)
    }

    /// Lets the oldest of a user's go that has not asked.
    fn make_room(&mut self, uid: u32) -> bool {
        let Some(own) = self.0.get_mut(&uid) else {
            return false;
        };
        let silent = |one: &Arc<Asking>| !one.has_asked.load(Ordering::Relaxed);
        let Some(at) = own.iter().position(silent) else {
            return false;
        };
        if let Some(gone) = own.remove(at) {
            gone.must_go.notify_one();
        }
        true
    }

    /// A connection has ended.
    pub(super) fn give_back(&mut self, uid: u32, asking: &Arc<Asking>) {
        if let Some(own) = self.0.get_mut(&uid) {
            own.retain(|one| !Arc::ptr_eq(one, asking));
            if own.is_empty() {
                self.0.remove(&uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use tokio::time::timeout;

    use super::{ALL, Connections, OF_ONE};

    #[tokio::test]
    async fn who_says_nothing_makes_room() {
        let mut connections = Connections::default();
        let silent: Vec<_> = (0..OF_ONE)
            .map(|_| connections.take(1001).unwrap())
            .collect();
        let next = connections.take(1001).unwrap();
        assert_eq!(connections.count(), OF_ONE);
        silent[0].must_go().await;
        let brief = Duration::from_millis(1);
        assert!(timeout(brief, silent[1].must_go()).await.is_err());
        // Those that have asked stay, and then there is no room.
        for one in &silent {
            one.has_asked();
        }
        next.has_asked();
        assert!(connections.take(1001).is_none());
        assert!(timeout(brief, silent[2].must_go()).await.is_err());
        // Another user is not concerned, and root never is.
        assert!(connections.take(1002).is_some());
        assert!(connections.take(0).is_some());
        connections.give_back(1001, &next);
        assert!(connections.take(1001).is_some());
    }

    #[test]
    fn of_all_users_the_largest_makes_room() {
        let mut connections = Connections::default();
        let mut kept = Vec::new();
        for user in 1..=(ALL / OF_ONE) {
            let user = u32::try_from(user).unwrap();
            kept.extend((0..OF_ONE).map(|_| connections.take(user).unwrap()));
        }
        assert_eq!(connections.count(), ALL);
        let one = connections.take(1001).unwrap();
        assert_eq!(connections.count(), ALL);
        for one in &kept {
            one.has_asked();
        }
        assert!(connections.take(1002).is_none());
        connections.give_back(1001, &one);
        assert!(connections.take(1002).is_some());
    }
}
