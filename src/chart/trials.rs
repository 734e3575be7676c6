//! Which lines for deploy.toml help, by proofs with them.
//!
//! A line is told only where a proof with it passes: what helps by its looks may
//! be in another's way, or stand behind a condition of the template. Which lines
//! are tried together, and what is said then, is decided here; the proofs are
//! the caller's. Nothing here renders.

use super::suggestions::{Choice, Line, Refusal, Said, with_hints};
use crate::plan::ImageRules;
use crate::{Error, text};

/// The most proofs that lines are tried by: only where a chart is refused.
const MAX_TRIALS: usize = 4;

/// The lines of a refusal, each tried by a proof.
pub(super) struct Trials {
    refusal: Refusal,
    /// Of each advice's choices: whether they were tried, and passed.
    outcomes: Vec<Vec<Outcome>>,
    now: Vec<usize>,
    count: usize,
    /// The first lines that did not help, and what the proof said.
    failed: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Untried,
    Failed,
    Passed,
}

impl Trials {
    pub(super) fn of(mut refusal: Refusal) -> Self {
        // A line that has to be escaped or cut to be shown cannot be pasted.
        let whole = |line: &Line| {
            let line = line.to_string();
            text::line(&line, text::LINE) == line
        };
        for advice in &mut refusal.advice {
            advice
                .choices
                .retain(|choice| choice.lines.iter().all(whole));
        }
        let outcomes = refusal
            .advice
            .iter()
            .map(|advice| vec![Outcome::Untried; advice.choices.len()])
            .collect();
        Self {
            refusal,
            outcomes,
            now: Vec::new(),
            count: 0,
            failed: None,
        }
    }

    /// `rules` with the lines to be tried next: one choice against each problem,
    /// at least one of them not tried yet. Nothing where a problem has none.
    pub(super) fn next(&mut self, rules: &ImageRules) -> Option<ImageRules> {
        let is_left = |outcomes: &Vec<Outcome>| outcomes.contains(&Outcome::Untried);
        let hopeless = self.outcomes.is_empty() || self.outcomes.iter().any(Vec::is_empty);
        if hopeless || self.count == MAX_TRIALS || !self.outcomes.iter().any(is_left) {
            return None;
        }
        self.now.clear();
        for (of, outcomes) in self.outcomes.iter().enumerate() {
            let choices = &self.refusal.advice[of].choices;
            let is_free = |at: &usize| {
                let mut taken = self.now.iter().enumerate();
                !taken.any(|(of, taken)| {
                    let taken = &self.refusal.advice[of].choices[*taken];
                    let mut lines = taken.lines.iter();
                    lines.any(|one| choices[*at].lines.iter().any(|line| line.collides(one)))
                })
            };
            let with = |wanted: Outcome| {
                let mut at = (0..choices.len()).filter(|at| outcomes[*at] == wanted);
                at.find(is_free)
            };
            let order = [Outcome::Untried, Outcome::Passed, Outcome::Failed];
            self.now
                .push(order.into_iter().find_map(with).unwrap_or_default());
        }
        let mut now = self.now.iter().zip(&self.outcomes);
        if !now.any(|(at, outcomes)| outcomes[*at] == Outcome::Untried) {
            return None;
        }
        self.count += 1;
        let mut rules = rules.clone();
        for line in self.lines() {
            line.add_to(&mut rules);
        }
        Some(rules)
    }

    fn lines(&self) -> impl Iterator<Item = &Line> {
        let now = self.now.iter().enumerate();
        now.flat_map(|(of, at)| &self.refusal.advice[of].choices[*at].lines)
    }

    /// What came of the lines that were tried last: nothing where they passed.
    pub(super) fn came_of_it(&mut self, error: Option<&Error>) {
        if let Some(error) = error {
            let lines: Vec<String> = self.lines().map(ToString::to_string).collect();
            let lines = lines.join(" and ");
            self.failed.get_or_insert(format!("with {lines}: {error}"));
        }
        for (outcomes, at) in self.outcomes.iter_mut().zip(&self.now) {
            // What passed once may still be in the way of another line.
            if error.is_none() {
                outcomes[*at] = Outcome::Passed;
            } else if outcomes[*at] == Outcome::Untried {
                outcomes[*at] = Outcome::Failed;
            }
        }
    }

