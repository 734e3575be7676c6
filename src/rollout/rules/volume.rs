//! Claims that can get no volume.

use super::{Rule, RuleContext};
use crate::rollout::cause::{Cause, TerminalFailure};
use crate::rollout::model::{Claim, Kind, NamespacedName};

pub(super) const VOLUME: Rule = Rule {
    name: "volume",
    catches: "a claim whose class does not exist, or that has none, while no volume is there for it",
    tolerates: "a class that waits for the first pod; a static volume of a class that does not exist; a slow provisioner; a cluster whose classes or volumes may not be listed",
    source: "controllers: pkg/controller/volume/persistentvolume/pv_controller.go (FailedBinding, ProvisioningFailed)",
    check,
};

fn check(scene: &RuleContext<'_>) -> Option<TerminalFailure> {
    let place =
        |name: &str| -> NamespacedName { (scene.target.id.namespace.clone(), name.to_owned()) };
    if scene.target.id.kind == Kind::PersistentVolumeClaim {
        return judge(
            scene,
            scene.world.claims.get(&place(&scene.target.id.name))?,
        );
    }
    scene
        .pods
        .iter()
        .flat_map(|pod| &pod.claims)
        .find_map(|name| judge(scene, scene.world.claims.get(&place(name))?))
}

fn judge(scene: &RuleContext<'_>, claim: &Claim) -> Option<TerminalFailure> {
    if claim.bound || claim.volume.as_ref().is_some_and(|name| !name.is_empty()) {
        return None;
    }
    let event = scene
        .news("PersistentVolumeClaim", &claim.place, &claim.uid)
        .into_iter()
        .rfind(|event| {
            (event.reason == "FailedBinding" && event.message.contains("no storage class is set"))
                || (event.reason == "ProvisioningFailed"
                    && event.message.contains("storageclass")
                    && event.message.contains("not found"))
        })?;
    let (classes, volumes) = (
        scene.baseline.facts.classes.as_ref()?,
        scene.baseline.facts.volumes.as_ref()?,
    );
    let can_provision = match claim.class.as_deref() {
        None => classes.values().any(|default| *default),
        Some(class) => classes.contains_key(class),
    };
    let wanted = claim.class.as_deref().unwrap_or_default();
    let here = format!("{}/{}", claim.place.0, claim.place.1);
    let has_volume = volumes
        .iter()
        .any(|(class, meant)| class == wanted && meant.as_ref().is_none_or(|meant| *meant == here));
    (!can_provision && !has_volume).then(|| {
        scene
            .failure(VOLUME.name, Cause::NoVolume)
            .saying(format!("claim {}: {}", claim.place.1, event.message))
    })
}
