//! GHCR as a deploy would ask it: with which credentials, and whether these and
//! the way there work. It only asks.

use std::collections::BTreeMap;

use super::finding::{Finding, Severity};
use crate::plan::Plan;
use crate::registry::artifacts::ArtifactReader;
use crate::registry::credentials;
use crate::registry::error::{self, RegistryError, RegistryRequest};
use crate::registry::preflight::{ImageStatus, preflight};
use crate::signal::{ImageKey, ImageRef};

/// Asks for these images, or for one that nobody has: that shows the way there.
pub(super) async fn look(plan: &Plan, images: &[ImageRef]) -> Finding {
    let check = "ghcr";
    let stored = match credentials::find(&plan.environment, ImageRef::REGISTRY).await {
        Ok(stored) => stored,
        Err(error) => return Finding::failed(check, &error),
    };
    let with = match &stored {
        Some(stored) => format!("with the credentials in {}", stored.file.display()),
        None => "without credentials: only public packages".to_owned(),
    };
    let named: BTreeMap<ImageKey, ImageRef> = if images.is_empty() {
        named(&probe().into_iter().collect::<Vec<_>>())
    } else {
        named(images)
    };
    let repositories = named.values().map(ImageRef::repository);
    let reader = match ArtifactReader::new(&plan.environment, repositories).await {
        Ok(reader) => reader,
        Err(error) => return Finding::failed(check, &error),
    };
    let asked = preflight(&reader, &named).await;
    if let (Some(warning), Some(stored)) = (asked.warnings.first(), &stored) {
        return Finding::warn(check, warning.as_str()).fix(format!(
            "remove them, or log in again ({}): helm registry logout ghcr.io",
            stored.file.display()
        ));
    }
    for (_, image, verdict) in &asked.verdicts {
        let ImageStatus::Unknown(answer, said) = verdict else {
            continue;
        };
        let level = match answer {
            RegistryError::Untrusted
            | RegistryError::Proxy
            | RegistryError::Unreachable
            | RegistryError::Credentials => Severity::Fail,
            // Nobody has the probe, and GHCR refuses what is not there.
            RegistryError::Denied | RegistryError::NoRight if images.is_empty() => continue,
            _ => Severity::Warn,
        };
        let what = RegistryRequest {
            what: image.to_string(),
            stored: stored.as_ref().map(|stored| stored.file.clone()),
            anonymous: stored.is_some(),
        };
        return Finding::of_error(check, level, &error::error(*answer, &what, said));
    }
    match images.len() {
        0 => Finding::ok(check, format!("ghcr.io answers; asked {with}")),
        count => Finding::ok(
            check,
            format!("ghcr.io gives the {count} images that are deployed, asked {with}"),
        ),
    }
}

fn probe() -> Option<ImageRef> {
    "ghcr.io/deploy-doctor/nothing/here:0".parse().ok()
}

fn named(images: &[ImageRef]) -> BTreeMap<ImageKey, ImageRef> {
    let key = |at: usize| format!("image-{at}").parse().ok();
    images
        .iter()
        .enumerate()
        .filter_map(|(at, image)| Some((key(at)?, image.clone())))
        .collect()
}
