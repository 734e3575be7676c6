//! Tries an object on the API server without writing it, by the very request that
//! helm would send: what defaults, admission and other managers make of it is
//! told by the server itself.
//!
//! Every request that could write carries `dryRun=All`. Nothing is ever changed,
//! and an object that cannot be tried is said to be so, never guessed.
//!
//! Sources: `update` and `createPatch` in `pkg/kube/client.go`,
//! `existingResourceConflict` in `pkg/action/validate.go`, of
//! `helm.sh/helm/v3@v3.22.0` and `v4@v4.3.1`.

mod answer;
mod kinds;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Client, Error as KubeError};
use serde_json::{Value, json};

pub use kinds::Kinds;

use self::answer::{refused, untold};
use super::client::{failed, within};
use crate::error::Result;
use crate::manifest::changes::{Change, compare, differs, is_secret, without_noise};
use crate::manifest::{ObjectRef, is_kubernetes_group, managers, patch};
use crate::plan::ReleaseId;

/// How helm applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// It compares and patches.
    Client,
    /// The API server does.
    Server,
}

/// What an object is compared with besides what lives.
#[derive(Clone, Copy, Debug)]
pub enum Basis<'a> {
    /// What helm rendered of it before.
    Render(&'a Value),
    /// Helm never rendered it: it would take over one that is there.
    Nothing,
    /// It was rendered as it is wanted, and shall be found so.
    Itself,
}

/// What would become of an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Forecast {
    /// It is not there, and would be made.
    Created,
    /// It is there, and would stay as it is.
    Stays(Value),
    /// It would become another.
    Becomes {
        /// As it is.
        live: Value,
        /// As it would be.
        then: Value,
    },
    /// The API server, or helm, would refuse it.
    Refused(String),
    /// It cannot be told.
    Untold(String),
}

impl Forecast {
    /// What that is for people; none where nothing would change.
    pub fn change(&self) -> Option<Change> {
        match self {
            Self::Created => Some(Change::Created),
            Self::Stays(_) => None,
            Self::Becomes { live, then } => {
                let fields = compare(&without_noise(live), &without_noise(then));
                if fields.is_empty() {
                    return differs(live, then).then_some(Change::Labels);
                }
                Some(Change::Changed(fields))
            }
            Self::Refused(why) => Some(Change::Refused(why.clone())),
            Self::Untold(why) => Some(Change::NotPredicted(why.clone())),
        }
    }
}

/// How many objects are tried at once.
const AT_ONCE: usize = 8;

/// What would become of an object that the chart names no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is not there any more.
    Gone,
    /// It would be removed.
    Removed,
    /// An annotation of helm's keeps it.
    Kept,
}

/// Tries the objects of one release.
pub struct DryRun<'a> {
    client: &'a Client,
    release: &'a ReleaseId,
    kinds: Kinds,
    method: Method,
    /// None where it is read off each object.
    manager: Option<String>,
}

impl<'a> DryRun<'a> {
    /// Tries what helm would do to the release, by this method and under this name
    /// of a field manager: that of its binary; else the one under which it applied
    /// each object.
    pub fn new(
        client: &'a Client,
        release: &'a ReleaseId,
        kinds: Kinds,
        method: Method,
        manager: Option<String>,
    ) -> Self {
        Self {
            client,
            release,
            kinds,
            method,
            manager,
        }
    }

    /// The object's name with the namespace that it lies in; none for one that lies
    /// in no namespace.
    pub fn place(&self, object: &ObjectRef) -> ObjectRef {
        let mut object = object.clone();
        match self.kinds.is_namespaced(&object) {
            Some(false) => object.namespace = None,
            _ => object = object.within(&self.release.namespace),
        }
        object
    }

    /// The object as it is; none where it is not there.
    pub async fn live(&self, object: &ObjectRef) -> Result<Option<Value>> {
        let Some(api) = self.api(object) else {
            return Ok(None);
        };
        let what = "the release's objects cannot be read";
        within(what, async {
            match api.get_opt(&object.name).await {
                Ok(found) => Ok(found.and_then(|found| serde_json::to_value(found).ok())),
                Err(error) => Err(failed(what, &error)),
            }
        })
        .await
    }

    /// What would become of the object: `wanted` as it is rendered. An error only
    /// where the API server does not answer.
    pub async fn applied(&self, wanted: &Value, basis: Basis<'_>) -> Result<Forecast> {
        let object = self.place(&ObjectRef::of(wanted));
        if object.name.is_empty() {
            return Ok(Forecast::Untold(
                "it gets its name only when it is made".to_owned(),
            ));
        }
        let Some(api) = self.api(&object) else {
            return Ok(Forecast::Untold("its kind is not served yet".to_owned()));
        };
        let target = owned(wanted, self.release, object.namespace.as_deref());
        let what = "the release's objects cannot be tried";
        within(what, async {
            let live = match api.get_opt(&object.name).await {
                Ok(live) => live,
                Err(KubeError::Api(status)) => {
                    return Ok(Forecast::Untold(untold(
                        "it cannot be read",
                        &status,
                        &object,
                    )));
                }
                Err(error) => return Err(failed(what, &error)),
            };
            let Some(live) = live.and_then(|live| serde_json::to_value(live).ok()) else {
                let made = self.create(&api, &object, &target).await;
                return answered(&object, made, what, |_| Forecast::Created);
            };
            if let Some(why) = self.foreign(&live, basis) {
                return Ok(Forecast::Refused(why));
            }
            let Some(patch) = self.patch(&object, &target, basis, &live) else {
                return Ok(Forecast::Stays(live));
            };
            let params = self.params(Some(&live));
            let tried = api.patch(&object.name, &params, &patch).await;
            answered(&object, tried, what, |then| {
                let then = serde_json::to_value(then).unwrap_or_default();
                Forecast::Becomes { live, then }
            })
        })
        .await
    }

