//! Child processes: started through a shim that ends them with `deploy`,
//! captured, cancelled, and never left behind.
//!
//! Nothing here knows what the program is for, and nothing judges what it says.

pub mod cancel;
pub(crate) mod capture;
pub mod guard;
mod heartbeat;
pub mod pause;
pub mod runner;
mod scratch;
pub mod shim;

pub use cancel::Cancel;
pub use heartbeat::{Heartbeat, since_boot};
pub use runner::StopReason;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// A program in the `PATH` of a plan's environment. A relative entry would let
/// the directory of the call choose.
pub fn in_path(name: &OsStr, environment: &BTreeMap<OsString, OsString>) -> Option<PathBuf> {
    let path = environment.get(OsStr::new("PATH"))?;
    let absolute = std::env::split_paths(path).filter(|entry| entry.is_absolute());
    let absolute = std::env::join_paths(absolute).ok()?;
    which::which_in(name, Some(absolute), "/").ok()
}
