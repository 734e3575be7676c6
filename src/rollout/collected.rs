//! Jobs that had ended before they were removed (`ttlSecondsAfterFinished`).
//!
//! Pure. Such a Job counts as it ended. Where it was there before helm, its removal
//! alone does not say whether helm is about to make it anew; that helm has ended, and
//! which Jobs were there then, does.

use std::collections::{BTreeMap, BTreeSet};

use super::workload_ref::WorkloadRef;

/// The Jobs that are gone and had ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Collected {
    jobs: BTreeMap<WorkloadRef, Removal>,
    /// The Jobs that were there right after helm, once it has ended.
    after_helm: Option<BTreeSet<WorkloadRef>>,
}

/// What is known of a Job's removal.
#[derive(Clone, Copy, Debug)]
struct Removal {
    /// Whether the Job was there when the watch began.
    was_there: bool,
    /// Whether helm had ended before it was removed.
    after_helm: bool,
}

impl Collected {
    /// Notes that a Job that had ended is gone; whether that is news.
    pub(super) fn note(&mut self, job: &WorkloadRef, was_there: bool) -> bool {
        if self.jobs.contains_key(job) {
            return false;
        }
        let removal = Removal {
            was_there,
            after_helm: self.after_helm.is_some(),
        };
        self.jobs.insert(job.clone(), removal);
        true
    }

    /// Notes that a Job of this name is there.
    pub(super) fn forget(&mut self, job: &WorkloadRef) {
        self.jobs.remove(job);
    }

    pub(super) fn note_jobs_after_helm(&mut self, there: BTreeSet<WorkloadRef>) {
        self.after_helm = Some(there);
    }

    pub(super) const fn knows_jobs_after_helm(&self) -> bool {
        self.after_helm.is_some()
    }

    /// Whether a Job is gone and helm makes it anew, or may.
    pub(super) fn may_come_again(&self, job: &WorkloadRef, changed: bool) -> bool {
        let Some(removal) = self.jobs.get(job) else {
            return false;
        };
        let stays_away = self
            .after_helm
            .as_ref()
            .is_some_and(|there| removal.after_helm || !there.contains(job));
        removal.was_there && (changed || !stays_away)
    }

    /// Whether a Job was gone right after helm had applied it.
    pub(super) fn was_gone_after_helm(&self, job: &WorkloadRef) -> bool {
        self.after_helm
            .as_ref()
            .is_some_and(|there| !there.contains(job))
    }
}
