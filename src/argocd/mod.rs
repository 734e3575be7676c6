//! Argo CD, which applies in the clusters that it knows: an engine
//! ([`crate::engine::Engine`]) whose targets are Applications.
//!
//! | step | modules |
//! |---|---|
//! | read: an Application as the hub has it (typed, lenient, outside text) | `source`, `status`, `application`, `state` |
//! | prove: the values that an Application gives Helm, in Argo CD's order (pure) | `values` |
//! | ask: what `deploy` owns of an Application, as the document of a server-side apply, and who owns it else (pure) | `patch`, `owned` |
//! | judge: has this operation ended, and how? (pure) | `verdict`, `resources` |
//! | look and do: the API of the hub; the watch; the target's own cluster beside it | `hub`, `beside`, `cause`, `follow`, `operation`, `engine`, `setup`, `examine` |
//!
//! It must never take over a field that somebody else owns, end an operation that it did
//! not begin, take the green of an older state for the new one's, or touch what an
//! Application deploys: that is Argo CD's.

mod application;
mod beside;
mod cause;
mod engine;
mod examine;
mod follow;
mod hub;
mod operation;
mod owned;
mod patch;
mod resources;
mod setup;
mod source;
mod state;
mod status;
mod values;
mod verdict;

#[cfg(test)]
mod tests;

pub use application::Application;
pub use beside::{Look, Rendered};
pub use engine::ArgoCd;
pub use examine::{Examined, examine};
pub use hub::Hub;
pub use operation::Operation;
pub use patch::{MANAGER, Place};
pub use setup::{look, template};
pub use values::{HelmInput, Values, input};
