//! What operators ask for by hand: status, freezes, the way back.
//!
//! It looks, and it writes freezes; what changes the cluster is the pipeline's.

pub mod fleet;
pub mod freeze;
pub mod goal;
pub mod status;

use crate::error::{Error, Kind, Result};
use crate::node::Node;
use crate::signal::{App, nearest};

/// Refuses (`Kind::Request`) an app that deploy.toml does not list, where it lists
/// some.
pub fn known(app: &App, node: &Node) -> Result<()> {
    let listed = &node.config.apps;
    if listed.is_empty() || listed.contains_key(app) {
        return Ok(());
    }
    let names: Vec<&str> = listed.keys().map(App::as_str).collect();
    let message = format!(
        "the app {app} is not listed on this node, expected one of {}",
        names.join(", ")
    );
    let error = Error::new(Kind::Request, message);
    Err(match nearest(app.as_str(), names.iter().copied()) {
        Some(name) => error.hint(format!("did you mean {name}?")),
        None => error,
    })
}
