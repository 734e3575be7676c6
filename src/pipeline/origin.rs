//! Has the origin of chart and images proven, where the node asks for it, before
//! anything is touched. An image of a tag alone is deployed by the digest that was
//! proven.

use std::collections::BTreeMap;

use futures::future::try_join_all;

use crate::error::{Error, Kind, Result};
use crate::event::{Origin, Proven};
use crate::plan::Plan;
use crate::provenance::{Artifact, Prover};
use crate::registry::artifacts::ArtifactReader;
use crate::registry::preflight::{ImageStatus, Preflight};
use crate::signal::{Digest, ImageKey, ImageRef, Tag};

/// The node asks for proofs of origin.
pub(super) struct OriginCheck {
    prover: Prover,
    reader: ArtifactReader,
}

impl OriginCheck {
    /// None where the node asks for no proof.
    pub(super) async fn of(plan: &Plan) -> Result<Option<Self>> {
        let Some(policy) = plan.verify.clone() else {
            return Ok(None);
        };
        let images = plan.request.images.values().map(ImageRef::repository);
        let repositories = images.chain([plan.request.chart.repository()]);
        let prover = Prover::new(policy)?;
        let reader = ArtifactReader::new(&plan.environment, repositories).await?;
        Ok(Some(Self { prover, reader }))
    }

    /// What reads beside the images.
    pub(super) const fn reader(&self) -> &ArtifactReader {
        &self.reader
    }

    /// Where the chart that helm pulled comes from.
    pub(super) async fn chart(&self, plan: &Plan, pulled: Option<&Digest>) -> Result<Origin> {
        let (chart, version) = (&plan.request.chart, &plan.request.version);
        let digest = pulled.cloned().ok_or_else(|| {
            let message = format!(
                "{chart} {version}: helm does not tell its digest, so that its signature cannot be looked up"
            );
            Error::new(Kind::Node, message).hint("use a helm that deploy supports: deploy doctor")
        })?;
        let artifact = Artifact {
            what: format!("{chart} {version}"),
            repository: chart.repository(),
            digest,
            is_named: false,
        };
        self.prover.prove(&self.reader, &artifact).await
    }

    /// The digest that an image's tag means now; none where there is none any more.
    pub(super) async fn digest_now(&self, image: &ImageRef, tag: &Tag) -> Result<Option<Digest>> {
        self.reader.digest(&image.repository(), tag.as_str()).await
    }

    /// Where each image comes from, by the digest that the registry gave.
    pub(super) async fn images(&self, found: &Preflight) -> Result<BTreeMap<ImageKey, Origin>> {
        found.certain()?;
        let mut asked = Vec::new();
        let mut artifacts: BTreeMap<(String, Digest), Artifact> = BTreeMap::new();
        for (key, image, verdict) in &found.verdicts {
            let ImageStatus::Found {
                digest: Some(digest),
                ..
            } = verdict
            else {
                let message = format!("{key}: {image}: ghcr.io does not tell its digest");
                return Err(Error::new(Kind::Registry, message)
                    .hint("send the digest: ghcr.io/<owner>/<path>@sha256:…"));
            };
            let artifact = Artifact {
                what: format!("{key}: {image}"),
                repository: image.repository(),
                digest: digest.clone(),
                is_named: image.digest().is_some(),
            };
            let one = (artifact.repository.clone(), digest.clone());
            asked.push((key.clone(), one.clone()));
            artifacts.entry(one).or_insert(artifact);
        }
        let proven = artifacts.into_iter().map(async |(one, artifact)| {
            let origin = self.prover.prove(&self.reader, &artifact).await?;
            Ok::<_, Error>((one, origin))
        });
        let proven: BTreeMap<_, _> = try_join_all(proven).await?.into_iter().collect();
        let of = |(key, one)| Some((key, proven.get(&one)?.clone()));
        Ok(asked.into_iter().filter_map(of).collect())
    }
}

/// The images by the digests that were proven, as they are to be deployed.
pub(super) fn by_digest(
    requested: &BTreeMap<ImageKey, ImageRef>,
    proven: &Proven,
) -> BTreeMap<ImageKey, ImageRef> {
    let pinned = |(key, image): (&ImageKey, &ImageRef)| {
        let image = match proven.images.get(key) {
            Some(origin) => image.by_digest(origin.digest.clone()),
            None => image.clone(),
        };
        (key.clone(), image)
    };
    requested.iter().map(pinned).collect()
}

/// What was proven, in one line for each way to prove it.
pub(super) fn told(proven: &Proven) -> Vec<String> {
    let mut names: BTreeMap<(&str, Option<&str>), Vec<String>> = BTreeMap::new();
    let chart = proven.chart.iter().map(|it| ("chart", it));
    let images = proven.images.iter().map(|(key, it)| (key.as_str(), it));
    for (name, origin) in chart.chain(images) {
        let way = (origin.by.as_str(), origin.commit.as_deref());
        names.entry(way).or_default().push(name.to_owned());
    }
    let line = |((by, commit), names): ((&str, Option<&str>), Vec<String>)| {
        let how = match commit {
            None => format!("signed by the {by}"),
            Some(commit) => format!("built by the {by} from commit {commit}"),
        };
        format!("origin proven of {}: {how}", names.join(", "))
    };
    names.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{BTreeMap, Origin, Proven, by_digest, told};
    use crate::signal::{ImageKey, ImageRef};

    fn origin(by: &str, of: char) -> Origin {
        let digest = format!("sha256:{}", of.to_string().repeat(64));
        Origin {
            by: by.to_owned(),
            commit: None,
            digest: digest.parse().unwrap(),
        }
    }

    #[test]
    fn what_was_proven_is_deployed_and_told() {
        let key = |name: &str| name.parse::<ImageKey>().unwrap();
        let mut built = origin("workflow a/b/.github/workflows/c.yml@refs/heads/main", 'd');
        built.commit = Some("c0ffee".to_owned());
        assert_eq!(
            told(&Proven {
                chart: Some(built),
                images: BTreeMap::new(),
            }),
            [
                "origin proven of chart: built by the workflow a/b/.github/workflows/c.yml@refs/heads/main from commit c0ffee"
            ]
        );
        let proven = Proven {
            chart: Some(origin("key sha256:1", 'c')),
            images: BTreeMap::from([
                (key("api"), origin("key sha256:1", 'a')),
                (key("web"), origin("key sha256:1", 'b')),
            ]),
        };
        assert_eq!(
            told(&proven),
            ["origin proven of chart, api, web: signed by the key sha256:1"]
        );
        assert!(told(&Proven::default()).is_empty());
        let image = |text: &str| text.parse::<ImageRef>().unwrap();
        let requested = BTreeMap::from([
            (key("api"), image("ghcr.io/acme/shop/api:1.0")),
            (key("cron"), image("ghcr.io/acme/shop/cron:1.0")),
        ]);
        let pinned: Vec<String> = by_digest(&requested, &proven)
            .values()
            .map(ToString::to_string)
            .collect();
        let api = format!("ghcr.io/acme/shop/api:1.0@sha256:{}", "a".repeat(64));
        assert_eq!(pinned, [api.as_str(), "ghcr.io/acme/shop/cron:1.0"]);
    }
}
