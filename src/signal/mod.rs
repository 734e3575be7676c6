//! The contract: four flags in, a [`Request`] or every violation out.
//!
//! The types here can only hold what the contract allows; `FromStr` is the
//! only way into them. Nothing here reads a file, runs a program or prints.

mod args;
mod canonical;
mod chart;
mod flag;
mod hint;
mod image;
mod images;
mod json;
mod name;
mod parse;
mod request;
mod value;
mod violation;

#[cfg(test)]
mod tests;

pub use chart::{ChartRef, ChartVersion};
pub use flag::{Flag, QUIET_SHORT, SWITCHES};
pub use image::{Digest, ImageKey, ImageRef, Tag};
pub use name::{App, Owner};
pub use parse::{is_quiet, parse};
pub use request::{DeclaredKeys, Request, Signal};
pub use violation::{Actual, GrammarError, InvalidRequest, Violation};

pub(crate) use hint::{app as app_hint, nearest};
