//! What really runs: the images that the kubelets name (`imageID`), held against
//! those that the registry gave before anything was touched.
//!
//! The watch has shown the pods that stay once the workloads are Ready. Those of Jobs, and
//! bare pods, hooks among them, may be gone by then: of these it noted what they ran.
//! Only what ran for this revision counts: a Job that was there before, and the Jobs of
//! a `CronJob`, do not.
//!
//! One image has several digests: an index's, a platform's manifest's, its config's
//! where it was imported, and another manifest's of the same config. Where the
//! digests differ, the configs decide. What cannot be read is a warning, never a
//! rollback; another image is one, but for a node that has origins proven.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use oci_client::manifest::OciManifest;

use super::context::Run;
use super::failure::Failure;
use super::observed::ReleaseObservation;
use super::preflight::reader;
use crate::chart::{Placement, Proof};
use crate::cluster::pods;
use crate::error::{Problem, Result};
use crate::registry::artifacts::ArtifactReader;
use crate::rollout::{RanImage, ReleaseCache, WorkloadKind, WorkloadRef};
use crate::signal::{Digest, ImageKey};

/// The most manifests of one index that are read.
const LISTED: usize = 32;

/// How many lines are told.
const TOLD: usize = 10;

/// The config of each platform; of a single image the platform is empty.
type Configs = BTreeMap<String, Digest>;

/// Whether what runs is what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Match {
    Same,
    Other,
    Unknown,
}

/// A container that carries a key, and the digest that its kubelet names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Running {
    key: ImageKey,
    workload: String,
    container: String,
    digest: Digest,
}

/// Compares what runs once the workloads are Ready; `seen` is what was watched until
/// then.
pub(super) async fn check(
    run: &mut Run<'_>,
    found: &ReleaseObservation,
    proof: &Proof,
    seen: &ReleaseCache,
) -> Result<(), Failure> {
    let mut running = match run.unless_cancelled(running(run, found, proof, seen)).await {
        Ok(running) => running,
        Err(error) if matches!(error.kind(), crate::error::Kind::Cancelled(_)) => {
            return Err(error.into());
        }
        Err(error) => {
            run.events.warn(format!(
                "which images really run is not known, as what was deployed says: {error}"
            ));
            Vec::new()
        }
    };
    let (ran, unseen) = ran(&proof.placements, &run.plan.release.namespace, seen);
    running.extend(ran);
    for job in unseen {
        run.events.warn(format!(
            "{job}: which image it ran is not known: none of its pods was seen"
        ));
    }
    for one in &running {
        let digests = run.facts.running.entry(one.key.clone()).or_default();
        digests.insert(one.digest.clone());
    }
    let differing = running.into_iter().filter(|one| {
        let asked = run.facts.digests.get(&one.key);
        asked.is_some_and(|asked| *asked != one.digest)
    });
    let differing: BTreeSet<Running> = differing.collect();
    if differing.is_empty() {
        return Ok(());
    }
    let judged = run.unless_cancelled(async { Ok(judge(run, found, &differing).await) });
    let judged = judged.await?;
    for (one, _) in judged.iter().filter(|(_, how)| *how == Match::Unknown) {
        run.events.warn(format!(
            "{}, container {}: {} runs as {}, and what that is cannot be told from ghcr.io",
            one.workload, one.container, one.digest, one.key
        ));
    }
    let others = judged.into_iter().filter(|(_, how)| *how == Match::Other);
    let told = others.filter_map(|(one, _)| Some(line(one, run.facts.digests.get(&one.key)?)));
    let told: Vec<String> = told.collect();
    if run.plan.verify.is_none() {
        for line in told.iter().take(TOLD) {
            run.events.warn(line);
        }
        return Ok(());
    }
    let mut told = told.into_iter();
    match told.next() {
        None => Ok(()),
        Some(first) => Err(Failure::Rollout(
            Problem::new(first).details(told.take(TOLD)).hint(
                "a tag was moved, or a node or mirror has another image under it: send the digest, and let the chart take one",
            ),
        )),
    }
}

fn line(one: &Running, asked: &Digest) -> String {
    format!(
        "{}, container {}: another image runs as {}: {}, expected {asked}",
        one.workload, one.container, one.key, one.digest
    )
}

