//! What people and scripts read. Reporters only format: they never decide, and
//! they are the only place that writes to stdout or stderr.

pub mod terminal;
pub mod trace;

use crate::event::Reporter;
use crate::node::Environment;

/// The reporters of a run in this environment.
pub fn reporters(environment: &Environment) -> Vec<Box<dyn Reporter>> {
    if environment.inside_actions() {
        vec![Box::new(terminal::Terminal::on_stdout())]
    } else {
        vec![Box::new(terminal::Terminal::on_stderr_and_stdout())]
    }
}
