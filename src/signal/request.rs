//! What a valid signal is, and which image keys it may carry.

use std::collections::BTreeMap;

use super::chart::{ChartRef, ChartVersion};
use super::image::{ImageKey, ImageRef};
use super::name::App;

/// What a valid signal asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The application.
    pub app: App,
    /// Where its chart lies.
    pub chart: ChartRef,
    /// Which version of it.
    pub version: ChartVersion,
    /// The image for each key. `api` and `web` are always there.
    pub images: BTreeMap<ImageKey, ImageRef>,
}

/// What the node says of the image keys of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeclaredKeys {
    /// Keys beyond the contract's own, and whether a signal must carry them;
    /// `worker` may stand here to be required.
    Known(BTreeMap<ImageKey, bool>),
    /// The node's configuration cannot be read. That has its own error and
    /// exit code later; further keys are let through until then.
    Unreadable,
}

/// A signal that keeps the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// What is asked for.
    pub request: Request,
    /// Whether it is only to be planned and proven.
    pub dry_run: bool,
    /// Whether the result is wanted as JSON.
    pub json: bool,
    /// To be reported once: what was lower-cased. As it came, unescaped.
    pub notes: Vec<String>,
}