/// What the kubelets say of the containers that carry a key, as the watch brought it;
/// of a workload whose pods it has not shown all, as the cluster answers.
async fn running(
    run: &Run<'_>,
    found: &ReleaseObservation,
    proof: &Proof,
    seen: &ReleaseCache,
) -> Result<Vec<Running>> {
    let namespace = &run.plan.release.namespace;
    let (mut running, mut unseen) = (BTreeSet::new(), Vec::new());
    for placement in &proof.placements {
        let workload = workload(placement, namespace);
        match workload.and_then(|workload| seen.kept_images(&workload)) {
            Some(images) => running.extend(of_key(placement, &images)),
            None => unseen.push(placement),
        }
    }
    let unseen_in = |object: &crate::manifest::Object| {
        let own = unseen.iter().copied();
        let own = own.filter(|placement| placement.object == object.reference);
        own.collect::<Vec<&Placement>>()
    };
    let objects = proof
        .objects
        .iter()
        .filter(|object| object.hooks.is_empty() && !unseen_in(object).is_empty());
    let listed = pods::of_workloads(&found.cluster.client, namespace, objects).await?;
    for (object, pods) in listed {
        for placement in unseen_in(object) {
            let image = placement.image.to_string();
            let digests = pods.iter().flat_map(|pod| digests(pod, &image));
            running.extend(digests.map(|(container, digest)| Running {
                key: placement.key.clone(),
                workload: placement.title.clone(),
                container,
                digest,
            }));
        }
    }
    Ok(running.into_iter().collect())
}

/// The workload that a placement is in, where it is one that is watched.
fn workload(placement: &Placement, namespace: &str) -> Option<WorkloadRef> {
    WorkloadRef::of(&placement.object.clone().within(namespace))
}

/// Those of `images` that carry the placement's key.
fn of_key<'a>(
    placement: &'a Placement,
    images: impl IntoIterator<Item = &'a RanImage>,
) -> impl Iterator<Item = Running> {
    let asked = placement.image.to_string();
    let own = images.into_iter().filter(move |ran| ran.image == asked);
    own.filter_map(|ran| {
        Some(Running {
            key: placement.key.clone(),
            workload: placement.title.clone(),
            container: ran.container.clone(),
            digest: named(&ran.image_id)?,
        })
    })
}

/// What Jobs and bare pods ran that carry a key, and those Jobs that ran unseen.
fn ran(
    placements: &[Placement],
    namespace: &str,
    seen: &ReleaseCache,
) -> (Vec<Running>, BTreeSet<String>) {
    let (mut running, mut unseen) = (Vec::new(), BTreeSet::new());
    for placement in placements {
        let workload = workload(placement, namespace)
            .filter(|it| matches!(it.kind, WorkloadKind::Job | WorkloadKind::Pod));
        let Some(workload) = workload else {
            continue;
        };
        if seen.ran(&workload).next().is_none() && seen.has_run(&workload) {
            unseen.insert(placement.title.clone());
        }
        running.extend(of_key(placement, seen.ran(&workload)));
    }
    (running, unseen)
}

/// The containers of a pod that ask for this image, and what their kubelet names.
fn digests(pod: &Pod, image: &str) -> Vec<(String, Digest)> {
    let (Some(spec), Some(status)) = (&pod.spec, &pod.status) else {
        return Vec::new();
    };
    let statuses = [&status.container_statuses, &status.init_container_statuses];
    let statuses: Vec<&ContainerStatus> = statuses.into_iter().flatten().flatten().collect();
    let containers = spec
        .containers
        .iter()
        .chain(spec.init_containers.iter().flatten());
    let own = containers.filter(|container| container.image.as_deref() == Some(image));
    own.filter_map(|container| {
        let status = statuses
            .iter()
            .find(|status| status.name == container.name)?;
        Some((container.name.clone(), named(&status.image_id)?))
    })
    .collect()
}

/// The digest of an `imageID`: `ghcr.io/a/b@sha256:…`, `sha256:…`, and with a scheme
/// before, as dockershim wrote it.
fn named(image_id: &str) -> Option<Digest> {
    image_id.get(image_id.rfind("sha256:")?..)?.parse().ok()
}

