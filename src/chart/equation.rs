//! An image as a template writes it: fixed text and values, in order.
//!
//! `{image.repository}-api:{image.tag}` is read from a render with made-up
//! values; a requested reference solves it, or does not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::plan::ValuePath;
use crate::text;

/// The most solutions looked at: adjacent places split a text in many ways.
const MAX_SOLUTIONS: usize = 400;

/// A piece of an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// Text that the template, or a value that is left as it is, fixes.
    Text(String),
    /// What stands at a place of the values.
    Place(ValuePath),
}

/// A container's image, as it is made of the values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Equation(Vec<Part>);

/// What each place must hold.
pub(super) type Solution = BTreeMap<ValuePath, String>;

impl Equation {
    /// Reads `image` by what stands at each place: the longest match counts, and
    /// of equal ones that beside the places before it.
    pub(super) fn read(image: &str, tokens: &[(ValuePath, String)]) -> Self {
        let mut parts = Vec::new();
        let mut fixed = String::new();
        let mut rest = image;
        while let Some(next) = rest.chars().next() {
            let found = tokens
                .iter()
                .filter(|(_, token)| !token.is_empty() && rest.starts_with(token.as_str()))
                .max_by_key(|(path, token)| (token.len(), nearness(path, &parts)));
            if let Some((path, token)) = found {
                if !fixed.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut fixed)));
                }
                parts.push(Part::Place(path.clone()));
                rest = &rest[token.len()..];
            } else {
                fixed.push(next);
                rest = &rest[next.len_utf8()..];
            }
        }
        if !fixed.is_empty() {
            parts.push(Part::Text(fixed));
        }
        Self(parts)
    }

    /// Its pieces.
    pub(super) fn parts(&self) -> &[Part] {
        &self.0
    }

    /// The places it is made of, each once.
    pub(super) fn places(&self) -> Vec<&ValuePath> {
        let mut places = Vec::new();
        for part in &self.0 {
            if let Part::Place(path) = part
                && !places.contains(&path)
            {
                places.push(path);
            }
        }
        places
    }

    /// The image with these values.
    pub(crate) fn with<'v>(&self, value: impl Fn(&ValuePath) -> Option<&'v str>) -> String {
        let pieces = self.0.iter().map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Place(path) => value(path).unwrap_or_default(),
        });
        pieces.collect()
    }

    /// The text that the template fixes.
    pub(super) fn fixed(&self) -> String {
        let texts = self.0.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Place(_) => None,
        });
        texts.collect::<Vec<_>>().join(" ")
    }

    /// What the places must hold for `wanted`, likeliest first: places keep
    /// what they hold where that is possible, and their number of path segments.
    pub(super) fn solve(
        &self,
        wanted: &str,
        now: &dyn Fn(&ValuePath) -> String,
    ) -> Vec<(usize, Solution)> {
        let mut found = Vec::new();
        // Some values hold the slash behind a registry or an owner.
        let slashes: BTreeSet<&ValuePath> = self
            .places()
            .into_iter()
            .filter(|path| now(path).ends_with('/'))
            .collect();
        split(&self.0, wanted, &slashes, &mut Solution::new(), &mut found);
        let mut costed: Vec<(usize, Solution)> = found
            .into_iter()
            .map(|solution| {
                let cost = solution
                    .iter()
                    .map(|(path, value)| cost(&now(path), value))
                    .sum();
                (cost, solution)
            })
            .collect();
        costed.sort_by_key(|(cost, solution)| {
            // The first place as short as can be: a registry, not half a path.
            let first = self.places().first().map(|path| solution[*path].len());
            (*cost, first)
        });
        costed
    }
}

/// How many keys `path` has in common with one of `parts`.
fn nearness(path: &ValuePath, parts: &[Part]) -> usize {
    let common = |part: &Part| match part {
        Part::Place(other) => {
            let pairs = path.keys().iter().zip(other.keys());
            pairs.take_while(|(one, two)| one == two).count()
        }
        Part::Text(_) => 0,
    };
    parts.iter().map(common).max().unwrap_or_default()
}

/// Every way to cut `rest` into `parts`, up to a bound.
fn split(
    parts: &[Part],
    rest: &str,
    slashes: &BTreeSet<&ValuePath>,
    so_far: &mut Solution,
    found: &mut Vec<Solution>,
) {
    if found.len() >= MAX_SOLUTIONS {
        return;
    }
    let Some((first, others)) = parts.split_first() else {
        if rest.is_empty() {
            found.push(so_far.clone());
        }
        return;
    };
    match first {
        Part::Text(text) => {
            if let Some(rest) = rest.strip_prefix(text.as_str()) {
                split(others, rest, slashes, so_far, found);
            }
        }
        Part::Place(path) => {
            if let Some(value) = so_far.get(path).cloned() {
                if let Some(rest) = rest.strip_prefix(value.as_str()) {
                    split(others, rest, slashes, so_far, found);
                }
                return;
            }
            let ends = rest.char_indices().map(|(at, one)| at + one.len_utf8());
            for end in ends {
                let value = &rest[..end];
                // A slash or a colon at an end belongs to the template.
                let end_of_it = if slashes.contains(path) {
                    value.strip_suffix('/').unwrap_or(value)
                } else {
                    value
                };
                if value.starts_with(['/', ':', '@']) || end_of_it.ends_with(['/', ':', '@']) {
                    continue;
                }
                so_far.insert(path.clone(), value.to_owned());
                split(others, &rest[end..], slashes, so_far, found);
                so_far.remove(path);
            }
        }
    }
}

