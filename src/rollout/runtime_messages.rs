//! Words of the kernel and of Kubernetes' controllers that more than one module reads.

/// What the kernel says of a program for another platform.
pub(super) const EXEC_FORMAT_ERROR: &str = "exec format error";

/// Whether a taint, or the scheduler's words on one, is of those that go by
/// themselves: Kubernetes' own node conditions, a node that is being set up or taken
/// away.
pub(super) fn is_passing_taint(taint: &str) -> bool {
    [
        "node.kubernetes.io/",
        "node.cloudprovider.kubernetes.io/",
        "ToBeDeleted",
        "DeletionCandidate",
        "not-ready",
        "unready",
        "uninitialized",
        "unregistered",
        "startup",
        "disrupt",
    ]
    .iter()
    .any(|word| taint.contains(word))
}
