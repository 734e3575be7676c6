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

pub use accounts::Accounts;
pub use environment::Environment;
pub(crate) use environment::{EnvPolicy, dropped_warning, for_helm};
pub use sudo::EventEnvironment;
pub use variables::{VARIABLES, ValueForm, Variable, VariableClass};
