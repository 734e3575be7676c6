//! `build`: everything into the cache.

use anyhow::Result;

use crate::build::{self, Cache};
use crate::progress::Progress;

pub(super) fn run() -> Result<()> {
    let cache = Cache::open()?;
    build::all(&cache, Progress::stderr())?;
    build::hosted(&cache, Progress::stderr())?;
    build::fleet(&cache, Progress::stderr())?;
    build::fulcio(&cache, Progress::stderr())?;
    super::print(&format!("all programs are in {}", cache.root().display()));
    Ok(())
}