    /// The same of many, each with its name, in their order.
    pub async fn all(
        &self,
        wanted: Vec<(&Value, Basis<'_>)>,
    ) -> Result<Vec<(ObjectRef, Forecast)>> {
        let tried = wanted.into_iter().map(async |(value, basis)| {
            let object = self.place(&ObjectRef::of(value));
            Ok((object, self.applied(value, basis).await?))
        });
        stream::iter(tried).buffered(AT_ONCE).try_collect().await
    }

    /// What would become of an object that the chart names no more.
    pub async fn removed(&self, object: &ObjectRef) -> Result<Removal> {
        let live = self.live(&self.place(object)).await?;
        Ok(match live {
            None => Removal::Gone,
            Some(live) if live.pointer(POLICY) == Some(&json!("keep")) => Removal::Kept,
            Some(_) => Removal::Removed,
        })
    }

    fn api(&self, object: &ObjectRef) -> Option<Api<DynamicObject>> {
        let (resource, namespaced) = self.kinds.resource(object)?;
        Some(match (namespaced, &object.namespace) {
            (true, Some(namespace)) => {
                Api::namespaced_with(self.client.clone(), namespace, resource)
            }
            _ => Api::all_with(self.client.clone(), resource),
        })
    }

    async fn create(
        &self,
        api: &Api<DynamicObject>,
        object: &ObjectRef,
        target: &Value,
    ) -> kube::Result<DynamicObject> {
        if self.method == Method::Server {
            let patch = Patch::Apply(target);
            return api.patch(&object.name, &self.params(None), &patch).await;
        }
        let made = serde_json::from_value(target.clone()).map_err(KubeError::SerdeError)?;
        let params = PostParams {
            dry_run: true,
            field_manager: Some(self.field_manager(None)),
        };
        api.create(&params, &made).await
    }

    fn field_manager(&self, live: Option<&Value>) -> String {
        let of_object = || managers::helm_of(live?);
        let named = self.manager.clone().or_else(of_object);
        named.unwrap_or_else(|| managers::HELM.to_owned())
    }

    fn params(&self, live: Option<&Value>) -> PatchParams {
        let params = PatchParams {
            dry_run: true,
            field_manager: Some(self.field_manager(live)),
            ..PatchParams::default()
        };
        match self.method {
            Method::Server => params.force(),
            Method::Client => params,
        }
    }

    /// The patch that helm sends; none where it sends none.
    fn patch(
        &self,
        object: &ObjectRef,
        target: &Value,
        basis: Basis<'_>,
        live: &Value,
    ) -> Option<Patch<Value>> {
        if self.method == Method::Server {
            return Some(Patch::Apply(target.clone()));
        }
        if is_merged_strategically(object) {
            let before = match basis {
                Basis::Render(before) => before,
                Basis::Nothing | Basis::Itself => target,
            };
            return patch::three_way(before, target, live).map(Patch::Strategic);
        }
        match basis {
            Basis::Render(before) => patch::two_way(before, target).map(Patch::Merge),
            Basis::Nothing => None,
            Basis::Itself => Some(Patch::Merge(target.clone())),
        }
    }

    /// Why helm would not take over an object that is there: it is another's.
    fn foreign(&self, live: &Value, basis: Basis<'_>) -> Option<String> {
        let Basis::Nothing = basis else {
            return None;
        };
        let is = |pointer: &str, wanted: &str| {
            live.pointer(pointer).and_then(Value::as_str) == Some(wanted)
        };
        let own = is("/metadata/labels/app.kubernetes.io~1managed-by", "Helm")
            && is(
                "/metadata/annotations/meta.helm.sh~1release-name",
                &self.release.name,
            )
            && is(
                "/metadata/annotations/meta.helm.sh~1release-namespace",
                &self.release.namespace,
            );
        (!own).then(|| {
            "it is there already and is not this release's, so helm would not take it over"
                .to_owned()
        })
    }
}

/// Where helm's annotation stands that keeps an object.
const POLICY: &str = "/metadata/annotations/helm.sh~1resource-policy";

/// Whether helm knows the kind's fields: those of client-go's scheme.
fn is_merged_strategically(object: &ObjectRef) -> bool {
    is_kubernetes_group(object.group()) && object.group() != "apiregistration.k8s.io"
}

/// The object as helm sends it: in its namespace, and with the marks by which helm
/// knows its own.
fn owned(object: &Value, release: &ReleaseId, namespace: Option<&str>) -> Value {
    let mut object = object.clone();
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
        return object;
    };
    if let Some(namespace) = namespace {
        metadata.insert("namespace".to_owned(), json!(namespace));
    }
    let marks = [
        ("labels", "app.kubernetes.io/managed-by", "Helm"),
        ("annotations", "meta.helm.sh/release-name", &release.name),
        (
            "annotations",
            "meta.helm.sh/release-namespace",
            &release.namespace,
        ),
    ];
    for (field, name, value) in marks {
        let all = metadata.entry(field).or_insert_with(|| json!({}));
        if !all.is_object() {
            *all = json!({});
        }
        if let Some(all) = all.as_object_mut() {
            all.insert(name.to_owned(), json!(value));
        }
    }
    object
}

/// What an answer means; an error where there is none.
fn answered(
    object: &ObjectRef,
    answer: kube::Result<DynamicObject>,
    what: &str,
    good: impl FnOnce(DynamicObject) -> Forecast,
) -> Result<Forecast> {
    match answer {
        Ok(then) => Ok(good(then)),
        Err(KubeError::Api(status)) => Ok(refused(&status, object, is_secret(object))),
        Err(error) => Err(failed(what, &error)),
    }
}
