//! A status as people read it: one screen for an app, one line for each of many.

use jiff::Timestamp;
use serde_json::Value;

use super::{Drift, DriftKind, DriftedField, Health, RunningImage, Status};
use crate::manifest::changes::Content;
use crate::release::judgement;
use crate::state::journal::Entry;
use crate::{text, units};

/// A name, empty where it is that of the row before, and what stands beside it.
type Row = (&'static str, String);

/// The longest value that is shown, in columns.
const VALUE: usize = 60;

/// The most fields of one object that are shown.
const FIELDS: usize = 20;

/// Everything that is known of an app. `now` is what ages are counted to.
pub fn screen(status: &Status, now: Timestamp) -> Vec<String> {
    let mut rows = serving(status, now);
    for workload in &status.workloads {
        rows.push(("workload", workload.to_string()));
    }
    rows.extend(status.images.iter().flat_map(image));
    if let Some(failed) = &status.failed {
        rows.extend(failure(failed));
    }
    rows.extend(
        status
            .freezes
            .iter()
            .map(|freeze| ("freeze", freeze.line())),
    );
    rows.extend(
        status
            .holder
            .iter()
            .map(|holder| ("lock", format!("held by {holder}"))),
    );
    if status.serving.is_some() && status.drift.is_empty() {
        rows.push(("drift", "none: it is what the release says".to_owned()));
    }
    for drift in &status.drift {
        rows.extend(drifted(drift));
    }
    let mut last = "";
    let line = |(name, value): Row| {
        let shown = if name == last { "" } else { name };
        if !name.is_empty() {
            last = name;
        }
        format!("{shown:<9}{value}").trim_end().to_owned()
    };
    rows.into_iter().map(line).collect()
}

/// What serves, since when and by whom, and what is newer than that.
fn serving(status: &Status, now: Timestamp) -> Vec<Row> {
    let mut rows = vec![("app", format!("{}: {}", status.app, status.health.name()))];
    let release = &status.release;
    let (name, namespace) = (cell(&release.name), cell(&release.namespace));
    rows.push(("release", format!("{name} in namespace {namespace}")));
    if let Some(record) = &status.serving {
        let (chart, version) = (cell(&record.chart), cell(&record.chart_version));
        rows.push(("revision", record.revision.to_string()));
        rows.push(("chart", format!("{chart} {version}")));
        rows.push(("since", since(&record.last_deployed, now)));
        match (&status.run, judgement::run_in(&record.description)) {
            (Some(run), _) => rows.extend(by(run)),
            (None, Some(run)) => rows.push(("by", format!("run {}", cell(run)))),
            (None, None) => rows.push(("by", "no run that this node knows".to_owned())),
        }
    }
    if let Some(newest) = &status.newest {
        let (revision, state) = (newest.revision, newest.status.name());
        let said = text::line(&newest.description, 200);
        rows.push(("newest", format!("revision {revision} is {state}: {said}")));
    }
    rows
}

/// An image that was asked for, and what runs of it where that tells more.
fn image(image: &RunningImage) -> Vec<Row> {
    let (workload, container) = (cell(&image.workload), cell(&image.container));
    let asked = cell(&image.asked);
    let mut rows = vec![("image", format!("{workload}, {container}: {asked}"))];
    if image.digests.is_empty() {
        rows.push(("runs", "nowhere".to_owned()));
    }
    let digests = image.digests.iter();
    let digests = digests.filter(|digest| !image.asked.contains(digest.as_str()));
    rows.extend(digests.map(|digest| ("runs", cell(digest))));
    rows
}

fn cell(value: &str) -> String {
    text::line(value, text::LINE).into_owned()
}

fn since(time: &str, now: Timestamp) -> String {
    let Ok(at) = time.parse::<Timestamp>() else {
        return text::line(time, 60).into_owned();
    };
    let age = std::time::Duration::try_from(now.duration_since(at)).unwrap_or_default();
    let seconds = age.as_secs();
    let rounded = match seconds {
        0..60 => seconds,
        60..86_400 => seconds / 60 * 60,
        _ => seconds / 3600 * 3600,
    };
    format!(
        "{} ({} ago)",
        at.strftime("%Y-%m-%d %H:%M:%S UTC"),
        units::show(std::time::Duration::from_secs(rounded))
    )
}

/// Which run it was, of whom and of which commit.
fn by(run: &Entry) -> Vec<Row> {
    let workflow = run.who.workflow.as_ref();
    let operation = run.operation.map_or("", |operation| operation.name());
    let actor = workflow.and_then(|workflow| workflow.actor.as_deref());
    let actor = cell(actor.unwrap_or(&run.who.user));
    let mut rows = vec![(
        "by",
        format!("run {} of {actor} {operation}", run.run)
            .trim_end()
            .to_owned(),
    )];
    let Some(workflow) = workflow else {
        return rows;
    };
    let parts = [&workflow.event, &workflow.reference, &workflow.sha]
        .into_iter()
        .flatten();
    let parts: Vec<String> = parts.map(|part| cell(part)).collect();
    if !parts.is_empty() {
        rows.push(("", parts.join(" ")));
    }
    rows.extend(workflow.url.iter().map(|url| ("", cell(url))));
    rows
}

fn failure(failed: &Entry) -> Vec<Row> {
    let mut rows = vec![(
        "failed",
        format!(
            "last in run {}: {} ({})",
            failed.run,
            text::line(&failed.outcome, 60),
            failed.exit
        ),
    )];
    let cause = failed.cause.iter();
    rows.extend(cause.map(|cause| ("", text::line(cause, 300).into_owned())));
    rows
}

fn drifted(drift: &Drift) -> Vec<Row> {
    let name = drift.object.to_string();
    match &drift.kind {
        DriftKind::Missing => vec![("drift", format!("{name} is not there"))],
        DriftKind::Untold(why) => {
            let why = text::line(why, 300);
            vec![("drift", format!("{name} cannot be compared: {why}"))]
        }
        DriftKind::Fields(fields) => {
            let mut rows = vec![("drift", name)];
            for one in fields.iter().take(FIELDS) {
                rows.extend(field(one).into_iter().map(|line| ("", line)));
            }
            let more = fields.len().saturating_sub(FIELDS);
            if more > 0 {
                rows.push(("", format!("  and {more} more fields")));
            }
            rows
        }
    }
}

fn field(field: &DriftedField) -> Vec<String> {
    let what = match (&field.recorded, &field.live) {
        (Content::Value(recorded), Content::Value(live)) => {
            format!("{} in the release, {} now", value(recorded), value(live))
        }
        (Content::Absent, Content::Value(live)) => format!("{} was added", value(live)),
        (Content::Value(recorded), Content::Absent) => format!("{} was taken out", value(recorded)),
        (Content::Absent, _) => "was added".to_owned(),
        (_, Content::Absent) => "was taken out".to_owned(),
        _ => "is another".to_owned(),
    };
    let mut lines = vec![format!("  {}: {what}", field.path)];
    if let Some(by) = &field.by {
        let how = match by.subresource.as_str() {
            "" => String::new(),
            subresource => format!(" ({})", text::line(subresource, 40)),
        };
        let name = text::line(&by.name, 60);
        // An apiserver writes no time for what came through the scale subresource.
        let when = match text::line(&by.time, 40) {
            time if time.is_empty() => String::new(),
            time => format!(" at {time}"),
        };
        lines.push(format!("    by {name}{how}{when}"));
    }
    lines
}

fn value(value: &Value) -> String {
    let shown = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    let shown = cell(&shown);
    let shown = text::fit(&shown, VALUE).into_owned();
    if shown.is_empty() {
        "\"\"".to_owned()
    } else {
        shown
    }
}

/// The columns of the table.
const HEAD: [&str; 6] = ["APP", "STATUS", "REVISION", "CHART", "DRIFT", "FREEZE"];

/// An app in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How it is.
    pub health: String,
    /// The revision that serves, or how many targets there are.
    pub revision: Option<String>,
    /// The chart's version.
    pub version: Option<String>,
    /// How much of it drifted, where that is looked at.
    pub drift: Option<String>,
    /// Whether a freeze counts.
    pub frozen: bool,
}

