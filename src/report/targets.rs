//! What became of each target of a deploy in waves: a table for people, and the same for
//! scripts.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::lines::{BOLD, DIM, shown};
use crate::event::waves::TargetReport;
use crate::text;

/// The columns, in their order.
const HEAD: [&str; 5] = ["TARGET", "WAVE", "CLUSTER", "VERSION", "OUTCOME"];

/// The widest that a cell is shown, in columns.
const CELL: usize = 40;

/// A line for each target, in the order of the waves, with the cause below it.
pub(super) fn table(out: &mut impl Write, targets: &[TargetReport]) -> io::Result<()> {
    if targets.is_empty() {
        return Ok(());
    }
    let rows: Vec<[String; 5]> = targets.iter().map(row).collect();
    let widths: [usize; 5] = std::array::from_fn(|at| {
        let cells = rows.iter().map(|row| text::columns(&row[at]));
        cells.max().unwrap_or(0).max(HEAD[at].len())
    });
    let line = |cells: &[&str; 5]| {
        let cells = cells.iter().zip(&widths);
        let cells = cells.map(|(cell, width)| {
            let room = (width + 2).saturating_sub(text::columns(cell));
            format!("{cell}{}", " ".repeat(room))
        });
        cells.collect::<String>().trim_end().to_owned()
    };
    writeln!(out, "  {BOLD}{}{BOLD:#}", line(&HEAD))?;
    for (target, row) in targets.iter().zip(&rows) {
        let cells = std::array::from_fn(|at| row[at].as_str());
        writeln!(out, "  {}", line(&cells))?;
        if let Some(cause) = &target.cause {
            writeln!(out, "    {DIM}{}{DIM:#}", shown(cause))?;
        }
    }
    Ok(())
}

fn row(target: &TargetReport) -> [String; 5] {
    let cell = |value: &str| text::fit(&shown(value), CELL).into_owned();
    [
        cell(&target.name),
        target.wave.to_string(),
        cell(&target.cluster),
        target.version.as_deref().map_or("-".to_owned(), cell),
        target.outcome.words().to_owned(),
    ]
}

/// One object for each target.
pub(super) fn as_json(targets: &[TargetReport]) -> Value {
    let object = |target: &TargetReport| {
        json!({
            "name": target.name,
            "wave": target.wave,
            "cluster": target.cluster,
            "outcome": target.outcome.name(),
            "version": target.version,
            "cause": target.cause,
        })
    };
    targets.iter().map(object).collect()
}
