//! The API of the hub, as far as Applications go.
//!
//! It changes Applications by the documents that it is given, and nothing else; what an
//! answer means for a deploy is decided above it, but for who owns a field.

use futures::{Stream, StreamExt as _};
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::Status;
use kube::runtime::watcher::watch_object;
use serde_json::Value;

use super::application::Application;
use super::owned;
use super::patch::{API_VERSION, MANAGER};
use crate::cluster::client::{connect, failed, within};
use crate::error::{Error, Kind, Result};
use crate::plan::Plan;
use crate::plan::fleet::{Fleet, TargetName};
use crate::text;

/// How many fields of a conflict are named.
const NAMED: usize = 5;

/// The cluster that Argo CD runs in.
#[derive(Clone)]
pub struct Hub {
    client: Client,
    api: Api<DynamicObject>,
    namespace: String,
}

/// An Application, as it is read and as it came.
#[derive(Clone, Debug)]
pub struct Found {
    /// As it is read.
    pub application: Application,
    /// As it came.
    pub object: Value,
}

/// Why the API server did not take a document.
#[derive(Debug)]
pub enum Refused {
    /// It is another than the one that the document was made for.
    Moved,
    /// Somebody else owns fields of it: who, and which.
    Owned(Vec<(String, String)>),
    /// All else.
    Failed(Error),
}

impl Hub {
    /// The hub of the plan's fleet. Nothing is asked of it yet.
    pub async fn connect(plan: &Plan, fleet: &Fleet) -> Result<Self> {
        // The plan's cluster is the hub.
        let client = connect(plan).await?;
        Ok(Self::new(client, &fleet.namespace))
    }

    /// The same with a client.
    pub fn new(client: Client, namespace: &str) -> Self {
        let (group, version) = API_VERSION.split_once('/').unwrap_or_default();
        let resource = ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version: API_VERSION.to_owned(),
            kind: "Application".to_owned(),
            plural: "applications".to_owned(),
        };
        Self {
            api: Api::namespaced_with(client.clone(), namespace, &resource),
            client,
            namespace: namespace.to_owned(),
        }
    }

    /// The client, for what is no Application.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The namespace of the Applications.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// An Application; none where it is not there.
    pub async fn get(&self, target: &TargetName) -> Result<Option<Found>> {
        let what = "the Application cannot be read";
        within(what, async {
            match self.api.get(target.as_str()).await {
                Ok(object) => found(object).map(Some),
                Err(kube::Error::Api(status)) if status.code == 404 => absent(&status),
                Err(error) => Err(failed(what, &error)),
            }
        })
        .await
    }

    /// Applies a document under a manager's name; tries it only, where `dry`. Where
    /// `force`, what others own is taken over: only for what `deploy` itself made.
    pub async fn apply(
        &self,
        target: &TargetName,
        document: &Value,
        params: &PatchParams,
    ) -> Result<Found, Refused> {
        let what = "the Application cannot be changed";
        let asked = async {
            let patch = Patch::Apply(document);
            Ok(self.api.patch(target.as_str(), params, &patch).await)
        };
        match within(what, asked).await.map_err(Refused::Failed)? {
            Ok(object) => found(object).map_err(Refused::Failed),
            Err(kube::Error::Api(status)) if status.code == 409 => Err(conflict(&status)),
            Err(error) => Err(Refused::Failed(failed(what, &error))),
        }
    }

    /// Merges a document into an Application, for what is no field of the spec's; bound
    /// to its state where the document names one.
    pub async fn merge(&self, target: &TargetName, document: &Value) -> Result<Found, Refused> {
        let what = "the Application cannot be changed";
        let params = PatchParams {
            field_manager: Some(format!("{MANAGER}-operation")),
            ..PatchParams::default()
        };
        let asked = async {
            let patch = Patch::Merge(document);
            Ok(self.api.patch(target.as_str(), &params, &patch).await)
        };
        match within(what, asked).await.map_err(Refused::Failed)? {
            Ok(object) => found(object).map_err(Refused::Failed),
            Err(kube::Error::Api(status)) if status.code == 409 => Err(conflict(&status)),
            Err(error) => Err(Refused::Failed(failed(what, &error))),
        }
    }

    /// Every state of an Application from now on; none where it is not there. After an
    /// error it goes on where it was, when it is asked again.
    pub fn watch(
        &self,
        target: &TargetName,
    ) -> impl Stream<Item = Result<Option<Found>>> + Send + use<> {
        watch_object(self.api.clone(), target.as_str()).map(|seen| match seen {
            Ok(Some(object)) => found(object).map(Some),
            Ok(None) => Ok(None),
            Err(error) => {
                let message = "the hub does not answer any more";
                Err(Error::new(Kind::Node, message).detail(text::line(&error.to_string(), 400)))
            }
        })
    }
}

