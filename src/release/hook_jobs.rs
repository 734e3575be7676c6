//! Jobs of hooks that outlive the helm that made them.
//!
//! Which ones there can be is read from the record, purely; the rest works on the
//! cluster. A Job that still runs is only waited for; one of which no container ever
//! ran is removed, and one that has ended only where helm would fail to create the
//! next one. It must never touch anything but a Job of the group `batch` that carries
//! helm's hook annotation.

use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, ListParams, LogParams, Preconditions};
use kube::runtime::wait::await_condition;
use kube::{Client, Resource, ResourceExt as _};
use tokio::time::Instant;

use crate::cluster::client::{PATIENCE, failed, within};
use crate::error::{Error, Kind, Result};
use crate::manifest::{Object, ObjectRef};
use crate::release::job_start::{self, Start};
use crate::release::record::{Hook, Record};
use crate::text;

/// How often a Job is asked for where there is no right to watch it.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// How long a Job may stand where a container can have begun that the kubelet has not
/// told of. It tells within seconds; a pull or a volume can take for ever, and then no
/// container ran.
const UNCLEAR: Duration = Duration::from_secs(30);

/// The lines that are kept of a removed Job's log.
const LOG_LINES: i64 = 50;

/// A Job that a hook of a revision made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// The Job, with its namespace.
    pub job: ObjectRef,
    /// Whether helm leaves it where it is and then fails to create the next one
    /// (`hookHasDeletePolicy` in `pkg/action/hooks.go`: none means
    /// before-hook-creation).
    pub in_the_way: bool,
}

/// The Jobs that the revision's hooks can have left. Pure.
pub fn of(record: &Record, namespace: &str) -> Vec<Leftover> {
    let leftover = |hook: &Hook| {
        Some(Leftover {
            job: job(hook)?.within(namespace),
            in_the_way: !hook.delete_policies.is_empty()
                && !hook
                    .delete_policies
                    .iter()
                    .any(|policy| policy == "before-hook-creation"),
        })
    };
    let hooks = record.hooks.iter().filter(|hook| !hook.is_test());
    hooks.filter_map(leftover).collect()
}

/// The hook's object, where it is a Job. A record has a hook's kind without its
/// group, and other groups have Jobs, too (`batch.volcano.sh`). Where the manifest
/// cannot be read the record's word counts: two Jobs that overlap are worse than
/// one that is looked for and not there.
fn job(hook: &Hook) -> Option<ObjectRef> {
    if hook.kind != "Job" {
        return None;
    }
    let parsed = Object::parse(&hook.manifest).ok();
    let object = parsed.and_then(|objects| Some(objects.into_iter().next()?.reference));
    let job = object.unwrap_or_else(|| ObjectRef {
        api_version: "batch/v1".to_owned(),
        kind: "Job".to_owned(),
        namespace: None,
        name: hook.name.clone(),
    });
    job.is("batch", "Job").then_some(job)
}

