//! What people get wrong, and what they meant.
//!
//! Functions from a value that its grammar refused to a hint that is safe to
//! show, or to nothing: a hint that does not fit is worse than none. They run
//! only on bad values, so they may look closely; no grammar lives here, and no
//! grammar knows of them.

mod app;
mod chart;
mod flag;
mod image;
mod json;
mod nearest;
mod oci_name;
mod value;
mod version;

pub(crate) use app::app;
pub(super) use flag::{flag, positional};
pub(super) use json::{broken as json, object};
pub(crate) use nearest::nearest;
pub(super) use value::value;

use super::chart::{ChartRef, ChartVersion};
use super::image::ImageRef;
use super::name::App;

/// A value of the contract whose mistakes are known.
pub(super) trait Hint {
    /// What to do about a text that is no such value.
    fn hint(text: &str) -> Option<String>;
}

impl Hint for App {
    fn hint(text: &str) -> Option<String> {
        app::app(text)
    }
}

impl Hint for ChartRef {
    fn hint(text: &str) -> Option<String> {
        chart::chart(text)
    }
}

impl Hint for ChartVersion {
    fn hint(text: &str) -> Option<String> {
        version::version(text)
    }
}

impl Hint for ImageRef {
    fn hint(text: &str) -> Option<String> {
        image::image(text)
    }
}
