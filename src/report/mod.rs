//! What people and scripts read. Reporters only format: they never decide, and
//! they are the only place that writes to stdout or stderr.

mod changes;
pub mod events;
pub mod github;
mod lines;
mod result;
mod targets;
pub mod terminal;
pub mod trace;
mod wrap;

use std::io::{self, IsTerminal as _, Write as _};

use crate::event::Reporter;
use crate::host::Environment;

/// The reporters of a run in this environment; a quiet one prints its result
/// only.
pub fn reporters(environment: &Environment, quiet: bool) -> Vec<Box<dyn Reporter>> {
    if environment.inside_actions() {
        let files = github::Files::of(environment);
        return vec![Box::new(github::GitHub::new(io::stdout(), files, quiet))];
    }
    vec![Box::new(terminal::Terminal::of_process(environment, quiet))]
}

/// How wide the terminal is that stdout leads to; none where it leads elsewhere,
/// and a line must stay a line.
pub fn columns(environment: &Environment) -> Option<usize> {
    let is_terminal = io::stdout().is_terminal() && !environment.inside_actions();
    is_terminal.then(|| terminal::Size::of(io::stdout()).width)
}

/// As [`print()`], with lines broken to the width of a terminal: for sentences.
pub fn print_wrapped(environment: &Environment, lines: &[String]) {
    let Some(width) = columns(environment) else {
        return print(environment, lines);
    };
    let broken = |line: &String| wrap::wrapped(line, width);
    let lines: Vec<String> = lines.iter().map(broken).collect();
    print(environment, &lines);
}

/// Writes what a subcommand found to stdout: safe lines, or JSON.
pub fn print(environment: &Environment, lines: &[String]) {
    let mut out = anstream::stdout();
    if environment.inside_actions() {
        // In a step of a workflow each line could be a command.
        let lines: Vec<String> = lines
            .iter()
            .map(|line| lines::without_old_commands(line))
            .collect();
        let _ = github::harmless(io::stdout(), &lines.join("\n"));
        return;
    }
    for line in lines {
        // A pipe that was closed by a pager is no failure.
        if writeln!(out, "{line}").is_err() {
            break;
        }
    }
}