impl Leftover {
    fn api<K>(&self, client: &Client) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        let namespace = self.job.namespace.as_deref().unwrap_or_default();
        Api::namespaced(client.clone(), namespace)
    }

    /// The Job, where it is there and a hook's. One that the user has no right to
    /// read counts as one that is not there.
    pub async fn find(&self, client: &Client) -> Result<Option<Job>> {
        let api = self.api::<Job>(client);
        let found = async {
            match api.get_opt(&self.job.name).await {
                Ok(found) => Ok(found),
                Err(kube::Error::Api(status)) if status.code == 403 => Ok(None),
                Err(error) => Err(failed("the Job of a hook cannot be read", &error)),
            }
        };
        let found = within("the Job of a hook cannot be read", found).await?;
        Ok(found.filter(|job| job.annotations().contains_key("helm.sh/hook")))
    }

    /// Waits until the Job has ended or is gone. [`Kind::Locked`] at `deadline`.
    pub async fn wait(&self, client: &Client, deadline: Instant) -> Result<()> {
        let api = self.api::<Job>(client);
        let ended = |job: Option<&Job>| job.is_none_or(has_ended);
        self.until(&api, ended, deadline).await
    }

    /// Waits until the Job is as wanted. [`Kind::Locked`] at `deadline`.
    async fn until(
        &self,
        api: &Api<Job>,
        wanted: impl Fn(Option<&Job>) -> bool,
        deadline: Instant,
    ) -> Result<()> {
        let watched = async {
            while await_condition(api.clone(), &self.job.name, &wanted)
                .await
                .is_err()
            {
                tokio::time::sleep(ASK_AGAIN).await;
                match api.get_opt(&self.job.name).await {
                    Ok(job) if wanted(job.as_ref()) => return,
                    _ => {}
                }
            }
        };
        tokio::time::timeout_at(deadline, watched)
            .await
            .map_err(|_| {
                let job = &self.job;
                let namespace = job.namespace.as_deref().unwrap_or_default();
                Error::new(
                    Kind::Locked,
                    format!("{job}, a hook of an interrupted deploy, still runs, and two must not overlap"),
                )
                .detail(format!("it lies in namespace {namespace}; the whole budget was spent on waiting for it"))
                .hint(format!(
                    "send the signal again when it has ended, or end it: kubectl --namespace {namespace} delete job {}",
                    job.name
                ))
            })
    }

    /// Removes a Job that has ended; gives the end of its log, for the evidence.
    pub async fn remove(&self, client: &Client, job: &Job) -> Result<Vec<String>> {
        let log = self.log(client).await;
        let what = "the hook's Job, which has ended, cannot be removed";
        self.delete(client, job, DeleteParams::background(), what)
            .await?;
        Ok(log)
    }

    /// Whether a container of the Job's pods has ever run. What is not known yet is
    /// asked for again, for [`UNCLEAR`] at most; pods that cannot be read have run, since
    /// two that overlap are worse than one that is waited for.
    pub async fn has_run(&self, client: &Client, job: &Job) -> bool {
        let own = self.pods();
        let read = self.api::<Pod>(client);
        let settled = Instant::now() + UNCLEAR;
        let active = job.status.as_ref().and_then(|status| status.active);
        loop {
            let Ok(Ok(pods)) = tokio::time::timeout(PATIENCE, read.list(&own)).await else {
                return true;
            };
            match job_start::of(job, &pods.items) {
                Start::Begun => return true,
                Start::Impossible => return false,
                // Pods that the Job counts and that do not show may run all the same.
                Start::Unclear if Instant::now() >= settled => {
                    return pods.items.is_empty() && active > Some(0);
                }
                Start::Unclear => tokio::time::sleep(ASK_AGAIN).await,
            }
        }
    }

    /// Removes a Job of which no container ever ran, and waits until its pods are gone,
    /// so that none can begin beside the next one. [`Kind::Locked`] at `deadline`.
    pub async fn remove_unstarted(
        &self,
        client: &Client,
        job: &Job,
        deadline: Instant,
    ) -> Result<()> {
        let what = "the hook's Job, of which no container ever ran, cannot be removed";
        self.delete(client, job, DeleteParams::foreground(), what)
            .await?;
        let uid = job.uid();
        let api = self.api::<Job>(client);
        let gone = |found: Option<&Job>| found.is_none_or(|found| found.uid() != uid);
        self.until(&api, gone, deadline).await
    }

    /// Deletes exactly this Job; one that is gone or another by now is no error.
    async fn delete(
        &self,
        client: &Client,
        job: &Job,
        how: DeleteParams,
        what: &'static str,
    ) -> Result<()> {
        let api = self.api::<Job>(client);
        let only = how.preconditions(Preconditions {
            resource_version: None,
            uid: job.uid(),
        });
        let removed = async {
            match api.delete(&self.job.name, &only).await {
                Ok(_) => Ok(()),
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
                Err(error) => Err(failed(what, &error)),
            }
        };
        within(what, removed).await
    }

    /// The Job's pods.
    fn pods(&self) -> ListParams {
        ListParams::default().labels(&format!("batch.kubernetes.io/job-name={}", self.job.name))
    }

    /// The last lines of the Job's pods, escaped; nothing where they cannot be had.
    async fn log(&self, client: &Client) -> Vec<String> {
        let api = self.api::<Pod>(client);
        let own = self.pods();
        let mut lines = Vec::new();
        let work = async {
            let pods = api
                .list(&own)
                .await
                .map(|list| list.items)
                .unwrap_or_default();
            for pod in pods.iter().take(3) {
                let some = LogParams {
                    tail_lines: Some(LOG_LINES),
                    limit_bytes: Some(64 * 1024),
                    ..LogParams::default()
                };
                let log = api.logs(&pod.name_any(), &some).await.unwrap_or_default();
                lines.push(format!("log of {}:", pod.name_any()));
                lines.extend(
                    log.lines()
                        .map(|line| text::line(line, text::LINE).into_owned()),
                );
            }
        };
        let _ = tokio::time::timeout(PATIENCE / 6, work).await;
        lines
    }
}

