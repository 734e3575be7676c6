//! `down`: the end of all testbeds.

use anyhow::Result;

use crate::build::Cache;
use crate::client;

pub(super) fn run() -> Result<()> {
    let text = match client::down(&Cache::open()?)? {
        0 => "no testbed was up".to_owned(),
        1 => "the testbed is gone".to_owned(),
        count => format!("{count} testbeds are gone"),
    };
    super::print(&text);
    Ok(())
}
