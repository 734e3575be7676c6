//! The limits of time that hold where deploy.toml sets none.

use std::time::Duration;

use crate::plan::LEASE;

/// A deploy's budget.
pub(super) const TIMEOUT: Duration = Duration::from_secs(600);

/// How long to wait for another deploy of the release.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_secs(600);

/// After what time a holder that cannot be proven dead counts as dead, at least.
const STALE_AFTER: Duration = Duration::from_secs(3600);

/// The least that `stale_after` can be: a deploy and its rollback have ended by
/// then, and the Lease of one that was paused has run out for both sides.
pub(super) fn least_stale_after(timeout: Duration, rollback: Duration) -> Duration {
    timeout
        .saturating_add(rollback)
        .saturating_add(LEASE.saturating_mul(2))
}

/// What holds where none is written.
pub(super) fn default_stale_after(timeout: Duration, rollback: Duration) -> Duration {
    STALE_AFTER.max(least_stale_after(timeout, rollback))
}
