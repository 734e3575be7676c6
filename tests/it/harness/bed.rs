//! A testbed that only some scenarios need: it is there as long as one of them is at it.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use testbed::push::Pusher;
use testbed::{Options, Testbed};

/// A testbed and what fills its registry.
pub struct Bed {
    pub testbed: Testbed,
    pub pusher: Pusher,
}

impl Bed {
    /// The one of more than one cluster, shared by the scenarios that run at the same time.
    pub fn fleet() -> Arc<Self> {
        static FLEET: Mutex<Weak<Bed>> = Mutex::new(Weak::new());
        let mut shared = FLEET.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bed) = shared.upgrade() {
            return bed;
        }
        assert!(
            rustix::process::geteuid().is_root(),
            "tests/it needs root: it boots clusters in namespaces of their own"
        );
        let testbed = Testbed::join_or_start_with(&Options::fleet())
            .unwrap_or_else(|error| panic!("no testbed: {error:#}"));
        let pusher = Pusher::new(&testbed.info).unwrap();
        let bed = Arc::new(Self { testbed, pusher });
        *shared = Arc::downgrade(&bed);
        bed
    }
}
