//! `deploy show`: a run as people and scripts read it.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::evidence;
use super::journal::{self, Entry, RecordedTarget};
use crate::error::{Error, Kind, Result};
use crate::run::RunId;
use crate::{text, units};

/// The lines to print; without `logs` the evidence, which holds some, is only
/// mentioned. `Kind::Node` where the state directory cannot be read,
/// `Kind::Request` where it knows no such run.
pub fn run(state: &Path, run: &RunId, json: bool, logs: bool) -> Result<Vec<String>> {
    let unreadable = |error: std::io::Error| {
        let state = text::line(&state.to_string_lossy(), text::LINE).into_owned();
        Error::new(Kind::Node, format!("{state} cannot be read: {error}"))
            .hint("run deploy show as the user that deploys, or as root")
    };
    let found = journal::read(state, 1, |entry| entry.run == *run).map_err(unreadable)?;
    let evidence = evidence::read(state, run).map_err(unreadable)?;
    let entry = found.first();
    if entry.is_none() && evidence.is_empty() {
        return Err(
            Error::new(Kind::Request, format!("no run {run} is known on this node"))
                .hint("deploy history lists the runs of this node"),
        );
    }
    let evidence = match evidence.len() {
        0 => evidence,
        _ if logs => evidence,
        _ => vec![format!(
            "there is evidence, which may hold logs; a workflow's log may be public: deploy show {run} on the node"
        )],
    };
    if json {
        let object = as_json(entry, run, evidence)?;
        return Ok(vec![object.to_string()]);
    }
    let mut lines = entry.map_or_else(
        || {
            vec![format!(
                "run       {run}: no end was written, it was killed"
            )]
        },
        about,
    );
    if !evidence.is_empty() {
        lines.push(String::new());
        lines.extend(evidence);
    }
    Ok(lines)
}

/// The journal's line, with the evidence in it.
fn as_json(entry: Option<&Entry>, run: &RunId, evidence: Vec<String>) -> Result<Value> {
    let mut object = match entry {
        Some(entry) => serde_json::to_value(entry).map_err(|error| {
            Error::new(Kind::Internal, "a run cannot be written as JSON").with_source(error)
        })?,
        None => json!({"run": run}),
    };
    if let Some(fields) = object.as_object_mut() {
        fields.insert("evidence".to_owned(), evidence.into());
    }
    Ok(object)
}

/// What the journal says, for people. What comes from it is escaped: others
/// may write to a shared one.
fn about(entry: &Entry) -> Vec<String> {
    let number =
        |revision: Option<u32>| revision.map_or("none".to_owned(), |number| number.to_string());
    let took = |ms| units::show(Duration::from_millis(ms));
    let mut rows = vec![
        ("run", entry.run.to_string()),
        ("at", format!("{}, took {}", entry.at, took(entry.took_ms))),
        (
            "outcome",
            format!("{} ({})", cell(&entry.outcome), entry.exit),
        ),
    ];
    if let Some(operation) = entry.operation {
        rows.push(("by hand", operation.name().to_owned()));
    }
    rows.extend(entry.reason.iter().map(|reason| ("reason", cell(reason))));
    rows.extend(entry.cause.iter().map(|cause| ("cause", cell(cause))));
    if let (Some(release), Some(namespace)) = (&entry.release, &entry.namespace) {
        let release = format!("{} in namespace {}", cell(release), cell(namespace));
        rows.push(("release", release));
    }
    rows.extend(entry.forward.iter().map(|to| ("forward", cell(to))));
    if entry.targets.is_empty() {
        rows.push((
            "revision",
            format!(
                "{}, before {}",
                number(entry.revision),
                number(entry.before)
            ),
        ));
    }
    rows.extend(targets(&entry.targets));
    rows.extend(artifacts(entry));
    rows.push(("who", cell(&entry.who.user)));
    if let Some(workflow) = &entry.who.workflow {
        let parts = [
            &workflow.actor,
            &workflow.event,
            &workflow.reference,
            &workflow.sha,
            &workflow.url,
        ];
        rows.extend(parts.into_iter().flatten().map(|part| ("", cell(part))));
    }
    let phases: Vec<String> = entry
        .phases
        .iter()
        .map(|timing| format!("{} {}", cell(&timing.phase), took(timing.ms)))
        .collect();
    if !phases.is_empty() {
        rows.push(("phases", phases.join(", ")));
    }
    rows.into_iter()
        .map(|(name, value)| format!("{name:<10}{value}"))
        .collect()
}

