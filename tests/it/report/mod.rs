//! What people read, and that nothing from outside steers it: the log of a
//! workflow, its annotations, its summary and outputs, and a terminal.

mod actions;
mod corpus;
mod hostile_actions;
mod page;
mod step;
mod tty;

#[path = "../../data/hostile.rs"]
mod hostile;
#[path = "../../data/runner.rs"]
mod runner;
