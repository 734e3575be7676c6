//! What a crowded namespace costs: `deploy`'s memory and its list requests with other releases'
//! pods around.

use std::path::Path;

use anyhow::Result;
use testbed::client::Info;
use testbed::crowd::crowds;

use super::{Figure, Unit, alone, count, megabytes};

/// The most memory, in millions of bytes, up to so many pods.
const BAR: f64 = 40.0;
const BAR_PODS: usize = 1000;

/// The figures of crowds: memory, and list requests, which must be as many as in the smallest.
pub fn scale(info: &Info, deploy: &Path, counts: &[usize]) -> Result<Vec<Figure>> {
    let crowds = crowds(info, deploy, counts)?;
    let first = crowds.first().map_or(0, |crowd| crowd.lists);
    let mut figures = Vec::new();
    for crowd in crowds {
        let pods = crowd.pods;
        let bar = if pods <= BAR_PODS { BAR } else { f64::INFINITY };
        let what = format!("the most memory of deploy itself, {pods} pods around");
        figures.push(megabytes(what, crowd.memory, bar));
        let what = format!("lists, {pods} pods around, {} watches", crowd.watches);
        let (lists, bar) = (count(crowd.lists), count(first));
        figures.push(alone(what, Unit::Requests, lists, bar));
    }
    Ok(figures)
}
