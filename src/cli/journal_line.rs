//! A run's line in the journal, also where no plan came about: a run that was
//! refused, or that found the node not ready.

use std::path::Path;

use crate::error::Error;
use crate::event::Events;
use crate::host::{Accounts, Environment};
use crate::run::{RunId, Timestamp, Who};
use crate::signal::Request;
use crate::state::journal::{self, Entry};

/// A run that ended before there was a plan.
pub(super) struct RefusedRun<'a> {
    pub(super) run: &'a RunId,
    pub(super) at: Timestamp,
    /// Who sent it, where that is not the caller of this process.
    pub(super) who: Option<Who>,
    pub(super) request: &'a Request,
    pub(super) dry_run: bool,
    pub(super) error: &'a Error,
}

/// Writes a line; where that fails, a warning says so.
pub(super) fn write(state: &Path, entry: &Entry, events: &Events) {
    if let Err(error) = journal::append(state, entry) {
        events.warn(format!(
            "the journal in {} cannot be written: {error}",
            state.display()
        ));
    }
}

/// Writes the line of a run that has no plan: where state lies is asked for
/// without deploy.toml, which may be what is wrong.
pub(super) fn refused(refused: &RefusedRun<'_>, environment: &Environment, events: &Events) {
    let uid = rustix::process::geteuid().as_raw();
    let accounts = Accounts::of_machine();
    let directory = std::env::current_dir()
        .map_err(|error| error.to_string())
        .and_then(|cwd| {
            crate::state::directory(environment, uid, &accounts, &cwd)
                .map_err(|error| error.to_string())
        });
    let directory = match directory {
        Ok(directory) => directory,
        // The run's own error, where that is it.
        Err(why) if why == refused.error.to_string() => return,
        Err(why) => {
            events.warn(format!("the journal cannot be written: {why}"));
            return;
        }
    };
    let sent = refused.who.clone();
    let who = sent.unwrap_or_else(|| Who::of(environment, uid, &accounts));
    let run = refused.run.clone();
    let entry = Entry {
        dry_run: refused.dry_run,
        ..Entry::new(run, refused.at, who, refused.request, refused.error.exit())
            .with_cause(&refused.error.to_string())
    };
    write(&directory.path, &entry, events);
}
