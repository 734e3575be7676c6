//! The proof in the ways that a chart may need, and the lines that help where it
//! fails.

use std::collections::BTreeMap;

use serde_json::Value;

use super::archive::Chart;
use super::proof::{Proof, proven};
use super::render::Render;
use super::sentinel::Ends;
use super::suggestions::Refusal;
use super::trials::Trials;
use crate::plan::ImageRules;
use crate::signal::{ImageKey, ImageRef};
use crate::{Error, Kind, Result};

/// Finds how `chart` spells the images with the node's values, and proves that
/// the requested ones take effect; usually three renders. Fails with
/// [`Kind::Chart`] where they would not, with all reasons at once and the lines
/// of deploy.toml by which they would, each tried by a proof of its own; and
/// with the renderer's error where the chart does not render.
pub async fn prove<R: Render + Sync>(
    chart: &Chart,
    node_values: &[Value],
    rules: &ImageRules,
    images: &BTreeMap<ImageKey, ImageRef>,
    render: &R,
) -> Result<Proof> {
    let refusal = match either_way(chart, node_values, rules, images, render).await {
        Ok(proof) => return Ok(proof),
        Err(refusal) => refusal,
    };
    if refusal.error.kind() != Kind::Chart {
        return Err(refusal.error);
    }
    let mut trials = Trials::of(refusal);
    while let Some(rules) = trials.next(rules) {
        match either_way(chart, node_values, &rules, images, render).await {
            Err(refusal) if is_cancelled(&refusal) => return Err(refusal.error),
            outcome => trials.came_of_it(outcome.err().map(|refusal| refusal.error).as_ref()),
        }
    }
    Err(trials.told())
}

/// The same with `preferred`; where the chart does not take these, with `requested`,
/// and why. No line is looked for that would help the preferred ones.
pub async fn prove_preferring<R: Render + Sync>(
    chart: &Chart,
    node_values: &[Value],
    rules: &ImageRules,
    preferred: &BTreeMap<ImageKey, ImageRef>,
    requested: &BTreeMap<ImageKey, ImageRef>,
    render: &R,
) -> Result<(Proof, Option<Error>)> {
    let mut why = None;
    if preferred != requested {
        let first = proven(chart, node_values, rules, preferred, Ends::MadeUp, render).await;
        match first.map_err(Refusal::without_lines) {
            Err(error) if error.kind() == Kind::Chart => why = Some(error),
            proven => return Ok((proven?, None)),
        }
    }
    let proof = prove(chart, node_values, rules, requested, render).await?;
    Ok((proof, why))
}

/// A proof by made-up references; where the chart does not take these, or renders
/// a container for the requested ones only, by the requested tags. A template may
/// have a condition on the very tag, and is not blamed before it was given it.
async fn either_way<R: Render + Sync>(
    chart: &Chart,
    node_values: &[Value],
    rules: &ImageRules,
    images: &BTreeMap<ImageKey, ImageRef>,
    render: &R,
) -> std::result::Result<Proof, Refusal> {
    let first = proven(chart, node_values, rules, images, Ends::MadeUp, render).await;
    let is_odd = match &first {
        Ok(proof) => !proof.unassigned.is_empty(),
        Err(refusal) => refusal.error.kind() == Kind::Chart,
    };
    let has_tag = images.values().any(|image| image.tag().is_some());
    if !is_odd || !has_tag {
        return first;
    }
    let second = proven(chart, node_values, rules, images, Ends::Requested, render).await;
    let said = match (&first, &second) {
        (Err(refusal), Ok(_)) => refusal.error.to_string(),
        (Ok(first), Ok(second)) if second.unassigned.len() < first.unassigned.len() => {
            first.unassigned.join("; ")
        }
        (_, Err(refusal)) if is_cancelled(refusal) => return second,
        _ => return first,
    };
    second.map(|mut proof| {
        proof.warnings.push(format!(
            "the chart takes the requested tags otherwise than other ones, so that the next may reach other containers; with made-up tags: {said}"
        ));
        proof
    })
}

fn is_cancelled(refusal: &Refusal) -> bool {
    matches!(refusal.error.kind(), Kind::Cancelled(_))
}