/// Looks the configs up where the digests differ.
async fn judge<'a>(
    run: &Run<'_>,
    found: &ReleaseObservation,
    differing: &'a BTreeSet<Running>,
) -> Vec<(&'a Running, Match)> {
    let images = &run.plan.request.images;
    let own = match &found.origin {
        Some(_) => None,
        None => reader(run.plan).await.ok(),
    };
    let reader = found
        .origin
        .as_ref()
        .map(super::origin::OriginCheck::reader);
    let Some(reader) = reader.or(own.as_ref()) else {
        return differing.iter().map(|one| (one, Match::Unknown)).collect();
    };
    let nodes = found.cluster.platforms.as_ref();
    let judged = differing.iter().map(async |one| {
        let (Some(image), Some(asked)) = (images.get(&one.key), run.facts.digests.get(&one.key))
        else {
            return (one, Match::Unknown);
        };
        let repository = image.repository();
        let (asked, runs) = futures::join!(
            configs(reader, &repository, asked),
            configs(reader, &repository, &one.digest)
        );
        let how = asked.map_or(Match::Unknown, |(manifests, asked)| {
            compare(
                &manifests,
                &asked,
                &one.digest,
                runs.as_ref().map(|(_, of)| of),
                nodes,
            )
        });
        (one, how)
    });
    join_all(judged).await
}

/// The manifests of an image's platforms, and their configs; none where the registry
/// does not give them.
async fn configs(
    reader: &ArtifactReader,
    repository: &str,
    digest: &Digest,
) -> Option<(BTreeSet<Digest>, Configs)> {
    let index = match reader.at_digest(repository, digest).await.ok()?? {
        OciManifest::Image(image) => {
            let config = image.config.digest.parse().ok()?;
            let configs = BTreeMap::from([(String::new(), config)]);
            return Some((BTreeSet::new(), configs));
        }
        OciManifest::ImageIndex(index) => index,
    };
    let listed = index.manifests.into_iter().filter_map(|entry| {
        let platform = entry.platform?;
        let name = format!(
            "{}/{}/{}",
            platform.os,
            platform.architecture,
            platform.variant.unwrap_or_default()
        );
        let is_image = !name.contains("unknown");
        is_image.then_some((name, entry.digest.parse::<Digest>().ok()?))
    });
    let read = listed.take(LISTED).map(async |(name, digest)| {
        let manifest = reader.at_digest(repository, &digest).await.ok()??;
        let OciManifest::Image(image) = manifest else {
            return None;
        };
        Some((name, digest, image.config.digest.parse().ok()?))
    });
    let mut manifests = BTreeSet::new();
    let mut configs = Configs::new();
    for (name, digest, config) in join_all(read).await.into_iter().flatten() {
        manifests.insert(digest);
        configs.insert(name, config);
    }
    Some((manifests, configs))
}

/// Whether `runs`, a digest whose own configs are `its` where the registry has it, is
/// the image with these manifests and configs. Of two indexes the platforms count
/// that both have, and nodes.
fn compare(
    manifests: &BTreeSet<Digest>,
    asked: &Configs,
    runs: &Digest,
    its: Option<&Configs>,
    nodes: Option<&BTreeSet<String>>,
) -> Match {
    let is_config = |digest: &Digest| asked.values().any(|config| config == digest);
    if manifests.contains(runs) || is_config(runs) {
        return Match::Same;
    }
    let Some(its) = its else {
        return Match::Unknown;
    };
    if its.contains_key("") || asked.contains_key("") {
        let same = its.values().any(is_config);
        return if same { Match::Same } else { Match::Other };
    }
    let has_node = |platform: &str| {
        nodes.is_none_or(|nodes| {
            nodes
                .iter()
                .any(|node| platform.starts_with(&format!("{node}/")))
        })
    };
    let common = its.iter().filter(|(platform, _)| has_node(platform));
    let mut common = common.filter_map(|(platform, config)| Some((config, asked.get(platform)?)));
    match common.next() {
        None => Match::Unknown,
        Some((its, asked)) if its == asked && common.all(|(its, asked)| its == asked) => {
            Match::Same
        }
        Some(_) => Match::Other,
    }
}

#[cfg(test)]
#[path = "running_tests.rs"]
mod tests;
