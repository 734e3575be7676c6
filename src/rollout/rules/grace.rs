//! How long a missing thing may still come.

use std::time::Duration;

use super::context::RuleContext;
use crate::rollout::model::{Elapsed, Pod};

/// So long after a pod was first seen, an operator or a copier of Secrets may still make
/// what the pod misses.
pub(super) const GRACE: Duration = Duration::from_secs(60);

/// Whether an object of this name may still come to a pod that misses it.
pub(super) fn may_come_to(context: &RuleContext<'_>, pod: &Pod, kind: &str, name: &str) -> bool {
    may_come_since(context, context.cache.since(pod), kind, name)
}

/// Whether an object of this name may still come, where it has been missed since then.
pub(super) fn may_come_since(
    context: &RuleContext<'_>,
    since: Elapsed,
    kind: &str,
    name: &str,
) -> bool {
    let namespace = &context.target.id.namespace;
    context.may_come(kind, name)
        || (is_within(context, since, GRACE) && context.baseline.expected.may_make(namespace, name))
}

/// Whether something that the kubelet does not name may still come to a pod.
pub(super) fn any_may_come_to(context: &RuleContext<'_>, pod: &Pod) -> bool {
    is_within(context, context.cache.since(pod), GRACE)
        && context.baseline.expected.may_make_any(&pod.key.namespace)
}

/// Whether so much time has not passed since then; over in any case once half of the
/// budget is gone.
pub(super) fn is_within(context: &RuleContext<'_>, since: Elapsed, grace: Duration) -> bool {
    !context.is_late() && context.now.since(since) < grace
}
