//! Which places in the values the templates read, and how: every candidate is
//! set to its own sentinel at once, so that one render shows it of all of them.
//!
//! Only a place that is read in another layout than the likeliest costs a
//! further render.

use serde_json::Value;

use super::model::{Candidate, Mangled, MangledPart, ProbeResult, State};
use super::render::Render;
use super::sentinel::{Ends, MadeUp, Sentinel, Sentinels};
use super::{label_rules, sentinel_scan, values};
use crate::manifest::Object;
use crate::plan::ValuePath;
use crate::{Error, Kind, Result, text};

/// The most renders spent on finding out.
const MAX_ROUNDS: usize = 24;

/// Renders until every candidate is judged.
pub(super) async fn run<R: Render>(
    mut candidates: Vec<Candidate>,
    ends: Ends,
    render: &R,
) -> Result<ProbeResult> {
    let mut sentinels = Sentinels::default();
    candidates.retain(|candidate| !candidate.location.layouts.is_empty());
    let [mut parts, ref less @ ..] = *MadeUp::steps(ends) else {
        return Err(Error::new(Kind::Internal, "nothing is made up"));
    };
    let mut steps = less.iter().copied();
    for _ in 0..MAX_ROUNDS {
        let mut made: Vec<(usize, Sentinel)> = Vec::new();
        for (at, candidate) in candidates.iter().enumerate() {
            if candidate.is_active() {
                made.push((
                    at,
                    sentinels.make(candidate.layout(), &candidate.image, parts)?,
                ));
            }
        }
        let manifest = match render.render(&overrides(&made)).await {
            Ok(manifest) => manifest,
            Err(error) if error.kind() == Kind::Chart => {
                // The chart may check what it is given: it is to blame only
                // where it does not take the requested references either.
                if renders_requested(&candidates, render).await
                    && let Some(next) = steps.next()
                {
                    parts = next;
                    sentinels = Sentinels::default();
                    continue;
                }
                without_culprits(error, &mut candidates, &made, render).await?;
                continue;
            }
            Err(error) => return Err(error),
        };
        let objects = Object::parse(&manifest)?;
        let mut result = ProbeResult::default();
        let mut again = false;
        for (at, sentinel) in &made {
            let shared = marks_of_others(&made, *at);
            let candidate = &mut candidates[*at];
            again |= judge(candidate, sentinel, &shared, &objects, &mut result);
        }
        if !again {
            result.candidates = candidates;
            result.objects = objects;
            return Ok(result);
        }
    }
    Err(Error::new(
        Kind::Chart,
        format!("{MAX_ROUNDS} renders did not show how the chart reads its images"),
    )
    .hint("name their places in deploy.toml, under the app: images.<key> = [\"…\"]"))
}

fn overrides(made: &[(usize, Sentinel)]) -> Value {
    let assignments = made
        .iter()
        .flat_map(|(_, sentinel)| sentinel.assignments.iter().cloned());
    values_of(assignments)
}

fn values_of(assignments: impl Iterator<Item = (ValuePath, String)>) -> Value {
    let mut overrides = Value::Object(serde_json::Map::new());
    for (path, text) in assignments {
        values::set(&mut overrides, &path, Value::String(text));
    }
    overrides
}

/// Whether the chart renders with the requested references in these places.
async fn renders_requested<R: Render>(candidates: &[Candidate], render: &R) -> bool {
    let active = candidates.iter().filter(|candidate| candidate.is_active());
    let requested = active.flat_map(|candidate| candidate.layout().assignments(&candidate.image));
    render.render(&values_of(requested)).await.is_ok()
}

fn marks_of_others(made: &[(usize, Sentinel)], at: usize) -> Vec<String> {
    let others = made.iter().filter(|(other, _)| *other != at);
    let marks = others.flat_map(|(_, other)| other.marks.iter());
    marks.map(|(_, mark)| mark.clone()).collect()
}

/// What a render shows of one candidate; whether another round must follow.
fn judge(
    candidate: &mut Candidate,
    sentinel: &Sentinel,
    shared: &[String],
    objects: &[Object],
    result: &mut ProbeResult,
) -> bool {
    let scan = sentinel_scan::scan(objects, candidate, sentinel, shared);
    let names = label_rules::refused(objects, sentinel, &candidate.image);
    if !scan.slots.is_empty() && names.is_empty() {
        candidate.state = State::Exact;
        let key = &candidate.location.key;
        result.notes.extend(
            scan.mangled
                .iter()
                .map(|line| format!("a part of {key}'s image stands in another one: {line}")),
        );
        result.slots.extend(scan.slots);
        return false;
    }
    // Nothing after a layout that was read: a wrong layout, not an unread location.
    if scan.slots.is_empty() && scan.mangled.is_empty() && !candidate.has_mangled() {
        candidate.state = State::Unread;
        return false;
    }
    let mangled = if scan.slots.is_empty() {
        Mangled {
            part: MangledPart::Image,
            lines: scan.mangled,
        }
    } else {
        Mangled {
            part: MangledPart::Name,
            lines: names,
        }
    };
    candidate.try_next_layout(mangled, scan.name, scan.end)
}

/// The chart does not render with these sentinels. Where it renders without
/// them, each candidate is tried by itself, and the one that it does not take
/// (a schema that knows no such field, a template that wants a tag or a digest
/// but not both) goes on to its next layout. Fails where that cannot help.
async fn without_culprits<R: Render>(
    error: Error,
    candidates: &mut [Candidate],
    made: &[(usize, Sentinel)],
    render: &R,
) -> Result<()> {
    // Its own error is the simpler one: no made-up references in it.
    render
        .render(&Value::Object(serde_json::Map::new()))
        .await?;
    let mut again = false;
    for one in made {
        let alone = std::slice::from_ref(one);
        let Err(cause) = render.render(&overrides(alone)).await else {
            continue;
        };
        let candidate = &mut candidates[one.0];
        let said = std::iter::once(cause.to_string()).chain(cause.evidence());
        let lines = said.map(|line| {
            text::line(&one.1.unmask(&line, &candidate.image), text::LINE).into_owned()
        });
        let mangled = Mangled {
            part: MangledPart::Manifest,
            lines: lines.filter(|line| !line.trim().is_empty()).collect(),
        };
        candidate.try_next_layout(mangled, false, false);
        again = true;
    }
    if again {
        return Ok(());
    }
    Err(error.detail("the chart renders with its own images, but not with others in their places"))
}
