//! `deploy`: takes a deploy signal on the node and makes the cluster run it.
//!
//! The signal says what; the node says where and how. The crate is a pure
//! core (`signal`, `node`, `plan`, `chart`) with a thin shell around it
//! (`helm`, `registry`, `cluster`, `state`); `pipeline` is its table of
//! contents, `event` the only way from there to what people read.

pub mod chart;
pub mod cli;
pub mod cluster;
pub mod doctor;
pub mod error;
pub mod event;
pub mod forward;
pub mod helm;
pub mod host;
pub mod manifest;
pub mod net;
pub mod node;
pub mod pipeline;
pub mod plan;
pub mod process;
pub mod registry;
pub mod release;
pub mod report;
pub mod rollout;
pub mod run;
pub mod signal;
pub mod state;
pub mod text;
pub mod units;

pub use error::{Error, Kind, Result};
