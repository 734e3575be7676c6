//! The job summary: what a person wants to know of a deploy in ten seconds.
//!
//! What it tells, and in which order; how a word from outside stands in it is
//! [`super::markup`]'s.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::super::changes;
use super::super::lines::shown;
use super::markup::{code, escaped, fenced};
use crate::error::{Error, Exit, Kind};
use crate::event::{Phase, Report, RunFacts, Summary};
use crate::manifest::changes::Preview;
use crate::signal::{Digest, ImageKey};
use crate::units;

/// The most that is shown of evidence, in bytes: more is no help on a page.
const EVIDENCE: usize = 128 * 1024;

/// How many notes and warnings are shown.
const REMARKS: usize = 20;

/// How many targets are shown.
const TARGETS: usize = 50;

/// What is known of a run, as events said it.
#[derive(Debug)]
pub(super) struct RunRecord {
    pub(super) plan: Option<Summary>,
    pub(super) facts: RunFacts,
    /// The phases that ended, how long each took, and whether it ended well.
    pub(super) timings: Vec<(Phase, Duration, bool)>,
    /// Notes and warnings.
    pub(super) remarks: Vec<String>,
    /// What would change, where that was told before anything did.
    pub(super) preview: Option<Preview>,
    pub(super) begun: Instant,
}