fn found(object: DynamicObject) -> Result<Found> {
    let unread = |error| {
        Error::new(
            Kind::Node,
            "the Application is written in a form that is not known: Argo CD 2.9 to 3.x is",
        )
        .with_source(error)
    };
    let object = serde_json::to_value(object).map_err(unread)?;
    let application = Application::read(&object).map_err(unread)?;
    Ok(Found {
        application,
        object,
    })
}

/// Without its name, it is the kind that is not served.
fn absent(status: &Status) -> Result<Option<Found>> {
    let names = status
        .details
        .as_ref()
        .is_some_and(|details| !details.name.is_empty());
    if names {
        return Ok(None);
    }
    let message = "the hub knows no Applications: Argo CD is not installed there";
    Err(Error::new(Kind::Node, message)
        .hint("check argocd.kubeconfig and argocd.context in deploy.toml"))
}

/// What a conflict is about (`NewConflictError` in
/// `apimachinery/pkg/util/managedfields/internal/conflict.go`).
fn conflict(status: &Status) -> Refused {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let owned: Vec<(String, String)> = causes
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .map(|cause| {
            let manager = cause.message.split('"').nth(1).unwrap_or(&cause.message);
            let field = cause.field.trim_start_matches('.');
            (manager.to_owned(), field.to_owned())
        })
        .collect();
    if owned.is_empty() {
        Refused::Moved
    } else {
        Refused::Owned(owned)
    }
}

/// That somebody else owns fields, for people.
pub(super) fn told(owned: &[(String, String)], target: &TargetName, namespace: &str) -> Error {
    let field = |(manager, field): &(String, String)| {
        format!(
            "{} is owned by {}",
            text::line(field, text::VALUE),
            owned::named(manager)
        )
    };
    let mut fields = owned.iter().map(field);
    let first = fields.next().unwrap_or_default();
    Error::new(
        Kind::Policy,
        format!("somebody else owns what the signal says of the Application: {first}"),
    )
    .details(fields.take(NAMED))
    .hint("take the field out of that manifest, so that it says nothing of it")
    .hint(format!(
        "then hand it over, once: kubectl --namespace {namespace} apply --server-side --force-conflicts --field-manager={MANAGER} --filename FILE, where FILE is the Application {target} with these fields alone (docs/argocd.md)"
    ))
}

impl From<Refused> for Error {
    /// For whoever cannot try again.
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Failed(error) => error,
            Refused::Moved => Self::new(
                Kind::Node,
                "the Application changes faster than it can be written to",
            )
            .hint("see who writes to it: kubectl get application -o yaml --show-managed-fields"),
            Refused::Owned(owned) => {
                let (manager, field) = owned.into_iter().next().unwrap_or_default();
                Self::new(
                    Kind::Policy,
                    format!(
                        "{} is owned by {}",
                        text::line(&field, text::VALUE),
                        owned::named(&manager)
                    ),
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use kube::core::Status;
    use serde_json::json;

    use super::{Refused, absent, conflict, told};
    use crate::error::Kind;

    /// As Kubernetes 1.34 answers.
    fn status(value: &serde_json::Value) -> Status {
        serde_json::from_value(value.clone()).unwrap()
    }

    #[test]
    fn the_owner_is_told() {
        let answer = status(&json!({
            "status": "Failure", "code": 409, "reason": "Conflict",
            "message": "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using argoproj.io/v1alpha1: .spec.source.targetRevision",
            "details": {"causes": [{
                "reason": "FieldManagerConflict",
                "message": "conflict with \"kubectl-client-side-apply\" using argoproj.io/v1alpha1",
                "field": ".spec.source.targetRevision",
            }]},
        }));
        let Refused::Owned(owned) = conflict(&answer) else {
            panic!("{answer:?}")
        };
        let error = told(&owned, &"shop-eu".parse().unwrap(), "argocd");
        assert_eq!(error.kind(), Kind::Policy);
        assert_eq!(
            error.to_string(),
            "somebody else owns what the signal says of the Application: spec.source.targetRevision is owned by 'kubectl-client-side-apply' (kubectl apply, so a manifest of somebody's)"
        );
        let moved = status(&json!({"status": "Failure", "code": 409, "reason": "Conflict"}));
        assert!(matches!(conflict(&moved), Refused::Moved));
    }

    #[test]
    fn a_missing_kind_is_no_missing_application() {
        let named = json!({"code": 404, "details": {"name": "a"}});
        assert!(absent(&status(&named)).unwrap().is_none());
        let error = absent(&status(&json!({"code": 404}))).unwrap_err();
        assert!(error.to_string().contains("knows no Applications"));
    }
}