/// The chart and the images, and what was proven of them.
fn artifacts(entry: &Entry) -> Vec<(&'static str, String)> {
    let request = &entry.request;
    let (chart, version) = (cell(&request.chart), cell(&request.version));
    let mut rows = vec![("chart", format!("{chart} {version}"))];
    rows.extend(entry.chart_digest.iter().map(|digest| ("", cell(digest))));
    for (key, image) in &request.images {
        rows.push(("image", format!("{}: {}", cell(key), cell(image))));
        rows.extend(entry.digests.get(key).map(|digest| ("", cell(digest))));
    }
    let origins = &entry.proven;
    let chart = origins.chart.iter();
    let chart = chart.map(|by| ("chart", by, origins.chart_commit.as_ref()));
    let images = origins.images.iter();
    let images = images.map(|(key, by)| (key.as_str(), by, origins.image_commits.get(key)));
    for (what, by, commit) in chart.chain(images) {
        let commit = commit.map_or(String::new(), |it| format!(", commit {}", cell(it)));
        rows.push(("origin", format!("{}: {}{commit}", cell(what), cell(by))));
    }
    rows
}

fn cell(value: &str) -> String {
    text::line(value, text::LINE).into_owned()
}

/// What became of each target, with its cause below it.
fn targets(targets: &[RecordedTarget]) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    for target in targets {
        let version = target.version.as_deref().map_or("-".to_owned(), cell);
        rows.push((
            "target",
            format!(
                "{} (wave {}, {}): {}, {version}",
                cell(&target.name),
                target.wave,
                cell(&target.cluster),
                cell(&target.outcome)
            ),
        ));
        rows.extend(target.cause.iter().map(|cause| ("", cell(cause))));
    }
    rows
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::run;
    use crate::error::{Exit, Kind};
    use crate::state::evidence;
    use crate::state::journal::{self, RecordedTarget, tests::entry};

    #[test]
    fn a_run_is_shown_with_its_evidence() {
        let state = tempfile::tempdir().unwrap();
        let entry =
            entry("shop", Exit::Failed(Kind::RolledBack)).with_cause("api: \u{1b}[31mcrashed");
        let id = entry.run.clone();
        assert_eq!(
            run(state.path(), &id, false, true).unwrap_err().kind(),
            Kind::Request
        );
        journal::append(state.path(), &entry).unwrap();
        evidence::keep(state.path(), &id, &["pod api-1 is not ready".to_owned()]).unwrap();
        let shown = run(state.path(), &id, false, true).unwrap();
        assert_eq!(shown[0], format!("run       {id}"));
        assert!(
            shown.contains(&"cause     api: \\x1b[31mcrashed".to_owned()),
            "{shown:?}"
        );
        assert_eq!(shown.last().unwrap(), "pod api-1 is not ready");
        let object = run(state.path(), &id, true, true).unwrap();
        let object: serde_json::Value = serde_json::from_str(&object[0]).unwrap();
        assert_eq!(object["evidence"][0], "pod api-1 is not ready");
        assert_eq!(object["run"], id.as_str());
        // Of a run in several clusters each target, instead of a revision.
        let target = |name: &str, cause: Option<&str>| RecordedTarget {
            name: name.to_owned(),
            wave: 2,
            cluster: "eu".to_owned(),
            outcome: "rolled-back".to_owned(),
            version: Some("1.0.0".to_owned()),
            cause: cause.map(str::to_owned),
        };
        let fleet = journal::Entry {
            run: "20261124T175106Z-0000ff".parse().unwrap(),
            targets: vec![
                target("shop-eu", Some("api: crashed")),
                target("shop-us", None),
            ],
            ..entry
        };
        journal::append(state.path(), &fleet).unwrap();
        let shown = run(state.path(), &fleet.run, false, true)
            .unwrap()
            .join("\n");
        assert!(
            shown.contains(
                "\ntarget    shop-eu (wave 2, eu): rolled-back, 1.0.0\n          api: crashed\n\
                 target    shop-us (wave 2, eu): rolled-back, 1.0.0\nchart "
            ),
            "{shown}"
        );
        for json in [false, true] {
            let shown = run(state.path(), &id, json, false).unwrap().join("\n");
            assert!(!shown.contains("not ready"), "{shown}");
            assert!(shown.contains("on the node"), "{shown}");
        }
    }
}
