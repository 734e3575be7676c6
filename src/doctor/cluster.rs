//! The cluster and what is there of an app's release: reachable, whose clock is
//! right, which rights we have, what an earlier helm left.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::Client;
use kube::core::{GroupVersionKind, Request};

use super::finding::Finding;
use super::rights::{self, Need};
use crate::chart::Object;
use crate::cluster::client::{PATIENCE, connect};
use crate::cluster::discovery::{self, Presence};
use crate::cluster::recovery::{Decision, Facts, decide};
use crate::cluster::rights as asked;
use crate::error::Result;
use crate::helm::records::{self, Driver, Record, Status};
use crate::plan::Plan;
use crate::signal::ImageRef;
use crate::state::{self, Timestamp, lock};

/// From where on a clock is told of, and from where on tokens and certificates fail.
const ASTRAY: Duration = Duration::from_secs(30);
const WRONG: Duration = Duration::from_secs(300);

/// The oldest Kubernetes minor of version 1 whose APIs are asked for in one go.
const OLDEST: u32 = 26;

/// Reaches the cluster; none where nothing further can be asked.
pub(super) async fn reach(plan: &Plan) -> (Option<Client>, Vec<Finding>) {
    let check = "cluster";
    let reached = async {
        let client = connect(plan).await?;
        let capabilities = discovery::capabilities(&client).await?;
        Ok::<_, crate::Error>((client, capabilities))
    };
    let (client, capabilities) = match reached.await {
        Ok(reached) => reached,
        Err(error) => return (None, vec![Finding::failed(check, &error)]),
    };
    let version = &capabilities.version;
    let minor = version
        .trim_start_matches('v')
        .split('.')
        .nth(1)
        .and_then(|minor| minor.parse::<u32>().ok());
    let mut found = vec![match minor {
        Some(minor) if minor < OLDEST => Finding::warn(
            check,
            format!("Kubernetes {version} answers; it is older than 1.{OLDEST}"),
        )
        .fix("upgrade it: neither a supported helm nor deploy is tried with it"),
        _ => Finding::ok(check, format!("Kubernetes {version} answers")),
    }];
    if let Some(theirs) = date(&client).await {
        found.push(clock(theirs, state::now()));
    }
    (Some(client), found)
}

/// The time that the API server tells with any answer.
async fn date(client: &Client) -> Option<Timestamp> {
    let request = Request::new("/api/v1/namespaces")
        .get("default", &kube::api::GetParams::default())
        .ok()?;
    let asked = client.send(request.map(Into::into));
    let answer = tokio::time::timeout(PATIENCE, asked).await.ok()?.ok()?;
    let date = answer.headers().get("date")?.to_str().ok()?;
    jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(date)
        .ok()
}

fn clock(theirs: Timestamp, ours: Timestamp) -> Finding {
    let apart = Duration::try_from(ours.duration_since(theirs).abs()).unwrap_or_default();
    let way = if ours < theirs { "behind" } else { "ahead of" };
    let seen = format!(
        "this node's clock is {} s {way} the cluster's",
        apart.as_secs()
    );
    let fix = "as root: timedatectl set-ntp true";
    if apart >= WRONG {
        Finding::fail(
            "clock",
            format!("{seen}: tokens and certificates count as expired, or not yet valid"),
        )
        .fix(fix)
    } else if apart >= ASTRAY {
        Finding::warn("clock", seen).fix(fix)
    } else {
        Finding::ok("clock", "the cluster has the same time")
    }
}

/// What was found of a release.
#[derive(Default)]
pub(super) struct Release {
    pub(super) findings: Vec<Finding>,
    /// The images of the last revision that come from GHCR.
    pub(super) images: Vec<ImageRef>,
}

/// Looks at an app's namespace, our rights there and its records.
pub(super) async fn release(client: &Client, plan: &Plan) -> Release {
    let mut found = Release::default();
    let driver = match Driver::of(&plan.environment) {
        Ok(driver) => driver,
        Err(error) => {
            found.findings.push(Finding::failed("release", &error));
            return found;
        }
    };
    let records = records::list(client, driver, &plan.namespace, &plan.release).await;
    let last = records.as_ref().ok().and_then(|records| records.last());
    let objects = last
        .and_then(|last| Object::parse(&last.documents()).ok())
        .unwrap_or_default();
    let containers = objects
        .iter()
        .filter(|object| !object.is_test())
        .flat_map(|object| &object.containers);
    let images: BTreeSet<ImageRef> = containers
        .filter_map(|container| container.image.parse().ok())
        .collect();
    found.images = images.into_iter().collect();
    found
        .findings
        .push(match permissions(client, plan, driver, &objects).await {
            Ok(finding) => finding,
            Err(error) => Finding::failed("rights", &error),
        });
    found.findings.push(match &records {
        Ok(records) => pending(plan, records),
        Err(error) => Finding::failed("release", error),
    });
    if let Some(holder) = lock::holder(&plan.state, &plan.namespace, &plan.release) {
        let gone = lock::started(holder.pid) != Some(holder.started);
        let who = if gone {
            "a helm that was left behind by "
        } else {
            ""
        };
        found.findings.push(
            Finding::warn("lock", format!("held by {who}{}", holder.line())).fix(format!(
                "wait for it: a deploy waits up to {} s",
                plan.lock_timeout.as_secs()
            )),
        );
    }
    found
}

