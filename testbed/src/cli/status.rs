//! `status`: which testbeds are up.

use anyhow::Result;

use crate::build::Cache;
use crate::client;
use crate::supervisor::Reply;

pub(super) fn run() -> Result<()> {
    let testbeds = client::status(&Cache::open()?)?;
    if testbeds.is_empty() {
        super::print("no testbed is up");
    }
    for (_, reply) in testbeds {
        match reply {
            Reply::Up {
                info,
                pinned,
                holders,
            } => super::print(&format!(
                "{} (process {}): {}, held by {holders}\n  kubeconfig {}\n  proxy      {}",
                info.run.display(),
                info.supervisor_pid,
                if pinned {
                    "stays until down"
                } else {
                    "goes when nobody uses it"
                },
                info.kubeconfig.display(),
                info.proxy,
            )),
            Reply::Refused(why) => super::print(&why),
        }
    }
    Ok(())
}
