//! The hosted half: the reusable workflow's text, its scripts by themselves, and
//! the whole way from a push to running pods, run by `act`.

mod act;
mod builder;
mod chart;
mod gate;
mod images;
mod stage;
mod workflow;