async fn permissions(
    client: &Client,
    plan: &Plan,
    driver: Driver,
    objects: &[Object],
) -> Result<Finding> {
    let check = "rights";
    let namespace = plan.namespace.as_str();
    let may_make = [("create", "", "namespaces")];
    if discovery::namespace(client, namespace).await? == Presence::Absent
        && asked::ours(client, None, &may_make).await? == [false]
    {
        return Ok(Finding::fail(
            check,
            format!("there is no namespace {namespace}, and we may not make it"),
        )
        .fix(format!(
            "as its administrator: kubectl create namespace {namespace}"
        )));
    }
    let needs: Vec<Need> = rights::needs(driver, &resources(client, plan, objects).await)
        .into_iter()
        .collect();
    let rights: Vec<_> = needs
        .iter()
        .map(|need| (need.verb, need.group.as_str(), need.resource.as_str()))
        .collect();
    let allowed = asked::ours(client, Some(namespace), &rights).await?;
    let missing: BTreeSet<Need> = needs
        .iter()
        .zip(allowed)
        .filter(|(_, allowed)| !allowed)
        .map(|(need, _)| need.clone())
        .collect();
    let told = |missing: &BTreeSet<Need>| {
        let words: Vec<_> = missing
            .iter()
            .map(|need| format!("{} {}", need.verb, rights::name(need)))
            .collect();
        words.join(", ")
    };
    if missing.is_empty() {
        return Ok(Finding::ok(
            check,
            format!(
                "all {} that a deploy uses in namespace {namespace}",
                needs.len()
            ),
        ));
    }
    let user = asked::name(client)
        .await
        .unwrap_or_else(|| "USER".to_owned());
    let fix = format!(
        "as an administrator: {}",
        rights::grant(namespace, &user, &missing)
    );
    let must: BTreeSet<Need> = missing.iter().filter(|need| need.must).cloned().collect();
    Ok(if must.is_empty() {
        Finding::warn(
            check,
            format!(
                "in namespace {namespace} we may not {}: a deploy sees less of its rollout",
                told(&missing)
            ),
        )
    } else {
        Finding::fail(
            check,
            format!("in namespace {namespace} we may not {}", told(&must)),
        )
    }
    .fix(fix))
}

/// Group and plural of the manifest's kinds in the release's own namespace.
async fn resources(client: &Client, plan: &Plan, objects: &[Object]) -> BTreeSet<(String, String)> {
    let own = |object: &&Object| {
        object
            .namespace
            .as_ref()
            .is_none_or(|namespace| *namespace == plan.namespace)
    };
    let kinds: BTreeSet<(String, String)> = objects
        .iter()
        .filter(own)
        .map(|object| {
            let version = object
                .value
                .get("apiVersion")
                .and_then(serde_json::Value::as_str);
            (version.unwrap_or_default().to_owned(), object.kind.clone())
        })
        .collect();
    let mut found = BTreeSet::new();
    for (version, kind) in kinds {
        let (group, version) = version.split_once('/').unwrap_or(("", &version));
        let kind = GroupVersionKind::gvk(group, version, &kind);
        let asked = tokio::time::timeout(PATIENCE, kube::discovery::pinned_kind(client, &kind));
        // A kind that is gone, or one of the whole cluster, is no right in here.
        if let Ok(Ok((resource, about))) = asked.await
            && about.scope == kube::discovery::Scope::Namespaced
        {
            found.insert((resource.group, resource.plural));
        }
    }
    found
}

/// What an earlier helm left.
fn pending(plan: &Plan, records: &[Record]) -> Finding {
    let check = "release";
    let (namespace, release) = (&plan.namespace, &plan.release);
    let Some(last) = records.last() else {
        return Finding::ok(
            check,
            format!("{namespace}/{release} is not there yet: the next deploy installs it"),
        );
    };
    let (revision, status) = (last.revision, last.status.name());
    let facts = Facts {
        helm_began: lock::last_helm(&plan.state, namespace, release),
        now: state::now(),
        stale_after: plan.stale_after,
    };
    let seen = format!("{namespace}/{release} revision {revision} is {status}");
    if !last.status.is_pending() {
        return Finding::ok(check, seen);
    }
    if !matches!(decide(records, &facts), Decision::Wait(_)) {
        return Finding::warn(check, format!("{seen}: its helm was killed"))
            .fix("send the signal again: the next deploy settles it");
    }
    let served = |record: &&Record| matches!(record.status, Status::Deployed | Status::Superseded);
    let cure = match records.iter().rfind(served) {
        Some(good) => format!(
            "helm rollback {release} {} --namespace {namespace}",
            good.revision
        ),
        None => format!(
            "kubectl --namespace {namespace} delete secret sh.helm.release.v1.{release}.v{revision}"
        ),
    };
    Finding::fail(
        check,
        format!("{seen}: a helm that is not this node's may be at work"),
    )
    .fix(format!(
        "wait for that helm; if there is none any more: {cure}"
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::clock;
    use crate::doctor::Level;
    use crate::state::Timestamp;

    #[test]
    fn a_clock_is_judged_by_how_far_it_is_off() {
        let theirs: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
        for (ours, level, said) in [
            ("2026-11-24T10:00:29Z", Level::Ok, "the same time"),
            ("2026-11-24T10:00:31Z", Level::Warn, "31 s ahead of"),
            ("2026-11-24T09:55:00Z", Level::Fail, "300 s behind"),
        ] {
            let finding = clock(theirs, ours.parse().unwrap());
            assert_eq!(finding.level, level);
            assert!(finding.found.contains(said), "{finding}");
        }
    }
}
