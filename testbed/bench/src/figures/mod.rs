//! Figures of `deploy` against what it replaces: each a comparison that is measured side by side
//! in one run, since a time alone says more of the machine than of the program.
//!
//! It prints nothing: the command line does.

mod causes;
mod deploys;
mod fleet;
mod own;
mod receive;
mod requests;
mod scale;
mod verify;

use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

pub use causes::causes;
pub use deploys::good_deploys;
pub use fleet::fleet;
pub use own::own;
pub use receive::received;
pub use requests::refusals;
pub use scale::scale;
pub use verify::verified;

/// What a figure is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Milliseconds.
    Ms,
    /// Millions of bytes.
    Mb,
    /// Requests to the apiserver.
    Requests,
}

impl Unit {
    const fn name(self) -> &'static str {
        match self {
            Self::Ms => "ms",
            Self::Mb => "MB",
            Self::Requests => "requests",
        }
    }
}

/// What is held against the bar.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Held {
    /// `deploy`'s own value.
    Alone,
    /// What it needs beyond the other.
    Beyond(f64),
    /// Its part of the other's.
    Part,
}

/// One line of the bench.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// What was done.
    pub what: String,
    /// How often each was measured.
    pub times: usize,
    /// In what the values are.
    pub unit: Unit,
    /// `deploy`'s median.
    pub deploy: f64,
    /// What it is measured against, and that one's median.
    pub other: Option<(String, f64)>,
    /// What counts.
    pub held: Held,
    /// The most that it may be; infinite where it is only told.
    pub bar: f64,
}

impl Figure {
    /// What is held against the bar. For pairs this is the median of the differences, which is not
    /// the difference of the medians.
    pub fn value(&self) -> f64 {
        match (self.held, &self.other) {
            (Held::Beyond(difference), _) => difference,
            (Held::Part, Some((_, other))) => self.deploy / other,
            _ => self.deploy,
        }
    }

    /// Whether it is within the bar.
    pub fn is_ok(&self) -> bool {
        self.value() <= self.bar
    }

    /// One line for people.
    pub fn line(&self) -> String {
        let unit = self.unit.name();
        let mut line = format!("{}: {:.1} {unit}", self.what, self.deploy);
        if let Some((name, other)) = &self.other {
            let ratio = self.deploy / other;
            let _ = write!(line, ", {name} {other:.1} {unit}, ratio {ratio:.2}");
        }
        let (value, bar) = (self.value(), self.bar);
        let bar = match self.held {
            _ if bar.is_infinite() => "; without a bar".to_owned(),
            Held::Alone => format!("; at most {bar} {unit}"),
            Held::Beyond(_) => format!("; {value:+.1} {unit}, at most {bar:+} {unit}"),
            Held::Part => format!("; at most {bar}"),
        };
        let verdict = if self.is_ok() { "ok" } else { "OVER" };
        format!("{line}{bar} (n = {}): {verdict}", self.times)
    }
}

/// The middle of these, in milliseconds.
fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 0 => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}

/// Two measurements in turn, the first one first in every second round, so that whatever else the
/// machine does strikes both. Gives pairs, in milliseconds.
fn pairs(
    rounds: usize,
    mut one: impl FnMut(usize) -> Result<Duration>,
    mut other: impl FnMut(usize) -> Result<Duration>,
) -> Result<Vec<(f64, f64)>> {
    let ms = |took: Duration| took.as_secs_f64() * 1000.0;
    (0..rounds)
        .map(|round| {
            if round % 2 == 0 {
                let first = ms(one(round)?);
                Ok((first, ms(other(round)?)))
            } else {
                let first = ms(other(round)?);
                Ok((ms(one(round)?), first))
            }
        })
        .collect()
}

/// The figure of a value by itself.
fn alone(what: impl Into<String>, unit: Unit, value: f64, bar: f64) -> Figure {
    Figure {
        what: what.into(),
        times: 1,
        unit,
        deploy: value,
        other: None,
        held: Held::Alone,
        bar,
    }
}

/// The figure of pairs whose median difference counts.
fn beyond(what: impl Into<String>, other: &str, pairs: &[(f64, f64)], bar: f64) -> Figure {
    Figure {
        what: what.into(),
        times: pairs.len(),
        unit: Unit::Ms,
        deploy: median(pairs.iter().map(|pair| pair.0)),
        other: Some((other.to_owned(), median(pairs.iter().map(|pair| pair.1)))),
        held: Held::Beyond(median(pairs.iter().map(|pair| pair.0 - pair.1))),
        bar,
    }
}

/// Runs a program to its end, without output, and tells how long it took. An error where it ends
/// with another exit code than this one.
fn time(command: &mut Command, expected: i32) -> Result<Duration> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let begun = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("{} cannot be run", command.get_program().display()))?;
    let took = begun.elapsed();
    if status.code() != Some(expected) {
        bail!("{command:?} ended with {status}, expected exit code {expected}");
    }
    Ok(took)
}

/// How large the program is. `deploy` is stripped when it is built for release.
pub fn size(deploy: &std::path::Path) -> Result<Figure> {
    let bytes = std::fs::metadata(deploy)?.len();
    Ok(megabytes("size of the program", bytes, 16.0))
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn count(number: usize) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52 bytes")]
fn megabytes(what: impl Into<String>, bytes: u64, bar: f64) -> Figure {
    alone(what, Unit::Mb, bytes as f64 / 1e6, bar)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp)]

    use super::*;

    #[test]
    fn the_middle_is_found() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median([]).is_nan());
    }

    #[test]
    fn pairs_take_turns() {
        let order = std::cell::RefCell::new(String::new());
        let say = |name: char| {
            order.borrow_mut().push(name);
            Ok(Duration::from_millis(if name == 'a' { 1 } else { 2 }))
        };
        let pairs = pairs(3, |_| say('a'), |_| say('b')).unwrap();
        assert_eq!(*order.borrow(), "abbaab");
        assert_eq!(pairs, [(1.0, 2.0); 3]);
    }

    #[test]
    fn a_figure_is_held_against_its_bar() {
        let pairs = [(10.0, 8.0), (30.0, 9.0), (11.0, 10.0)];
        let mut figure = beyond("x", "y", &pairs, 2.0);
        assert_eq!(
            figure.line(),
            "x: 11.0 ms, y 9.0 ms, ratio 1.22; +2.0 ms, at most +2 ms (n = 3): ok"
        );
        figure.held = Held::Part;
        figure.bar = 0.1;
        assert!(!figure.is_ok());
        assert!(figure.line().ends_with("at most 0.1 (n = 3): OVER"));
        let size = megabytes("size", 12_000_000, 12.0);
        assert_eq!(size.line(), "size: 12.0 MB; at most 12 MB (n = 1): ok");
    }

    #[test]
    fn an_unexpected_end_is_an_error() {
        assert!(time(&mut Command::new("true"), 0).is_ok());
        assert!(time(&mut Command::new("true"), 2).is_err());
        assert!(time(&mut Command::new("/nowhere"), 0).is_err());
    }
}
