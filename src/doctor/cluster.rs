//! The cluster and what is there of an app's release: whether it can be reached,
//! whose clock is right, which rights are granted, what an earlier helm left. It
//! only looks.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::Client;
use kube::core::{GroupVersionKind, Request};

use super::finding::Finding;
use super::holders;
use super::rights::{self, Usage};
use crate::cluster::client::{PATIENCE, connect};
use crate::cluster::discovery::{self, NamespacePresence};
use crate::cluster::rights::{granted, user};
use crate::error::Result;
use crate::helm::kubernetes;
use crate::manifest::{Object, ObjectRef};
use crate::plan::Plan;
use crate::plan::access::{Purpose, Right, Scope};
use crate::release::record::{Driver, Record};
use crate::release::recovery::{RecoveryContext, RecoveryDecision, decide};
use crate::release::{judgement, store};
use crate::run::{self, Timestamp};
use crate::signal::ImageRef;
use crate::state::lock;

/// How far off a clock is worth a warning, and how far it fails tokens and
/// certificates.
const ASTRAY: Duration = Duration::from_secs(30);
const WRONG: Duration = Duration::from_secs(300);

/// The oldest Kubernetes minor of version 1 whose APIs are asked for in one go.
const OLDEST: u64 = 26;

/// Reaches the cluster; none where nothing further can be asked.
pub(super) async fn reach(
    plan: &Plan,
    helm: Option<&semver::Version>,
) -> (Option<Client>, Vec<Finding>) {
    let reached = async {
        let client = connect(plan).await?;
        let capabilities = discovery::capabilities(&client).await?;
        Ok::<_, crate::Error>((client, capabilities))
    };
    let (client, capabilities) = match reached.await {
        Ok(reached) => reached,
        Err(error) => return (None, vec![Finding::failed("cluster", &error)]),
    };
    let mut found = vec![server(&capabilities.version, helm)];
    if let Some(time) = date(&client).await {
        found.push(clock(time, run::now()));
    }
    (Some(client), found)
}

/// Whether this Kubernetes is one that deploy and helm are made for.
fn server(version: &str, helm: Option<&semver::Version>) -> Finding {
    let check = "cluster";
    let seen = format!("Kubernetes {version} answers");
    let minor = version.trim_start_matches('v').split('.').nth(1);
    let Some(minor) = minor.and_then(|minor| minor.parse::<u64>().ok()) else {
        return Finding::ok(check, seen);
    };
    if minor < OLDEST {
        return Finding::warn(check, format!("{seen}; it is older than 1.{OLDEST}"))
            .fix("upgrade it: neither deploy nor a supported helm is tested with it");
    }
    let made_for = helm.and_then(|helm| Some((helm, kubernetes(helm)?)));
    match made_for.filter(|(_, minors)| !minors.contains(&minor)) {
        Some((helm, minors)) => Finding::warn(
            check,
            format!(
                "{seen}; helm {helm} is made for 1.{} to 1.{}",
                minors.start(),
                minors.end()
            ),
        )
        .fix(if minor > *minors.end() {
            "install a newer helm, or name one in deploy.toml: helm = \"/path/to/helm\""
        } else {
            "upgrade the cluster, or name an older helm in deploy.toml: helm = \"/path/to/helm\""
        }),
        None => Finding::ok(check, seen),
    }
}

/// The time that the API server sends with any answer.
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

