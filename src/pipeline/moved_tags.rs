//! Where a chart takes no digest, the tags that are deployed must still mean what
//! was proven once the workloads are Ready.

use std::collections::BTreeSet;

use futures::future::join_all;

use super::context::Run;
use super::failure::Failure;
use super::observed::ReleaseObservation;
use crate::error::Problem;

/// Whether the tags that are deployed still mean what was proven. What the registry
/// does not answer is a warning: the rollout is over.
pub(super) async fn check(run: &Run<'_>, found: &ReleaseObservation) -> Result<(), Failure> {
    let Some(origin) = &found.origin else {
        return Ok(());
    };
    let by_tag = run.images.iter().filter_map(|(key, image)| {
        let tag = image.tag().filter(|_| image.digest().is_none())?;
        let proven = run.facts.proven.images.get(key)?;
        Some((key, image, tag, proven))
    });
    let asked = by_tag.map(async |(key, image, tag, proven)| {
        let now = origin.digest_now(image, tag).await;
        (key, image, proven, now)
    });
    let answers = run.unless_cancelled(async { Ok(join_all(asked).await) });
    let mut moved = BTreeSet::new();
    for (key, image, proven, now) in answers.await? {
        match now {
            Ok(Some(now)) if now == proven.digest => {}
            Ok(now) => {
                let now = now.map_or("nothing".to_owned(), |now| now.to_string());
                moved.insert(format!(
                    "{key}: {image} means {now} now, and {} was proven",
                    proven.digest
                ));
            }
            Err(error) => run.events.warn(format!(
                "{key}: whether {image} still means what was proven is not known: {error}"
            )),
        }
    }
    let mut moved = moved.into_iter();
    match moved.next() {
        None => Ok(()),
        Some(first) => Err(Failure::Rollout(Problem::new(first).details(moved).hint(
            "the tag was moved while it was deployed: send the digest, and let the chart take one",
        ))),
    }
}
