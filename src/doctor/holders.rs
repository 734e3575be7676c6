//! Who is at work on a release now: by the node's own lock, and by the Lease
//! that all nodes share. It only looks: neither is taken.

use kube::Client;
use kube::api::Api;

use super::finding::Finding;
use crate::cluster::client::PATIENCE;
use crate::cluster::lease::{self, LeaseView};
use crate::plan::Plan;
use crate::run;
use crate::state::lock;
use crate::units;

/// A finding for each holder; nothing where nobody is at work.
pub(super) async fn look(client: &Client, plan: &Plan) -> Vec<Finding> {
    let wait = format!(
        "wait for it: a deploy waits up to {}, and takes over from one that is proven dead",
        units::show(plan.lock_timeout)
    );
    let here = lock::holder(&plan.state, plan.lock());
    // A deploy of this node holds both.
    let elsewhere = leased(client, plan).await.filter(|seen| {
        let run = here.as_ref().map(|holder| holder.run.as_str());
        let other = |identity| Some(identity) != run;
        seen.is_current(run::now()) && seen.identity().is_some_and(other)
    });
    let mut found = Vec::new();
    if let Some(holder) = here {
        let gone = run::started(holder.pid) != Some(holder.started);
        let who = if gone {
            "a helm that was left behind by "
        } else {
            ""
        };
        found.push(Finding::warn("lock", format!("held by {who}{}", holder.line())).fix(&wait));
    }
    if let Some(seen) = elsewhere {
        found.push(Finding::warn("lease", format!("held by {}", seen.line())).fix(&wait));
    }
    found
}

/// The release's Lease. A missing right to read it is no finding here: it is
/// among the rights, and a deploy goes on without it.
async fn leased(client: &Client, plan: &Plan) -> Option<LeaseView> {
    let api: Api<lease::Object> = Api::namespaced(client.clone(), &plan.release.namespace);
    let name = lease::name(&plan.release.name);
    let asked = tokio::time::timeout(PATIENCE, api.get_opt(&name));
    Some(LeaseView::of(&asked.await.ok()?.ok()??))
}
