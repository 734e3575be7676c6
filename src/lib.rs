//! `deploy`: takes a deploy signal on the node and makes the cluster run it.
//!
//! The signal says what; the node says where and how. Layers, each importing
//! only those below it:
//!
//! - [`cli`]: the command line; picks the reporters
//! - [`doctor`], [`operate`]: what is asked for by hand; [`receive`]: the controller
//!   of this machine
//! - [`pipeline`]: a deploy, step by step
//! - [`helm`]: the engine; [`release`]: what it stored, and recovery from that
//! - [`cluster`], [`node`]: the API server; configuration and policy, which give
//!   a plan
//! - [`chart`], [`state`], [`token`]: layout and proof; lock, journal, evidence; the
//!   signed signal
//! - [`forward`], [`provenance`], [`report`]: a local controller; proofs of origin;
//!   what people and scripts read
//! - [`plan`], [`registry`], [`rollout`]: what will be done; GHCR; the workloads
//! - [`event`], [`manifest`], [`signal`], [`process`], [`net`], [`run`]: what
//!   happens, objects, the contract, child processes, ways to hosts, who runs
//! - [`error`], [`host`], then [`text`], [`units`]: for all of them
//!
//! Parsing, planning, layout, proof and verdicts are pure: data in, data out.
//! `pipeline` never prints and a reporter never decides; `event` is the only way
//! from one to the other.

pub mod argocd;
pub mod chart;
pub mod cli;
pub mod cluster;
pub mod doctor;
pub mod engine;
pub mod error;
pub mod event;
pub mod forward;
pub mod helm;
pub mod host;
pub mod install;
pub mod manifest;
pub mod net;
pub mod node;
pub mod operate;
pub mod pipeline;
pub mod plan;
pub mod process;
pub mod provenance;
pub mod receive;
pub mod registry;
pub mod release;
pub mod report;
pub mod rollout;
pub mod run;
pub mod signal;
pub mod state;
pub mod text;
pub mod token;
pub mod units;

pub use error::{Error, Kind, Result};
