//! Pods that no node can ever take.

use std::time::Duration;

use super::context::{Rule, RuleContext};
use super::grace::{is_within, may_come_to};
use super::held;
use super::scheduler::{classify, is_only_short};
use crate::rollout::cause::{Cause, TerminalFailure};
use crate::rollout::model::Pod;

pub(super) const SCHEDULE: Rule = Rule {
    name: "schedule",
    catches: "a node selector, affinity, node name or taint that leaves no node; a request larger than any node has; a host port or resource that an old pod holds, which cannot leave since maxUnavailable is 0; a claim that does not exist",
    tolerates: "everything that another pod's leaving may cure; cordoned, new and unready nodes; labels and taints that change within 15 s; a cluster without nodes; a cluster that adds nodes by itself, unless it says that it will not; until half of the budget is gone: nodes or an autoscaler that may not be read, and a device that a plugin offers",
    source: "scheduler: pkg/scheduler/framework/types.go (FitError), plugins/*/ (ErrReason…); cluster-autoscaler: TriggeredScaleUp, NotTriggerScaleUp; karpenter: Nominated",
    check,
};

/// So long after a pod was first seen, a node may still get the label that it wants, or
/// lose a taint.
const LABELLING: Duration = Duration::from_secs(15);

fn check(context: &RuleContext<'_>) -> Option<TerminalFailure> {
    context.fresh_pods().find_map(|pod| {
        let (reason, message) = pod.unscheduled.as_ref()?;
        if reason != "Unschedulable" || will_scale(context, pod) {
            return None;
        }
        let (facts, is_late) = (&context.baseline.facts, context.is_late());
        let cause = held::by_an_old_pod(context, pod, message)
            .or_else(|| classify(message, pod, facts, is_late))?;
        match &cause {
            Cause::Missing { kind, name, .. } if may_come_to(context, pod, kind, name) => {
                return None;
            }
            Cause::Unschedulable
                if !is_only_short(message)
                    && is_within(context, context.cache.since(pod), LABELLING) =>
            {
                return None;
            }
            _ => {}
        }
        let (why, _) = message.split_once(". ").unwrap_or((message, ""));
        Some(
            context
                .failure_of_pod(SCHEDULE.name, cause, pod)
                .saying(why)
                .saying(message.as_str()),
        )
    })
}

/// Whether something adds a node for this pod, or has not said yet that it will not.
fn will_scale(context: &RuleContext<'_>, pod: &Pod) -> bool {
    let events = context.new_events_of(pod);
    let said = |reason: &str| events.iter().any(|event| event.reason == reason);
    let may_scale = match context.baseline.facts.autoscaler {
        Some(known) => known,
        None => !context.is_late(),
    };
    said("TriggeredScaleUp") || said("Nominated") || (may_scale && !said("NotTriggerScaleUp"))
}