/// Whether a Job has completed or failed.
pub fn has_ended(job: &Job) -> bool {
    let conditions = job
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| {
        condition.status == "True" && matches!(condition.type_.as_str(), "Complete" | "Failed")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::{has_ended, of};
    use crate::release::record::read;

    #[test]
    fn only_jobs_that_helm_does_not_replace_are_in_the_way() {
        let hook = |name: &str, kind: &str, event: &str, policies: &[&str], namespace: &str| {
            let manifest = format!(
                "apiVersion: batch/v1\nkind: {kind}\nmetadata:\n  name: {name}\n{namespace}"
            );
            json!({"name": name, "kind": kind, "manifest": manifest, "events": [event], "delete_policies": policies})
        };
        let mut foreign = hook("foreign", "Job", "pre-install", &["hook-succeeded"], "");
        foreign["manifest"] = json!("apiVersion: batch.volcano.sh/v1alpha1\nkind: Job\n");
        let record = read(json!({"version": 1, "hooks": [
            hook("plain", "Job", "pre-upgrade", &[], ""),
            hook("before", "Job", "pre-upgrade", &["hook-succeeded", "before-hook-creation"], ""),
            hook("kept", "Job", "pre-install", &["hook-succeeded"], "  namespace: other\n"),
            foreign,
            hook("test", "Job", "test", &["hook-succeeded"], ""),
            hook("account", "ServiceAccount", "pre-install", &["hook-succeeded"], ""),
        ]}))
        .unwrap();
        let found: Vec<_> = of(&record, "prod")
            .into_iter()
            .map(|left| (left.job.namespace.unwrap(), left.job.name, left.in_the_way))
            .collect();
        let expected = [
            ("prod", "plain", false),
            ("prod", "before", false),
            ("other", "kept", true),
        ];
        assert_eq!(
            found,
            expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c))
        );
    }

    #[test]
    fn the_end_of_a_job() {
        for (status, ended) in [
            (json!({}), false),
            (json!({"active": 1}), false),
            (
                json!({"conditions": [{"type": "Suspended", "status": "True"}]}),
                false,
            ),
            (
                json!({"conditions": [{"type": "FailureTarget", "status": "True"}]}),
                false,
            ),
            (
                json!({"conditions": [{"type": "Complete", "status": "True"}]}),
                true,
            ),
            (
                json!({"conditions": [{"type": "Failed", "status": "True"}]}),
                true,
            ),
        ] {
            let job = serde_json::from_value(json!({"metadata": {}, "status": status})).unwrap();
            assert_eq!(has_ended(&job), ended, "{status}");
        }
    }
}
