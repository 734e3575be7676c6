//! Claims that can get no volume.

use super::context::{Rule, RuleContext};
use crate::rollout::cause::{Cause, TerminalFailure};
use crate::rollout::model::Claim;
use crate::rollout::workload_ref::{NamespacedName, WorkloadKind};

pub(super) const VOLUME: Rule = Rule {
    name: "volume",
    catches: "a claim whose class does not exist, or that has none, while no volume is there for it",
    tolerates: "a class that waits for the first pod; a static volume of a class that does not exist; a slow provisioner; a cluster whose classes or volumes may not be listed",
    source: "controllers: pkg/controller/volume/persistentvolume/pv_controller.go (FailedBinding, ProvisioningFailed)",
    check,
};

fn check(context: &RuleContext<'_>) -> Option<TerminalFailure> {
    let key = |name: &str| NamespacedName::new(&context.target.id.namespace, name);
    if context.target.id.kind == WorkloadKind::PersistentVolumeClaim {
        return judge(
            context,
            context.cache.claims.get(&key(&context.target.id.name))?,
        );
    }
    context
        .pods
        .iter()
        .flat_map(|pod| &pod.claims)
        .find_map(|name| judge(context, context.cache.claims.get(&key(name))?))
}

fn judge(context: &RuleContext<'_>, claim: &Claim) -> Option<TerminalFailure> {
    if claim.bound || claim.volume.as_ref().is_some_and(|name| !name.is_empty()) {
        return None;
    }
    let event = context
        .new_events_on(
            WorkloadKind::PersistentVolumeClaim.group_kind(),
            &claim.key,
            &claim.uid,
        )
        .into_iter()
        .rfind(|event| {
            (event.reason == "FailedBinding" && event.message.contains("no storage class is set"))
                || (event.reason == "ProvisioningFailed"
                    && event.message.contains("storageclass")
                    && event.message.contains("not found"))
        })?;
    let (classes, volumes) = (
        context.baseline.facts.classes.as_ref()?,
        context.baseline.facts.volumes.as_ref()?,
    );
    let can_provision = match claim.class.as_deref() {
        None => classes.values().any(|default| *default),
        Some(class) => classes.contains_key(class),
    };
    let wanted = claim.class.as_deref().unwrap_or_default();
    let here = claim.key.to_string();
    let has_volume = volumes
        .iter()
        .any(|(class, meant)| class == wanted && meant.as_ref().is_none_or(|meant| *meant == here));
    (!can_provision && !has_volume).then(|| {
        context
            .failure(VOLUME.name, Cause::NoVolume)
            .saying(format!(
                "PersistentVolumeClaim {}: {}",
                claim.key.name, event.message
            ))
    })
}
