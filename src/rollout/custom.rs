//! Custom resources of a release whose controllers say that they are not Ready, and
//! Services whose load balancer has no address. Nobody waits for them: they fail no
//! rollout. What a pod lacks may be what they make.
//!
//! What they say is read purely ([`not_ready`]); asking for them is bounded in time and
//! number, and what cannot be read is left out.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Service;
use kube::Client;
use kube::api::{Api, DynamicObject, GroupVersionKind};
use kube::discovery::{Scope, pinned_kind};
use serde_json::Value;
use tokio::time::timeout;

use super::baseline::promises;
use super::foreign::is_judged;
use crate::manifest::{Object, ObjectRef, is_kubernetes_group};
use crate::text;

/// How long all of them together may take.
const LOOK: Duration = Duration::from_secs(3);

/// How many of them are asked for.
const MOST: usize = 20;

/// A custom resource or a Service that is not Ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotReady {
    /// It, and what its controller says; one line that is safe to show.
    pub said: String,
    /// The names that it speaks of: of what its controller makes, among others.
    names: BTreeSet<String>,
}

impl NotReady {
    /// Whether a text names something that this resource speaks of.
    pub fn concerns(&self, text: &str) -> bool {
        let is_name = |character: char| {
            character.is_ascii_lowercase() || character.is_ascii_digit() || "-.".contains(character)
        };
        text.split(|character| !is_name(character))
            .any(|word| self.names.contains(word.trim_matches('.')))
    }
}

/// What a live object says of itself in the condition `Ready`, where that is `False` for
/// its present generation.
fn not_ready(object: &Value) -> Option<String> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let ready = conditions
        .iter()
        .find(|condition| condition["type"] == "Ready" && condition["status"] == "False")?;
    let generation = object.pointer("/metadata/generation")?.as_i64();
    let is_old = ready["observedGeneration"]
        .as_i64()
        .is_some_and(|observed| Some(observed) < generation);
    if is_old {
        return None;
    }
    let said: Vec<String> = [&ready["reason"], &ready["message"]]
        .into_iter()
        .filter_map(text)
        .filter(|said| !said.is_empty())
        .collect();
    Some(text::line(&said.join(": "), text::LINE).into_owned())
}

/// The custom resources of a render, and its Services of a load balancer's, with the
/// names that each speaks of.
#[derive(Clone, Debug, Default)]
pub struct CustomResources(Vec<(ObjectRef, BTreeSet<String>)>);

impl CustomResources {
    /// Those among the objects, but hooks; where they name no namespace they lie in this
    /// one.
    pub fn of<'a>(objects: impl IntoIterator<Item = &'a Object>, namespace: &str) -> Self {
        let custom = objects
            .into_iter()
            .filter(|object| object.hooks.is_empty())
            .filter(|object| is_custom(&object.reference) || is_load_balancer(object));
        let custom = custom.take(MOST).map(|object| {
            let names = if is_custom(&object.reference) {
                promises([&object.value])
            } else {
                BTreeSet::new()
            };
            (object.reference.clone().within(namespace), names)
        });
        Self(custom.collect())
    }

    /// Those that their controllers say are not Ready now.
    pub async fn not_ready(&self, client: &Client) -> Vec<NotReady> {
        let asked = self.0.iter().map(|(object, names)| async move {
            let said = if object.is("", "Service") {
                has_no_address(client, object).await.then(|| format!(
                    "{object} is of type LoadBalancer and has no address yet: this cluster may have nothing that gives one"
                ))?
            } else {
                let said = not_ready(&read(client, object).await?)?;
                let why = if said.is_empty() { "" } else { ": " };
                format!("{object} is not Ready{why}{said}")
            };
            let names = names.clone();
            Some(NotReady { said, names })
        });
        let found = timeout(LOOK, join_all(asked)).await.unwrap_or_default();
        found.into_iter().flatten().collect()
    }
}

fn is_custom(object: &ObjectRef) -> bool {
    !object.name.is_empty() && !is_kubernetes_group(object.group()) && !is_judged(object)
}

/// Whether it is a Service that a load balancer has to give an address.
pub fn is_load_balancer(object: &Object) -> bool {
    object.reference.is("", "Service") && object.value["spec"]["type"] == "LoadBalancer"
}

/// Whether the cluster says that a Service of a load balancer's has none.
async fn has_no_address(client: &Client, service: &ObjectRef) -> bool {
    let namespace = service.namespace.as_deref().unwrap_or_default();
    let api: Api<Service> = Api::namespaced(client.clone(), namespace);
    let Ok(Some(found)) = api.get_opt(&service.name).await else {
        return false;
    };
    let balancer = found.status.and_then(|status| status.load_balancer);
    balancer.is_none_or(|balancer| balancer.ingress.is_none_or(|given| given.is_empty()))
}

async fn read(client: &Client, object: &ObjectRef) -> Option<Value> {
    let (group, version) = object.api_version.split_once('/')?;
    let kind = GroupVersionKind::gvk(group, version, &object.kind);
    let (resource, can) = pinned_kind(client, &kind).await.ok()?;
    let api: Api<DynamicObject> = match (can.scope, &object.namespace) {
        (Scope::Namespaced, Some(space)) => Api::namespaced_with(client.clone(), space, &resource),
        _ => Api::all_with(client.clone(), &resource),
    };
    let found = api.get_opt(&object.name).await.ok()??;
    serde_json::to_value(found).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::{CustomResources, NotReady, not_ready};
    use crate::manifest::Object;

    /// Case B2: what a custom resource says of itself fails nothing, and is told.
    #[test]
    fn a_custom_resource_says_that_it_is_not_ready() {
        let why = "SecretSyncedError: could not get secret data from provider";
        let no = json!({"type": "Ready", "status": "False", "reason": "SecretSyncedError",
            "message": "could not get secret data from provider"});
        let of = |generation, condition| {
            json!({"metadata": {"generation": generation},
                "status": {"conditions": [{"type": "Synced", "status": "False"}, condition]}})
        };
        let (mut old, mut new, mut yes) = (no.clone(), no.clone(), no.clone());
        old["observedGeneration"] = json!(1);
        new["observedGeneration"] = json!(2);
        yes["status"] = json!("True");
        for (object, expected) in [
            (of(2, no), Some(why)),
            (of(2, new), Some(why)),
            // Of the generation before.
            (of(2, old), None),
            (of(2, yes), None),
            (of(2, json!({"type": "Ready", "status": "False"})), Some("")),
            (json!({"status": {"conditions": "none"}}), None),
            (json!({}), None),
        ] {
            assert_eq!(not_ready(&object).as_deref(), expected, "{object}");
        }
    }

    #[test]
    fn what_it_makes_is_known_by_its_words() {
        let manifest = "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: mail}\nspec: {target: {name: mail-login}}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: own}\n---\napiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: api}\n";
        let objects = Object::parse(manifest).unwrap();
        let custom = CustomResources::of(&objects, "shop").0;
        let [(_, names)] = custom.as_slice() else {
            panic!("neither the cluster's own nor one that is judged: {custom:?}");
        };
        let told = NotReady {
            said: String::new(),
            names: names.clone(),
        };
        for (text, concerned) in [
            (
                "container api of pod api-1 needs Secret mail-login, which does not exist",
                true,
            ),
            (
                "waits: CreateContainerConfigError: secret \"mail-login\" not found",
                true,
            ),
            ("needs Secret mail-logins, which does not exist", false),
            ("needs Secret own, which does not exist.", false),
        ] {
            assert_eq!(told.concerns(text), concerned, "{text}");
        }
    }
}
