//! The contract: four flags in, a [`Request`] or every violation out.
//!
//! The types here can only hold what the contract allows; `FromStr` is the
//! only way into them. Nothing here reads a file, runs a program or prints.

mod chart;
mod image;
mod name;

use std::collections::BTreeMap;

pub use chart::{ChartRef, ChartVersion};
pub use image::{Digest, ImageKey, ImageRef, Tag};
pub use name::{App, Owner};

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
