//! What a quota says when it is exceeded, and who may free it.
//!
//! `exceeded quota: small, requested: pods=1,requests.cpu=2, used: …, limited: …`
//! (`CheckRequest` of k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go,
//! Kubernetes 1.34).

use super::context::RuleContext;
use crate::manifest::quantity::{Amounts, milli};
use crate::rollout::model::{Pod, PodPhase};

/// An exceeded quota, in thousandths of each resource's unit.
#[derive(Debug)]
pub(super) struct Exceeded {
    requested: Amounts,
    limited: Amounts,
}

impl Exceeded {
    /// What a refusal says of the quota; none where it cannot be read.
    pub(super) fn of(message: &str) -> Option<Self> {
        let (_, rest) = message.split_once(", requested: ")?;
        let (requested, rest) = rest.split_once(", used: ")?;
        let (_, limited) = rest.split_once(", limited: ")?;
        Some(Self {
            requested: amounts(requested)?,
            limited: amounts(limited)?,
        })
    }

    /// Whether the quota is too small for one pod, whoever leaves.
    pub(super) fn is_never_enough(&self) -> bool {
        self.short(|_| Some(0))
    }

    /// Whether there is room once others leave: what the release's own pods use does not
    /// fill the quota.
    pub(super) fn others_may_free(&self, context: &RuleContext<'_>) -> bool {
        let namespace = &context.target.id.namespace;
        let own: Vec<&Pod> = context
            .cache
            .pods
            .values()
            .filter(|pod| {
                pod.key.namespace == *namespace
                    && !matches!(pod.phase, PodPhase::Failed | PodPhase::Succeeded)
            })
            .collect();
        !self.short(|resource| used(&own, resource))
    }

    /// Whether the quota has too little of some resource beside what is used of it.
    /// What is not known to be used counts as another's.
    fn short(&self, used: impl Fn(&str) -> Option<i128>) -> bool {
        self.requested.iter().any(|(resource, requested)| {
            let used = used(resource).unwrap_or(0);
            let limited = self.limited.get(resource);
            limited.is_some_and(|limited| requested + used > *limited)
        })
    }
}

/// How much pods use of a resource, by the quota's names for resources.
fn used(pods: &[&Pod], resource: &str) -> Option<i128> {
    match resource {
        "pods" | "count/pods" => i128::try_from(pods.len()).ok().map(|count| count * 1000),
        "cpu" | "memory" | "requests.cpu" | "requests.memory" => {
            let name = resource.trim_start_matches("requests.");
            let requests = pods.iter().filter_map(|pod| pod.requests.get(name));
            Some(requests.sum())
        }
        _ => None,
    }
}

/// `pods=1,requests.cpu=500m`
fn amounts(text: &str) -> Option<Amounts> {
    let pairs = text.trim_end_matches(['.', ' ']).split(',');
    pairs
        .map(|pair| {
            let (resource, amount) = pair.trim().split_once('=')?;
            Some((resource.to_owned(), milli(amount)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Exceeded;

    #[test]
    fn a_quota_that_is_too_small_is_told_from_a_full_one() {
        for (message, expected) in [
            (
                r#"pods "api-1" is forbidden: exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1"#,
                Some(false),
            ),
            (
                r#"pods "api-1" is forbidden: exceeded quota: small, requested: requests.cpu=2, used: requests.cpu=0, limited: requests.cpu=1"#,
                Some(true),
            ),
            (
                r#"pods "api-1" is forbidden: exceeded quota: small, requested: limits.memory=1Gi,requests.cpu=500m, used: limits.memory=0,requests.cpu=800m, limited: limits.memory=512Mi,requests.cpu=1"#,
                Some(true),
            ),
            ("exceeded quota: small", None),
            (
                "exceeded quota: small, requested: pods, used: , limited: ",
                None,
            ),
        ] {
            let read = Exceeded::of(message);
            assert_eq!(read.map(|it| it.is_never_enough()), expected, "{message}");
        }
    }
}
