//! `deploy history`: the journal as people and scripts read it.

use std::path::Path;

use super::journal::{self, Entry, Operation, RecordedTarget};
use crate::error::{Error, Kind, Result};
use crate::event::waves::TargetOutcome;
use crate::signal::App;
use crate::{text, units};

/// How many runs are shown where nothing is said.
pub const LIMIT: usize = 20;

/// What `deploy history` was asked.
#[derive(Clone, Debug)]
pub struct HistoryQuery {
    /// Only this app.
    pub app: Option<App>,
    /// One JSON object per line, for scripts.
    pub json: bool,
    /// At most so many runs, the newest.
    pub limit: usize,
    /// How wide the terminal is, where the lines go to one.
    pub width: Option<usize>,
}

/// The lines to print: newest first. `Kind::Node` where the journal cannot be
/// read.
pub fn run(args: &HistoryQuery, state: &Path) -> Result<Vec<String>> {
    let fits = |entry: &Entry| {
        args.app
            .as_ref()
            .is_none_or(|app| entry.request.app == app.as_str())
    };
    let entries = journal::read(state, args.limit, fits).map_err(|error| {
        let file = journal::file(state);
        let file = text::line(&file.to_string_lossy(), text::LINE).into_owned();
        Error::new(
            Kind::Node,
            format!("the journal {file} cannot be read: {error}"),
        )
        .hint("run deploy history as the user that deploys, or as root")
    })?;
    if args.json {
        return entries
            .iter()
            .map(|entry| {
                serde_json::to_string(entry).map_err(|error| {
                    Error::new(Kind::Internal, "a run cannot be written as JSON").with_source(error)
                })
            })
            .collect();
    }
    if entries.is_empty() {
        let of = args
            .app
            .as_ref()
            .map_or(String::new(), |app| format!(" of {app}"));
        return Ok(vec![format!("no deploys{of} yet")]);
    }
    Ok(table(&entries, args.width))
}

/// The columns, in their order.
const HEAD: [&str; 8] = [
    "TIME (UTC)",
    "APP",
    "REVISION",
    "CHART",
    "OUTCOME",
    "WHO",
    "TOOK",
    "RUN",
];

/// What makes a table narrower.
#[derive(Clone, Copy)]
enum Narrower {
    /// Without this column.
    Drop(&'static str),
    /// This column in so many columns of the terminal.
    Cut(&'static str, usize),
}

/// What is done, one after the other, until the table fits: what tells least goes
/// first. A run's id begins with its time, and `deploy show` takes it: it stays.
const NARROWER: [Narrower; 9] = [
    Narrower::Cut("CHART", 16),
    Narrower::Drop("TIME (UTC)"),
    Narrower::Cut("WHO", 12),
    Narrower::Cut("APP", 20),
    Narrower::Drop("TOOK"),
    Narrower::Drop("WHO"),
    Narrower::Cut("CHART", 10),
    Narrower::Cut("APP", 12),
    Narrower::Drop("CHART"),
];

/// A table for people, as wide as it is told where it can be. What comes from the
/// journal is escaped: others may write to a shared one.
pub fn table(entries: &[Entry], width: Option<usize>) -> Vec<String> {
    let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
    rows.extend(entries.iter().map(row));
    let mut columns: Vec<(&str, Vec<String>)> = HEAD
        .iter()
        .enumerate()
        .map(|(at, name)| (*name, rows.iter().map(|row| row[at].clone()).collect()))
        .collect();
    let fits = |columns: &[(&str, Vec<String>)]| {
        let wide: usize = columns.iter().map(|(_, cells)| widest(cells) + GAP).sum();
        width.is_none_or(|width| wide <= width + GAP)
    };
    for step in NARROWER {
        if fits(&columns) {
            break;
        }
        match step {
            Narrower::Drop(name) => columns.retain(|(column, _)| *column != name),
            Narrower::Cut(name, max) => {
                for (_, cells) in columns.iter_mut().filter(|(column, _)| *column == name) {
                    for cell in cells.iter_mut() {
                        *cell = text::fit(cell, max).into_owned();
                    }
                }
            }
        }
    }
    (0..rows.len()).map(|at| line(&columns, at)).collect()
}

/// The columns between two cells.
const GAP: usize = 2;

fn widest(cells: &[String]) -> usize {
    let wide = cells.iter().map(|cell| text::columns(cell));
    wide.max().unwrap_or_default()
}

/// The row of a table.
fn line(columns: &[(&str, Vec<String>)], at: usize) -> String {
    let cells = columns.iter().map(|(_, cells)| {
        let cell = &cells[at];
        let room = widest(cells) + GAP - text::columns(cell);
        format!("{cell}{}", " ".repeat(room))
    });
    cells.collect::<String>().trim_end().to_owned()
}

fn row(entry: &Entry) -> Vec<String> {
    let cell = |value: &str, max| text::line(value, max).into_owned();
    let number =
        |revision: Option<u32>| revision.map_or("-".to_owned(), |number| number.to_string());
    // A dry run, or what failed before anything was stored, leaves what was.
    let revision = match (entry.before, entry.revision) {
        (Some(before), Some(after)) if before != after => format!("{before} → {after}"),
        (None, None) if !entry.targets.is_empty() => served(&entry.targets),
        (before, after) => number(after.or(before)),
    };
    let outcome = match (entry.dry_run, entry.exit) {
        (false, 0) if entry.operation.is_some() => {
            entry.operation.map_or("", Operation::name).to_owned()
        }
        (true, 0) => "dry run".to_owned(),
        (true, exit) => format!("dry run: {} ({exit})", cell(&entry.outcome, 40)),
        (false, 0) => cell(&entry.outcome, 40),
        (false, exit) => format!("{} ({exit})", cell(&entry.outcome, 40)),
    };
    let workflow = entry.who.workflow.as_ref();
    let who = workflow.and_then(|workflow| workflow.actor.as_ref());
    vec![
        entry.at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        cell(&entry.request.app, 53),
        revision,
        cell(&entry.request.version, 40),
        outcome,
        cell(who.unwrap_or(&entry.who.user), 40),
        units::show(rounded(entry.took_ms)),
        entry.run.to_string(),
    ]
}

/// How many targets served what was asked for.
fn served(targets: &[RecordedTarget]) -> String {
    let words = [TargetOutcome::Deployed, TargetOutcome::Unchanged].map(TargetOutcome::name);
    let served = targets
        .iter()
        .filter(|target| words.contains(&target.outcome.as_str()));
    format!("{} of {}", served.count(), targets.len())
}

/// Tenths are enough for people.
fn rounded(ms: u64) -> std::time::Duration {
    std::time::Duration::from_millis(if ms < 100 { ms } else { (ms + 50) / 100 * 100 })
}

#[cfg(test)]
mod tests;
