//! `deploy freeze` and `deploy unfreeze`: no signal is taken for a while.

use std::ffi::OsStr;

use super::{journal_line, load_operated};
use crate::error::{Exit, Result};
use crate::event::Events;
use crate::host::Environment;
use crate::node::{Node, event_policy};
use crate::operate::freeze::{FreezeRequest, Until, freeze};
use crate::operate::known;
use crate::report;
use crate::run::{self, RunId, Who};
use crate::signal::App;
use crate::state::freeze as frozen;
use crate::state::journal::{Entry, Operation};
use crate::state::{self};
use crate::text;

/// What `deploy freeze` takes.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct FreezeArgs {
    /// The application; without it, all of them
    #[arg(value_name = "app")]
    pub app: Option<App>,
    /// Why: whoever is refused is told
    #[arg(long, value_name = "text")]
    pub reason: String,
    /// Until when: 2h, 3d or "2026-12-01 08:00 Europe/Berlin"
    #[arg(long, value_name = "time")]
    pub until: Option<Until>,
    /// An actor, event or user let through; may be repeated
    #[arg(long, value_name = "name", value_delimiter = ',')]
    pub allow: Vec<String>,
}

/// What `deploy unfreeze` takes.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct UnfreezeArgs {
    /// The application; without it, the freeze of all of them
    #[arg(value_name = "app")]
    pub app: Option<App>,
}

/// Freezes.
pub(super) fn freeze_now(invoked_as: &OsStr, args: &FreezeArgs) -> Result<Exit> {
    let caller = Caller::of(invoked_as, args.app.as_ref())?;
    let asked = FreezeRequest {
        app: args.app.as_ref(),
        reason: &args.reason,
        until: args.until.as_ref(),
        allow: &args.allow,
    };
    let freeze = freeze(&asked, caller.who.clone(), run::now())?;
    let file = frozen::write(&caller.places, &freeze)?;
    let mut lines = vec![freeze.line()];
    if !freeze.allow.is_empty() {
        let allowed: Vec<_> = freeze
            .allow
            .iter()
            .map(|name| text::line(name, 60))
            .collect();
        lines.push(format!("let through: {}", allowed.join(", ")));
    }
    let file = file.to_string_lossy().into_owned();
    lines.push(format!("it lies in {}", text::line(&file, 500)));
    report::print_wrapped(&caller.environment, &lines);
    caller.note(Operation::Freeze, args.app.as_ref(), Some(&freeze.reason));
    Ok(Exit::Deployed)
}

/// Ends a freeze.
pub(super) fn unfreeze(invoked_as: &OsStr, args: &UnfreezeArgs) -> Result<Exit> {
    let caller = Caller::of(invoked_as, args.app.as_ref())?;
    let ended = frozen::remove(&caller.places, args.app.as_ref())?;
    let what = args.app.as_ref().map_or("every app", App::as_str);
    let line = if ended == 0 {
        format!("there was no freeze of {what}")
    } else {
        format!("the freeze of {what} is ended")
    };
    report::print_wrapped(&caller.environment, &[line]);
    if ended > 0 {
        caller.note(Operation::Unfreeze, args.app.as_ref(), None);
    }
    Ok(Exit::Deployed)
}

/// Who asks, and where it is kept.
struct Caller {
    environment: Environment,
    who: Who,
    state: std::path::PathBuf,
    places: Vec<std::path::PathBuf>,
}

impl Caller {
    fn of(invoked_as: &OsStr, app: Option<&App>) -> Result<Self> {
        let environment = Environment::of_process();
        event_policy::refuse_pull_requests(&environment)?;
        let node: Node = load_operated(invoked_as, &environment)?;
        if let Some(app) = app {
            known(app, &node)?;
        }
        let state = state::directory(&environment, node.uid, &node.accounts, &node.cwd)?;
        Ok(Self {
            who: Who::of(&environment, node.uid, &node.accounts),
            places: frozen::places(&state.path),
            state: state.path,
            environment,
        })
    }

    /// Writes it into the journal.
    fn note(&self, operation: Operation, app: Option<&App>, reason: Option<&str>) {
        let at = run::now();
        let mut entry = Entry::by_hand(RunId::new(at), at, self.who.clone(), app, operation);
        entry.reason = reason.map(run::field);
        let events = Events::to(report::reporters(&self.environment, false));
        journal_line::write(&self.state, &entry, &events);
    }
}
