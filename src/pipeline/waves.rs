//! A deploy in several clusters, wave by wave, through an engine.
//!
//! It must never touch a wave before the one before it is judged good, and never
//! know which engine it is that applies.
#![allow(
    dead_code,
    reason = "the plan leads here as soon as it knows of fleets"
)]

mod preflight;
