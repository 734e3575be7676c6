//! The result of a run: lines for people, or one JSON object.

use std::io::{self, Write};

use super::{changes, lines, targets};
use crate::event::Report;
use crate::manifest::changes::preview_as_json;

/// The result, in the form that was asked for.
pub(super) fn result(out: &mut impl Write, report: &Report) -> io::Result<()> {
    if report.json {
        return json(out, report);
    }
    lines::finish(out, report)?;
    targets::table(out, &report.targets)?;
    match &report.preview {
        Some(preview) => changes::preview(out, preview),
        None => Ok(()),
    }
}

/// One JSON object: docs/by-hand.md shows its form.
fn json(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let object = serde_json::json!({
        "version": 1,
        "run": report.summary.run,
        "release": report.summary.release,
        "namespace": report.summary.namespace,
        "chart": report.summary.chart,
        "dry_run": report.dry_run,
        "before": report.before,
        "revision": report.revision,
        "restored": report.restored,
        "unchanged": report.unchanged,
        "forward": report.forward,
        "targets": targets::as_json(&report.targets),
        "preview": report.preview.as_ref().map(preview_as_json),
    });
    writeln!(out, "{object}")
}
