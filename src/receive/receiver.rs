//! What a receiver knows: who may send, its deploys, and how many connections there are.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::deploys::Deploys;
use super::notes;
use super::peer::PeerIdentity;
use crate::host::Accounts;
use crate::node::config::{OnDisconnect, Receive};
use crate::run::RunId;

/// How many connections there may be at once.
const CONNECTIONS: usize = 192;

/// How many of them may be one user's, each of which is a deploy or a question.
const OF_ONE: usize = 64;

/// A receiver.
pub struct Receiver {
    /// Its configuration's file.
    pub(super) config: PathBuf,
    /// Where its journal lies.
    pub(super) state: PathBuf,
    pub(super) deploys: Deploys,
    receive: Receive,
    accounts: Accounts,
    connections: Mutex<BTreeMap<u32, usize>>,
    draining: AtomicBool,
}

impl Receiver {
    /// A receiver of this configuration.
    pub fn new(config: PathBuf, state: PathBuf, receive: Receive, accounts: Accounts) -> Self {
        Self {
            config,
            state,
            deploys: Deploys::default(),
            receive,
            accounts,
            connections: Mutex::default(),
            draining: AtomicBool::new(false),
        }
    }

    pub(super) fn allows(&self, peer: &PeerIdentity) -> bool {
        peer.may_send(&self.receive, &self.accounts)
    }

    /// A user as people know it.
    pub(super) fn name(&self, uid: u32) -> String {
        self.accounts.user(uid)
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// From now on no deploy is taken.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(super) const fn on_disconnect(&self) -> OnDisconnect {
        self.receive.on_disconnect
    }

    /// A deploy has ended, in words of its own or without.
    pub(super) fn note_end(&self, run: &RunId, is_lost: bool) {
        notes::end(&self.state, run, is_lost, &self.accounts);
    }

    /// Settles what a receiver before this one left; those of its deploys that are
    /// still at work are waited for meanwhile.
    pub(super) fn settle(self: &Arc<Self>) {
        let left = notes::settle_all(&self.state, &self.accounts);
        if left.is_empty() {
            return;
        }
        let receiver = Arc::clone(self);
        tokio::spawn(async move {
            notes::follow_left(&receiver.state, left, &receiver.accounts).await;
        });
    }

    /// Whether there is a connection.
    pub(super) fn is_in_use(&self) -> bool {
        let held = self.connections.lock();
        !held.unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// A place for one more connection of this user's.
    pub(super) fn place(self: &Arc<Self>, uid: u32) -> Option<Place> {
        let mut held = self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let all: usize = held.values().sum();
        let own = held.entry(uid).or_default();
        // Root can always look and stop.
        if uid != 0 && (all >= CONNECTIONS || *own >= OF_ONE) {
            return None;
        }
        *own += 1;
        Some(Place {
            receiver: Arc::clone(self),
            uid,
        })
    }
}

/// A connection that counts until this is dropped.
pub(super) struct Place {
    receiver: Arc<Receiver>,
    uid: u32,
}

impl Drop for Place {
    fn drop(&mut self) {
        let held = self.receiver.connections.lock();
        let mut held = held.unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = held.get_mut(&self.uid) {
            *own -= 1;
            if *own == 0 {
                held.remove(&self.uid);
            }
        }
    }
}
