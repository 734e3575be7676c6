//! The machine as a run finds it: the environment as a value, users and groups,
//! and how its files are opened.
//!
//! Nothing here decides what becomes of a deploy.

mod accounts;
mod environment;
pub mod file;
mod sudo;
mod variables;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use crate::error::{Error, Kind, Result};

pub use accounts::Accounts;
pub use environment::Environment;
pub(crate) use environment::{EnvPolicy, dropped_warning, for_helm};
pub use sudo::EventEnvironment;
pub use variables::{VARIABLES, ValueForm, Variable, VariableClass};

/// Where the process was called. `Kind::Node` where that directory is gone.
pub fn working_directory() -> Result<PathBuf> {
    std::env::current_dir().map_err(|error| {
        Error::new(Kind::Node, "the working directory is gone")
            .with_source(error)
            .hint("call the script from a directory that is there")
    })
}
