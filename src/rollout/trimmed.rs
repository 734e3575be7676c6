//! Objects cut down while they are read: a list of a thousand pods never holds a
//! thousand whole pods, only their text and what is judged of them.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use super::model::Change;

/// A kind that is watched.
pub(super) trait Watched: Resource<DynamicType = ()> + DeserializeOwned {
    /// What it tells; none where nothing that is waited for owns it.
    fn change(self) -> Option<Change>;
}

macro_rules! watched {
    ($($kind:ty => |$object:ident| $change:expr;)*) => {
        $(impl Watched for $kind {
            fn change(self) -> Option<Change> {
                let $object = self;
                $change
            }
        })*
    };
}

watched! {
    Deployment => |object| Some(Change::Workload(object.into()));
    StatefulSet => |object| Some(Change::Workload(object.into()));
    DaemonSet => |object| Some(Change::Workload(object.into()));
    Job => |object| Some(Change::Workload(object.into()));
    ReplicaSet => |object| object.try_into().ok().map(Change::ReplicaSet);
    Pod => |object| Some(Change::Pod(Box::new(object.into())));
    Event => |object| Some(Change::Event(object.into()));
    PersistentVolumeClaim => |object| Some(Change::Claim(object.into()));
}

/// An object of kind `K` as far as it is judged.
pub(super) struct Trimmed<K> {
    /// Name, namespace and version alone.
    meta: ObjectMeta,
    /// What it tells.
    pub(super) change: Option<Change>,
    kind: PhantomData<fn() -> K>,
}

impl<K> Clone for Trimmed<K> {
    fn clone(&self) -> Self {
        Self {
            meta: self.meta.clone(),
            change: self.change.clone(),
            kind: PhantomData,
        }
    }
}

impl<K> fmt::Debug for Trimmed<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trimmed")
            .field("change", &self.change)
            .finish_non_exhaustive()
    }
}

impl<'de, K: Watched> Deserialize<'de> for Trimmed<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = K::deserialize(deserializer)?;
        let whole = object.meta_mut();
        let meta = ObjectMeta {
            name: whole.name.clone(),
            namespace: whole.namespace.clone(),
            resource_version: whole.resource_version.clone(),
            ..ObjectMeta::default()
        };
        Ok(Self {
            meta,
            change: object.change(),
            kind: PhantomData,
        })
    }
}

impl<K: Watched> Resource for Trimmed<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}