/// How far `value` is from what stands there now: nothing where it is the same.
fn cost(now: &str, value: &str) -> usize {
    if now == value {
        return 0;
    }
    let count = |text: &str, one: char| text.matches(one).count();
    let slashes = count(now, '/').abs_diff(count(value, '/'));
    // What is a single word stays one where it can: a registry, an owner, a name.
    let weight = if now.contains('/') || now.is_empty() {
        2
    } else {
        3
    };
    let marks = if now.contains(':') || now.is_empty() {
        0
    } else {
        4 * count(value, ':')
    };
    1 + weight * slashes + marks
}

/// `image.repository + "-api:" + image.tag`
impl fmt::Display for Equation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(" + ")?;
            }
            match part {
                Part::Text(fixed) => write!(f, "\"{}\"", text::line(fixed, 120))?,
                Part::Place(path) => f.write_str(&text::line(&path.to_string(), 120))?,
            }
        }
        if self.0.is_empty() {
            f.write_str("\"\"")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::Equation;
    use crate::plan::ValuePath;

    /// `{a}` is a place that holds what is given for it.
    fn equation(shape: &str) -> Equation {
        let mut image = String::new();
        let mut tokens: Vec<(ValuePath, String)> = Vec::new();
        for piece in shape.split('}') {
            let (fixed, place) = piece.split_once('{').unwrap_or((piece, ""));
            image.push_str(fixed);
            if !place.is_empty() {
                let token = format!("TOKEN-{place}-END");
                image.push_str(&token);
                tokens.push((place.parse().unwrap(), token));
            }
        }
        Equation::read(&image, &tokens)
    }

    #[test]
    fn a_value_may_end_in_a_slash() {
        let equation = equation("{r}shop-api:{t}");
        let now = |path: &ValuePath| match path.to_string().as_str() {
            "r" => "docker.io/old/".to_owned(),
            _ => "0".to_owned(),
        };
        let best = equation.solve("ghcr.io/acme/shop-api:1", &now);
        let values: Vec<&str> = best[0].1.values().map(String::as_str).collect();
        assert_eq!(values, ["ghcr.io/acme/", "1"]);
        let without = |_: &ValuePath| "x".to_owned();
        assert!(
            equation
                .solve("ghcr.io/acme/shop-api:1", &without)
                .is_empty()
        );
    }

    #[test]
    fn references_solve_equations() {
        let hex = "a".repeat(64);
        let digest = format!("ghcr.io/acme/shop-api@sha256:{hex}");
        // the equation, what stands there, what is wanted, what solves it
        for (shape, now, wanted, solved) in [
            (
                "{r}:{t}",
                "r=x t=0",
                "ghcr.io/acme/api:1",
                "r=ghcr.io/acme/api t=1",
            ),
            (
                "{r}-api:{t}",
                "r=x t=0",
                "ghcr.io/acme/shop-api:1",
                "r=ghcr.io/acme/shop t=1",
            ),
            ("{r}-api:{t}", "r=x t=0", "ghcr.io/acme/api:1", ""),
            (
                "{g}/{r}:{t}",
                "g=docker.io r=acme/api t=0",
                "ghcr.io/acme/shop/api:1",
                "g=ghcr.io r=acme/shop/api t=1",
            ),
            (
                "{g}/{r}:{t}",
                "g=ghcr.io/acme r=x t=0",
                "ghcr.io/acme/shop/api:1",
                "g=ghcr.io/acme r=shop/api t=1",
            ),
            (
                "{g}/{o}/{r}/{n}:{t}",
                "g=h o=p r=q n=m t=0",
                "ghcr.io/acme/shop/api:1",
                "g=ghcr.io n=api o=acme r=shop t=1",
            ),
            (
                "{g}/{o}/app-{c}:{t}",
                "g=h o=p c=api t=0",
                "ghcr.io/acme/app-api:1",
                "c=api g=ghcr.io o=acme t=1",
            ),
            (
                "{r}:{t}",
                "r=x t=0",
                &digest,
                &format!("r=ghcr.io/acme/shop-api@sha256 t={hex}"),
            ),
            (
                "{r}@{d}",
                "r=x d=y",
                &digest,
                &format!("d=sha256:{hex} r=ghcr.io/acme/shop-api"),
            ),
            (
                "{r}@sha256:{d}",
                "r=x d=y",
                &digest,
                &format!("d={hex} r=ghcr.io/acme/shop-api"),
            ),
            ("{r}-api:{t}", "r=x t=0", &digest, ""),
            (
                "{r}:{t}",
                "r=x t=0",
                &format!("ghcr.io/acme/api:1@sha256:{hex}"),
                &format!("r=ghcr.io/acme/api t=1@sha256:{hex}"),
            ),
            ("{i}", "i=x:0", "ghcr.io/acme/api:1", "i=ghcr.io/acme/api:1"),
            (
                "{r}:{t}-{t}",
                "r=x t=0",
                "ghcr.io/acme/api:1-1",
                "r=ghcr.io/acme/api t=1",
            ),
            ("{r}:{t}-alpine", "r=x t=0", "ghcr.io/acme/api:1", ""),
        ] {
            let now = |path: &ValuePath| {
                let pairs = now.split(' ').filter_map(|pair| pair.split_once('='));
                let mut pairs = pairs.filter(|(name, _)| *name == path.to_string());
                pairs
                    .next()
                    .map(|(_, value)| value.to_owned())
                    .unwrap_or_default()
            };
            let best = equation(shape).solve(wanted, &now);
            let shown: Vec<String> = best
                .first()
                .iter()
                .flat_map(|(_, solution)| {
                    solution
                        .iter()
                        .map(|(path, value)| format!("{path}={value}"))
                })
                .collect();
            assert_eq!(shown.join(" "), *solved, "{shape} {wanted}");
        }
        assert_eq!(
            equation("{image.repository}-api:{image.tag}").to_string(),
            "image.repository + \"-api:\" + image.tag"
        );
    }
}
