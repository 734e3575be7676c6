//! What was asked of an Application, as long as it is waited for.

use std::sync::atomic::AtomicBool;

use tokio::sync::Mutex;

use super::beside::Beside;
use super::verdict::Asked;

/// What was asked of an Application.
pub struct Operation {
    pub(super) asked: Asked,
    pub(super) beside: Mutex<Option<Beside>>,
    /// Whether Argo CD has compared since the operation ended.
    pub(super) compared: AtomicBool,
}
