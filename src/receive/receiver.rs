//! What a receiver knows: who may send, its deploys, and how many connections there are.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::connections::{Asking, Connections};
use super::deploys::Deploys;
use super::notes;
use super::peer::PeerIdentity;
use crate::host::Accounts;
use crate::node::config::{OnDisconnect, Receive};
use crate::run::RunId;

/// A receiver.
pub struct Receiver {
    /// Its configuration's file.
    pub(super) config: PathBuf,
    /// Where its journal lies.
    pub(super) state: PathBuf,
    pub(super) deploys: Deploys,
    receive: Receive,
    accounts: Accounts,
    connections: Mutex<Connections>,
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
        self.connections().count() > 0
    }

    /// A place for one more connection of this user's.
    pub(super) fn place(self: &Arc<Self>, uid: u32) -> Option<Place> {
        let asking = self.connections().take(uid)?;
        Some(Place {
            receiver: Arc::clone(self),
            uid,
            asking,
        })
    }

    fn connections(&self) -> MutexGuard<'_, Connections> {
        let held = self.connections.lock();
        held.unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that counts until this is dropped.
pub(super) struct Place {
    receiver: Arc<Receiver>,
    uid: u32,
    pub(super) asking: Arc<Asking>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.receiver
            .connections()
            .give_back(self.uid, &self.asking);
    }
}