fn clock(cluster: Timestamp, node: Timestamp) -> Finding {
    let apart = Duration::try_from(node.duration_since(cluster).abs()).unwrap_or_default();
    let way = if node < cluster { "behind" } else { "ahead of" };
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
pub(super) struct ReleaseFindings {
    pub(super) findings: Vec<Finding>,
    /// The images of the last revision that come from GHCR.
    pub(super) images: Vec<ImageRef>,
}

/// Looks at an app's namespace, the rights there and its records.
pub(super) async fn release(client: &Client, plan: &Plan) -> ReleaseFindings {
    let mut found = ReleaseFindings::default();
    let driver = match Driver::of(&plan.environment) {
        Ok(driver) => driver,
        Err(error) => {
            found.findings.push(Finding::failed("release", &error));
            return found;
        }
    };
    let records = store::list(client, driver, &plan.release).await;
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
    let holders = holders::look(client, plan).await;
    found.findings.push(match &records {
        Ok(records) => pending(plan, records, !holders.is_empty()),
        Err(error) => Finding::failed("release", error),
    });
    found.findings.extend(holders);
    found
}

async fn permissions(
    client: &Client,
    plan: &Plan,
    driver: Driver,
    objects: &[Object],
) -> Result<Finding> {
    let check = "rights";
    let namespace = plan.release.namespace.as_str();
    let creates_namespace =
        discovery::namespace(client, namespace).await? == NamespacePresence::Absent;
    let names: Vec<ObjectRef> = objects
        .iter()
        .map(|object| object.reference.clone())
        .collect();
    let resources = resources(client, plan, &names).await;
    let used = rights::used(&Usage {
        driver,
        objects: &names,
        resources: &resources,
        creates_namespace,
    });
    let asked: Vec<Right> = used.keys().cloned().collect();
    let answers = granted(client, namespace, &asked).await?;
    let missing: Vec<(&Right, &BTreeSet<Purpose>)> = used
        .iter()
        .zip(answers)
        .filter(|(_, granted)| !granted)
        .map(|(right, _)| right)
        .collect();
    if missing.is_empty() {
        return Ok(Finding::ok(
            check,
            format!(
                "all {} that a deploy uses in namespace {namespace}",
                asked.len()
            ),
        ));
    }
    if missing.iter().any(|(right, _)| is_creation(right)) {
        return Ok(Finding::fail(
            check,
            format!(
                "there is no namespace {namespace}, and the kubeconfig's user has no right to create it"
            ),
        )
        .fix(format!(
            "as its administrator: kubectl create namespace {namespace}"
        )));
    }
    let account = user(client).await.unwrap_or_else(|| "USER".to_owned());
    let rights = missing.iter().map(|(right, _)| *right);
    let grant = rights::grant(&plan.release, &account, rights);
    let lacks = lacks(check, namespace, &missing);
    Ok(lacks.fix(format!("as an administrator: {grant}")))
}

/// What a deploy cannot do without these rights, or only does worse.
fn lacks(
    check: &'static str,
    namespace: &str,
    missing: &[(&Right, &BTreeSet<Purpose>)],
) -> Finding {
    let needed = missing.iter();
    let needed = needed.filter(|(_, purposes)| rights::is_needed(purposes));
    let needed: Vec<&Right> = needed.map(|(right, _)| *right).collect();
    let lacks = format!("in namespace {namespace} the kubeconfig's user has no right to");
    if !needed.is_empty() {
        return Finding::fail(check, format!("{lacks} {}", rights::listed(needed)));
    }
    let list = rights::listed(missing.iter().map(|(right, _)| *right));
    let losses = missing.iter().flat_map(|(_, purposes)| purposes.iter());
    let losses: BTreeSet<Purpose> = losses.copied().collect();
    let losses: Vec<&str> = losses.into_iter().map(Purpose::loss).collect();
    let losses = losses.join("; ");
    Finding::warn(
        check,
        format!("{lacks} {list}: a deploy works, but {losses}"),
    )
}

/// Whether it is the right to create the release's namespace.
fn is_creation(right: &Right) -> bool {
    right.scope == Scope::Cluster && right.resource == "namespaces"
}

/// Group and plural of the objects' kinds in the release's own namespace.
async fn resources(
    client: &Client,
    plan: &Plan,
    objects: &[ObjectRef],
) -> BTreeSet<(String, String)> {
    let own = |object: &&ObjectRef| {
        object
            .namespace
            .as_ref()
            .is_none_or(|namespace| *namespace == plan.release.namespace)
    };
    let kinds: BTreeSet<(&str, &str)> = objects
        .iter()
        .filter(own)
        .map(|object| (object.api_version.as_str(), object.kind.as_str()))
        .collect();
    let mut found = BTreeSet::new();
    for (api_version, kind) in kinds {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let kind = GroupVersionKind::gvk(group, version, kind);
        let asked = tokio::time::timeout(PATIENCE, kube::discovery::pinned_kind(client, &kind));
        // A kind that is gone, or one of the whole cluster, takes no right here.
        if let Ok(Ok((resource, about))) = asked.await
            && about.scope == kube::discovery::Scope::Namespaced
        {
            found.insert((resource.group, resource.plural));
        }
    }
    found
}

/// What an earlier helm left, or one does that is `at_work`.
fn pending(plan: &Plan, records: &[Record], at_work: bool) -> Finding {
    let check = "release";
    let release = &plan.release;
    let Some(last) = records.last() else {
        return Finding::ok(
            check,
            format!("{release} is not there yet: the next deploy installs it"),
        );
    };
    let (revision, status) = (last.revision, last.status.name());
    let facts = RecoveryContext {
        helm: lock::last_helm_of(&plan.state, release),
        now: run::now(),
        stale_after: plan.stale_after,
    };
    let seen = format!("{release} revision {revision} is {status}");
    if judgement::last_not_judged(records).is_some() && !at_work {
        return Finding::warn(
            check,
            format!("{seen}, but the deploy that waited for its workloads was interrupted"),
        )
        .fix("send the signal again: the next deploy judges it first");
    }
    if !last.status.is_pending() || at_work {
        return Finding::ok(check, seen);
    }
    if !matches!(decide(records, &facts), RecoveryDecision::Wait(_)) {
        return Finding::warn(check, format!("{seen}: its helm was killed"))
            .fix("send the signal again: the next deploy settles it");
    }
    let cure = match judgement::last_good(records) {
        Some(good) => format!(
            "helm rollback {} {} --namespace {}",
            release.name, good.revision, release.namespace
        ),
        None => format!(
            "kubectl --namespace {} delete secret {}",
            release.namespace,
            store::name(release, revision)
        ),
    };
    Finding::fail(
        check,
        format!("{seen}: a helm that no deploy of this node started can still be at work"),
    )
    .fix(format!(
        "wait for that helm; if there is none any more: {cure}"
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{clock, server};
    use crate::doctor::Severity;
    use crate::run::Timestamp;

    #[test]
    fn a_server_is_held_against_helm() {
        let helm = "3.14.4".parse().unwrap();
        for (version, level, says) in [
            ("v1.29.3", Severity::Ok, "v1.29.3 answers"),
            ("v1.26.0+k3s1", Severity::Ok, "answers"),
            (
                "v1.34.4",
                Severity::Warn,
                "helm 3.14.4 is made for 1.26 to 1.29",
            ),
            ("v1.25.0", Severity::Warn, "older than 1.26"),
            ("vendor", Severity::Ok, "answers"),
        ] {
            let finding = server(version, Some(&helm));
            assert_eq!(finding.level, level, "{version}");
            assert!(finding.found.contains(says), "{}", finding.found);
        }
        assert_eq!(server("v1.34.4", None).level, Severity::Ok);
    }

    #[test]
    fn a_clock_is_judged_by_how_far_it_is_off() {
        let cluster: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
        for (node, level, said) in [
            ("2026-11-24T10:00:29Z", Severity::Ok, "the same time"),
            ("2026-11-24T10:00:31Z", Severity::Warn, "31 s ahead of"),
            ("2026-11-24T09:55:00Z", Severity::Fail, "300 s behind"),
        ] {
            let finding = clock(cluster, node.parse().unwrap());
            assert_eq!(finding.level, level);
            assert!(finding.found.contains(said), "{finding}");
        }
    }
}