impl From<&Status> for Line {
    fn from(status: &Status) -> Self {
        let serving = status.serving.as_ref();
        let drift = match status.drift.len() {
            0 => "none".to_owned(),
            1 => "1 object".to_owned(),
            more => format!("{more} objects"),
        };
        Self {
            health: at_work(status.health, status.holder.is_some()),
            revision: serving.map(|record| record.revision.to_string()),
            version: serving.map(|record| record.chart_version.clone()),
            drift: Some(drift),
            frozen: !status.freezes.is_empty(),
        }
    }
}

/// How an app is, where somebody may be at work on it.
pub fn at_work(health: Health, is_held: bool) -> String {
    match (health, is_held) {
        (Health::Pending, true) => "a deploy is at work".to_owned(),
        (health, _) => health.name().to_owned(),
    }
}

/// One line for each app.
pub fn table(apps: &[(String, Result<Line, String>)]) -> Vec<String> {
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(apps.iter().map(|(app, line)| row(app, line)));
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|at| {
            rows.iter()
                .map(|row| text::columns(&row[at]))
                .max()
                .unwrap_or(0)
        })
        .collect();
    let line = |row: &[String; 6]| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell}{}", " ".repeat(width + 2 - text::columns(cell))));
        cells.collect::<String>().trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

fn row(app: &str, line: &Result<Line, String>) -> [String; 6] {
    let none = || "-".to_owned();
    let app = text::fit(&text::line(app, 53), 20).into_owned();
    let line = match line {
        Ok(line) => line,
        Err(why) => {
            let why = text::fit(&text::line(why, 200), 50).into_owned();
            return [app, why, none(), none(), none(), none()];
        }
    };
    let version = line.version.as_deref();
    [
        app,
        line.health.clone(),
        line.revision.clone().unwrap_or_else(none),
        version.map_or_else(none, |version| {
            text::fit(&text::line(version, 40), 16).into_owned()
        }),
        line.drift.clone().unwrap_or_else(none),
        if line.frozen {
            "frozen".to_owned()
        } else {
            none()
        },
    ]
}

#[cfg(test)]
#[path = "screen_tests.rs"]
mod tests;