    /// The error with the lines that help, or what is said where none does.
    pub(super) fn told(self) -> Error {
        let passed = |outcomes: &Vec<Outcome>| outcomes.contains(&Outcome::Passed);
        if !self.outcomes.iter().any(passed) {
            let mut refusal = self.refusal;
            if let Some(failed) = self.failed {
                refusal.error = refusal.error.detail(failed);
            }
            return refusal.without_lines();
        }
        let mut hints = Vec::new();
        for (advice, outcomes) in self.refusal.advice.iter().zip(&self.outcomes) {
            let choices = advice.choices.iter().zip(outcomes);
            let choices = choices.filter(|(_, outcome)| **outcome == Outcome::Passed);
            let choices: Vec<&Choice> = choices.map(|(choice, _)| choice).collect();
            hints.extend(shown(&choices));
        }
        with_hints(self.refusal.error, hints)
    }
}

fn shown(choices: &[&Choice]) -> Vec<String> {
    let (behind, plain): (Vec<&Choice>, Vec<&Choice>) = choices
        .iter()
        .copied()
        .partition(|choice| matches!(choice.said, Said::Behind(_)));
    let mut hints = Vec::new();
    let lines = || plain.iter().flat_map(|choice| &choice.lines);
    match plain.as_slice() {
        [] => {}
        [only] => {
            let meant = match &only.said {
                Said::IfMeant(containers) => format!(", if the image of {containers} is meant"),
                _ => String::new(),
            };
            let mut lines =
                lines().map(|line| format!("in deploy.toml, under the app{meant}: {line}"));
            hints.extend(lines.by_ref());
        }
        _ => {
            hints.push(
                "in deploy.toml, under the app, the one of these lines that is meant:".to_owned(),
            );
            hints.extend(lines().map(ToString::to_string));
        }
    }
    for choice in behind {
        let Said::Behind(words) = choice.said else {
            continue;
        };
        match choice.lines.as_slice() {
            [only] => hints.push(format!("{words}: {only}")),
            lines => {
                hints.push(format!("{words}:"));
                hints.extend(lines.iter().map(ToString::to_string));
            }
        }
    }
    hints
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::suggestions::{Advice, Choice, Line, Refusal};
    use super::Trials;
    use crate::plan::ImageRules;
    use crate::{Error, Kind};

    /// What is told where only combinations of these lines pass; and how many were tried.
    fn told(keys: &[(&str, &[&str])], passes: impl Fn(&str) -> bool) -> (Vec<String>, usize) {
        let advice = keys.iter().map(|(key, places)| {
            let line = |at: &&str| Line::at(&key.parse().unwrap(), &at.parse().unwrap());
            Advice {
                choices: places.iter().map(line).map(Choice::plain).collect(),
                otherwise: format!("no line for {key}"),
            }
        });
        let refusal = Refusal {
            error: Error::new(Kind::Chart, "refused"),
            advice: advice.collect(),
        };
        let mut trials = Trials::of(refusal);
        let mut count = 0;
        while let Some(rules) = trials.next(&ImageRules::default()) {
            count += 1;
            let places = rules.layouts.values().flatten();
            let set: Vec<String> = places.map(ToString::to_string).collect();
            let error = Error::new(Kind::Chart, "in the way");
            trials.came_of_it((!passes(&set.join(" "))).then_some(&error));
        }
        (trials.told().hints().to_vec(), count)
    }

    #[test]
    fn only_lines_that_passed_are_told() {
        let lines: &[&str] = &["one", "two"];
        let both = [("api", lines), ("web", lines)];
        let alone = "in deploy.toml, under the app: ";
        let which = "in deploy.toml, under the app, the one of these lines that is meant:";
        let of = |key: &str, at: &str| format!("images.{key} = [\"{at}\"]");
        let (hints, count) = told(&both, |_| true);
        let all = [
            which.to_owned(),
            of("api", "one"),
            of("api", "two"),
            of("web", "two"),
            of("web", "one"),
        ];
        assert_eq!(count, 2);
        assert!(all.iter().all(|line| hints.contains(line)), "{hints:?}");
        let (hints, _) = told(&both, |set| set == "two one");
        let only = [of("api", "two"), of("web", "one")].map(|line| format!("{alone}{line}"));
        assert_eq!(hints, only);
        let (hints, _) = told(&both, |_| false);
        assert_eq!(hints, ["no line for api", "no line for web"]);
        // Without a line for one of them none is tried.
        let (hints, count) = told(&[("api", lines), ("web", &[])], |_| true);
        assert_eq!((hints.len(), count), (2, 0));
        // No combination is tried twice.
        let (_, count) = told(&[("api", &["one"]), ("web", lines)], |_| true);
        assert_eq!(count, 1);
        let many: &[&str] = &["a", "b", "c", "d", "e", "f"];
        let (hints, count) = told(&[("api", many)], |_| true);
        assert_eq!((hints.len(), count), (5, 4));
    }
}
