//! The hosted half: the reusable workflow's text, its scripts by themselves, and
//! the whole way from a push to running pods, run by `act`.

mod act;
mod attacks;
mod attest;
mod back;
mod builder;
mod cache;
mod chart;
mod cosign;
mod gate;
mod github;
mod images;
mod inputs;
mod jobs;
mod key_run;
mod made;
mod runs;
mod sign;
mod signal;
mod signed;
mod signed_run;
mod stage;
mod web;
mod workflow;
