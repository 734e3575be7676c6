//! The Argo CD of a plan's fleet, ready to work for a run.

use std::collections::BTreeMap;

use futures::future::join_all;

use crate::argocd::{ArgoCd, Hub, Look, look, template};
use crate::error::Result;
use crate::pipeline::context::Run;
use crate::plan::fleet::{Fleet, TargetName};

/// The engine. A cluster that the node is to look into and cannot is a warning: then
/// Argo CD's own words are the evidence.
pub(super) async fn engine(run: &Run<'_>, fleet: &Fleet) -> Result<ArgoCd> {
    let template = fleet.template.as_deref().map(template).transpose()?;
    let hub = async { Hub::connect(run.plan, fleet).await };
    let looks = async { Ok(looks(run, fleet).await) };
    let both = async { tokio::try_join!(hub, looks) };
    let (hub, looks) = run.unless_cancelled(both).await?;
    Ok(ArgoCd::new(hub, run.plan, run.id, template, looks))
}

async fn looks(run: &Run<'_>, fleet: &Fleet) -> BTreeMap<TargetName, Look> {
    let asked = fleet.clusters.iter().map(async |(target, access)| {
        let look = look(run.plan, access).await;
        (target.clone(), look)
    });
    let mut looks = BTreeMap::new();
    for (target, look) in join_all(asked).await {
        match look {
            Ok(look) => drop(looks.insert(target, look)),
            Err(error) => run.events.warn(format!(
                "{target}: its cluster cannot be looked into, so a failure may be known only from Argo CD: {error}"
            )),
        }
    }
    looks
}
