//! `deploy history`: the journal as people and scripts read it.

use std::path::Path;

use super::journal::{self, Entry};
use crate::error::{Error, Kind, Result};
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
    Ok(table(&entries))
}

/// A table for people. What comes from the journal is escaped: others may
/// write to a shared one.
pub fn table(entries: &[Entry]) -> Vec<String> {
    let head = [
        "TIME (UTC)",
        "APP",
        "REVISION",
        "CHART",
        "OUTCOME",
        "WHO",
        "TOOK",
        "RUN",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(entries.iter().map(row));
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            let width = |row: &Vec<String>| row[column].chars().count();
            rows.iter().map(width).max().unwrap_or(0)
        })
        .collect();
    rows.iter()
        .map(|row| {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            cells.join("  ").trim_end().to_owned()
        })
        .collect()
}

fn row(entry: &Entry) -> Vec<String> {
    let cell = |value: &str, max| text::line(value, max).into_owned();
    let number =
        |revision: Option<u32>| revision.map_or("-".to_owned(), |number| number.to_string());
    // A dry run, or what failed before anything was stored, leaves what was.
    let revision = match (entry.before, entry.revision) {
        (Some(before), Some(after)) if before != after => format!("{before} → {after}"),
        (before, after) => number(after.or(before)),
    };
    let outcome = match (entry.dry_run, entry.exit) {
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

/// Tenths are enough for people.
fn rounded(ms: u64) -> std::time::Duration {
    std::time::Duration::from_millis(if ms < 100 { ms } else { (ms + 50) / 100 * 100 })
}

#[cfg(test)]
mod tests;