/// How the run ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum RunEnd<'a> {
    Finished(&'a Report),
    Failed(&'a Error),
}

/// The summary, at most so many bytes; nothing where there is no room for the
/// least that makes sense.
pub(super) fn render(record: &RunRecord, end: RunEnd<'_>, room: usize) -> Option<String> {
    let (head, foot) = (head(record, end), foot(record));
    let (logs, said) = match end {
        RunEnd::Failed(error) => (error.log(), error.said()),
        RunEnd::Finished(_) => (&[][..], Vec::new()),
    };
    let left = room.saturating_sub(head.len() + foot.len()).min(EVIDENCE);
    let logs = fenced("Its log", true, logs, left);
    let open = logs.is_empty();
    let said = fenced(
        "What the cluster said",
        open,
        &said,
        left.saturating_sub(logs.len()),
    );
    let left = left.saturating_sub(logs.len() + said.len());
    let evidence = logs + &said + &changes(record, end, left);
    [format!("{head}{evidence}{foot}"), head, least(record, end)]
        .into_iter()
        .find(|page| page.len() <= room)
}

/// What would change, folded.
fn changes(record: &RunRecord, end: RunEnd<'_>, room: usize) -> String {
    let preview = match end {
        RunEnd::Finished(report) => report.preview.as_ref(),
        RunEnd::Failed(_) => None,
    };
    let Some(preview) = preview.or(record.preview.as_ref()) else {
        return String::new();
    };
    let mut text = Vec::new();
    if changes::preview(&mut text, preview).is_err() {
        return String::new();
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    let text = anstream::adapter::strip_str(&text).to_string();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    fenced("What would change", false, &lines, room)
}

fn head(record: &RunRecord, end: RunEnd<'_>) -> String {
    let mut page = least(record, end);
    // Without a blank line between, all of it is one block of HTML.
    page.truncate(page.trim_end().len());
    page.push('\n');
    if let RunEnd::Failed(error) = end
        && !error.hints().is_empty()
    {
        page.push_str("<p><b>What now</b></p>\n<ul>\n");
        for hint in error.hints() {
            let _ = writeln!(page, "<li>{}</li>", code(hint));
        }
        page.push_str("</ul>\n");
    }
    table(&mut page, record, end);
    targets(&mut page, record);
    page.push('\n');
    page
}

/// How it ended, and why.
fn least(record: &RunRecord, end: RunEnd<'_>) -> String {
    let release = record.plan.as_ref().map(|plan| plan.release.as_str());
    let release = release.map(|release| format!("{}: ", code(release)));
    let release = release.unwrap_or_default();
    let seconds = record.begun.elapsed().as_secs_f32();
    match end {
        RunEnd::Finished(Report {
            forward: Some(controller),
            dry_run,
            ..
        }) => {
            let (mark, done) = if *dry_run {
                ("🧪", "would be forwarded to")
            } else {
                ("✅", "deployed by")
            };
            format!("<h3>{mark} {release}{done} {}</h3>\n\n", code(controller))
        }
        RunEnd::Finished(report) if report.dry_run => {
            format!(
                "<h3>🧪 {release}would deploy, proven in {seconds:.1} s; nothing was applied</h3>\n\n"
            )
        }
        RunEnd::Finished(report) if !report.targets.is_empty() => format!(
            "<h3>✅ {release}deployed to {} and judged good in {seconds:.1} s</h3>\n\n",
            units::count(report.targets.len(), "target")
        ),
        RunEnd::Finished(report) => format!(
            "<h3>✅ {release}revision {} deployed and verified in {seconds:.1} s</h3>\n\n",
            report.revision.unwrap_or_default()
        ),
        RunEnd::Failed(error) => {
            let exit = error.exit();
            let mark = match exit {
                Exit::Failed(Kind::Cancelled(_)) => "🛑",
                _ => "❌",
            };
            format!(
                "<h3>{mark} {release}{}</h3>\n<blockquote>{}</blockquote>\n\n",
                escaped(exit.meaning()),
                code(&error.to_string())
            )
        }
    }
}

fn table(page: &mut String, record: &RunRecord, end: RunEnd<'_>) {
    let mut rows = Vec::new();
    if let Some(plan) = &record.plan {
        rows.extend(artifacts(plan, &record.facts));
        if record.facts.targets.is_empty() {
            rows.push(("revision".to_owned(), revision(&record.facts, end)));
        }
    }
    if !record.timings.is_empty() {
        let timings: Vec<String> = record
            .timings
            .iter()
            .map(|(phase, took, well)| {
                let mark = if *well { "" } else { " ✗" };
                format!("{} {:.1} s{mark}", phase.name(), took.as_secs_f32())
            })
            .collect();
        let total = record.begun.elapsed().as_secs_f32();
        let timings = format!("{total:.1} s: {}", timings.join(", "));
        rows.push(("time".to_owned(), timings));
    }
    if let Some(plan) = &record.plan {
        let run = shown(&plan.run);
        let more = match end {
            RunEnd::Failed(_) => format!(
                ", more on the node: {}",
                code(&format!("deploy show {run}"))
            ),
            RunEnd::Finished(_) => String::new(),
        };
        rows.push(("run".to_owned(), format!("{}{more}", code(&run))));
    }
    if let RunEnd::Failed(error) = end {
        let code = error.exit().code();
        rows.push((
            "exit code".to_owned(),
            format!("{code}: {}", error.exit().cure()),
        ));
    }
    page.push_str("<table>\n");
    for (name, value) in rows {
        let _ = writeln!(
            page,
            "<tr><th align=\"left\">{name}</th><td>{value}</td></tr>"
        );
    }
    page.push_str("</table>\n");
}

/// What is deployed where, and what is proven of it.
fn artifacts(plan: &Summary, facts: &RunFacts) -> Vec<(String, String)> {
    let (release, namespace) = (code(&plan.release), code(&plan.namespace));
    let place = format!("{release} in namespace {namespace}");
    let mut rows = vec![("release".to_owned(), place)];
    let below = |digest: Option<&Digest>| {
        digest.map_or(String::new(), |digest| {
            format!("<br>{}", code(digest.as_str()))
        })
    };
    let digest = below(facts.chart_digest.as_ref());
    rows.push(("chart".to_owned(), format!("{}{digest}", code(&plan.chart))));
    for (key, image) in &plan.images {
        let digest = key.parse().ok();
        let digest = digest.and_then(|key: ImageKey| facts.digests.get(&key));
        let digest = below(digest.filter(|digest| !image.contains(digest.as_str())));
        rows.push((code(key), format!("{}{digest}", code(image))));
    }
    let chart = facts.proven.chart.iter().map(|origin| ("chart", origin));
    let images = facts.proven.images.iter();
    let images = images.map(|(key, origin)| (key.as_str(), origin));
    for (what, origin) in chart.chain(images) {
        let commit = origin.commit.as_ref();
        let commit = commit.map_or(String::new(), |it| format!(", commit {}", code(it)));
        let proven = format!("{}: {}{commit}", code(what), code(&origin.by));
        rows.push(("origin".to_owned(), proven));
    }
    rows
}

/// What became of each target.
fn targets(page: &mut String, record: &RunRecord) {
    let targets = &record.facts.targets;
    if targets.is_empty() {
        return;
    }
    page.push_str("<table>\n<tr>");
    for name in ["target", "wave", "cluster", "version", "outcome", "cause"] {
        let _ = write!(page, "<th align=\"left\">{name}</th>");
    }
    page.push_str("</tr>\n");
    for target in targets.iter().take(TARGETS) {
        let or_none = |text: &Option<String>| text.as_deref().map_or_else(String::new, code);
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            code(&target.name),
            target.wave,
            code(&target.cluster),
            or_none(&target.version),
            target.outcome.words(),
            or_none(&target.cause)
        );
    }
    page.push_str("</table>\n");
    let more = targets.len().saturating_sub(TARGETS);
    if more > 0 {
        let _ = writeln!(page, "<p>and {more} more in the log</p>");
    }
}

fn revision(facts: &RunFacts, end: RunEnd<'_>) -> String {
    if let RunEnd::Finished(report) = end {
        let before = report.before.map_or_else(
            || "first install".to_owned(),
            |before| format!("{before} before"),
        );
        let same = if report.unchanged {
            "; the manifest is the same"
        } else {
            ""
        };
        return match report.revision {
            Some(revision) => format!("{revision} ({before}{same})"),
            None => format!("none made ({before})"),
        };
    }
    match (facts.before, facts.revision) {
        (Some(before), Some(now)) if before != now => format!("{now} now, {before} served before"),
        (Some(before), _) => format!("{before}, as before"),
        (None, Some(now)) => format!("{now}, none served before"),
        (None, None) => "none".to_owned(),
    }
}

fn foot(record: &RunRecord) -> String {
    if record.remarks.is_empty() {
        return String::new();
    }
    let mut foot = "<details><summary>Notes</summary>\n<ul>\n".to_owned();
    for remark in record.remarks.iter().take(REMARKS) {
        let _ = writeln!(foot, "<li>{}</li>", code(remark));
    }
    let more = record.remarks.len().saturating_sub(REMARKS);
    if more > 0 {
        let _ = writeln!(foot, "<li>and {more} more in the log</li>");
    }
    foot.push_str("</ul>\n</details>\n\n");
    foot
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{RunEnd, RunRecord, render};
    use crate::error::{Error, Kind};
    use crate::event::RunFacts;
    use crate::event::waves::{TargetOutcome, TargetReport};

    fn record() -> RunRecord {
        RunRecord {
            plan: None,
            facts: RunFacts::default(),
            timings: Vec::new(),
            remarks: vec!["<script>".to_owned()],
            preview: None,
            begun: Instant::now(),
        }
    }

    #[test]
    fn it_keeps_within_its_room() {
        let error = Error::new(Kind::Broken, "it broke")
            .details((0..50_000).map(|count| format!("{count}: {}", "log ".repeat(20))));
        let whole = render(&record(), RunEnd::Failed(&error), 1 << 20).unwrap_or_default();
        assert!(whole.len() > 100_000, "{}", whole.len());
        assert!(whole.contains("49999: log"), "the end of it is kept");
        for room in [0, 10, 100, 300, 500, 1000, 5000, 100_000] {
            let page = render(&record(), RunEnd::Failed(&error), room).unwrap_or_default();
            assert!(page.len() <= room, "{} in {room}", page.len());
            assert!(room < 300 || page.contains("it broke"), "{room}: {page}");
            let count = |tag| page.matches(tag).count();
            assert_eq!(count("<details"), count("</details>"));
        }
    }

    #[test]
    fn each_target_has_its_row() {
        let mut record = record();
        let target = |number: usize| TargetReport {
            name: format!("shop-{number}"),
            wave: 2,
            cluster: "<eu>".to_owned(),
            outcome: TargetOutcome::RolledBack,
            version: Some("1.0.0".to_owned()),
            cause: (number == 0).then(|| "api: @mention crashed".to_owned()),
        };
        record.facts.targets = (0..60).map(target).collect();
        let error = Error::new(Kind::RolledBack, "shop-0 (eu): api crashed");
        let page = render(&record, RunEnd::Failed(&error), 1 << 20).unwrap_or_default();
        let row = "<tr><td><code>shop-0</code></td><td>2</td><td><code>&lt;eu&gt;</code></td>\
                   <td><code>1.0.0</code></td><td>rolled back</td>\
                   <td><code>api: @mention crashed</code></td></tr>\n";
        assert!(page.contains(row), "{page}");
        assert!(page.contains("<code>shop-49</code>") && !page.contains("<code>shop-50</code>"));
        assert!(page.contains("<p>and 10 more in the log</p>"), "{page}");
        assert_eq!(
            page.matches("<table>").count(),
            page.matches("</table>").count()
        );
    }
}
