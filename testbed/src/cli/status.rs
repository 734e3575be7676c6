//! `status`: which testbeds are up.

use anyhow::Result;

use crate::build::Cache;
use crate::client;

pub(super) fn run() -> Result<()> {
    let testbeds = client::status(&Cache::open()?)?;
    if testbeds.is_empty() {
        super::print("no testbed is up");
    }
    for status in testbeds {
        let stays = if status.pinned {
            "stays until down"
        } else {
            "goes when nobody uses it"
        };
        let info = &status.info;
        super::print(&format!(
            "{} (process {}): {stays}, held by {}\n  kubeconfig {}\n  proxy      {}",
            info.run.display(),
            info.supervisor_pid,
            status.holders,
            info.kubeconfig.display(),
            info.proxy,
        ));
        for cluster in info.fleet.iter().flat_map(|fleet| &fleet.clusters) {
            super::print(&format!(
                "  cluster    {} {}",
                cluster.name,
                cluster.kubeconfig.display()
            ));
        }
    }
    Ok(())
}
