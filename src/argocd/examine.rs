//! What stands in the way of a deploy to an Application, before there is one.
//!
//! It only looks.

use super::hub::Hub;
use super::patch::MANAGER;
use super::state::{base, cluster, missing, note, usable};
use super::{owned, resources, values};
use crate::error::Result;
use crate::plan::fleet::TargetName;
use crate::text;

/// An Application, for an operator.
#[derive(Debug)]
pub struct Examined {
    /// What it serves, and how it is, in one line.
    pub state: String,
    /// What will be in the way, each with its cure.
    pub warnings: Vec<(String, String)>,
}

/// Looks at an Application. `made`: whether a missing one is made of a template.
pub async fn examine(hub: &Hub, target: &TargetName, made: bool) -> Result<Examined> {
    let Some(found) = hub.get(target).await? else {
        if made {
            return Ok(Examined {
                state: "not there yet: it is made of the template".to_owned(),
                warnings: Vec::new(),
            });
        }
        return Err(missing(hub.namespace()));
    };
    let application = &found.application;
    usable(application)?;
    values::input(&base(&found)?)?;
    let (source, status) = (&application.spec.source, &application.status);
    let shown = |text: &str| text::line(text, text::VALUE).into_owned();
    let state = format!(
        "{} {} in {}: {}, {}",
        shown(&source.chart),
        shown(&source.target_revision),
        cluster(application),
        shown(&status.sync.status),
        shown(&status.health.status)
    );
    let mut warnings = Vec::new();
    for owner in owned::other_owners(&found.object) {
        warnings.push((
            format!("spec.source.targetRevision is owned by {owner}: a signal that brings another version is refused"),
            format!("take it out of that manifest, and hand it over to the field manager {MANAGER} (docs/argocd.md)"),
        ));
    }
    if let Some(said) = resources::was_unreachable(application) {
        let cure = "see that the cluster's API server answers Argo CD";
        warnings.push((said, cure.to_owned()));
    }
    if application.is_busy() && note(application).is_none() {
        let by = application
            .at_work()
            .map(super::status::Operation::asked_by);
        warnings.push((
            format!(
                "a sync is in progress, asked for by {}",
                by.unwrap_or_default()
            ),
            "wait until it has ended".to_owned(),
        ));
    }
    Ok(Examined { state, warnings })
}
