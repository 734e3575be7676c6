//! What happens in a deploy of several clusters, as data: waves that begin and end, what
//! is new of a target, and what became of each.

use std::fmt;
use std::time::Duration;

use crate::text;
use crate::units;

/// How many names one line lists.
const NAMES: usize = 8;

/// What became of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetOutcome {
    /// A dry run: it would be asked for the new version.
    WouldDeploy,
    /// Its wave never began: it holds what it held.
    NotReached,
    /// It served what was asked for before the run, and was judged good.
    Unchanged,
    /// It serves what was asked for, and was judged good.
    Deployed,
    /// It serves its last good version again.
    RolledBack,
    /// It refused what was asked, and holds what it held.
    Refused,
    /// It holds a version that nobody judged.
    NotJudged,
    /// The work on it was cut short.
    Interrupted,
    /// It failed, and was left as it is or could not go back.
    Failed,
    /// Nobody knows what it serves.
    Unknown,
}

impl TargetOutcome {
    /// The word for it in the journal and in `--json`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WouldDeploy => "would-deploy",
            Self::NotReached => "not-reached",
            Self::Unchanged => "unchanged",
            Self::Deployed => "deployed",
            Self::RolledBack => "rolled-back",
            Self::Refused => "refused",
            Self::NotJudged => "not-judged",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// The same for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::WouldDeploy => "would be deployed",
            Self::NotReached => "not touched",
            Self::Unchanged => "serves it already",
            Self::Deployed => "deployed",
            Self::RolledBack => "rolled back",
            Self::Refused => "refused, as before",
            Self::NotJudged => "not judged",
            Self::Interrupted => "cut short",
            Self::Failed => "needs manual action",
            Self::Unknown => "not known",
        }
    }

    /// Whether it serves the old version or the new one whole.
    pub const fn is_whole(self) -> bool {
        match self {
            Self::WouldDeploy
            | Self::NotReached
            | Self::Unchanged
            | Self::Deployed
            | Self::RolledBack
            | Self::Refused => true,
            Self::NotJudged | Self::Interrupted | Self::Failed | Self::Unknown => false,
        }
    }
}

/// What is known of a target when the run ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetReport {
    /// The target.
    pub name: String,
    /// Its wave, from 1.
    pub wave: usize,
    /// Its cluster, for people.
    pub cluster: String,
    /// What became of it.
    pub outcome: TargetOutcome,
    /// The chart's version that it holds; none where that is not known, or nothing is
    /// there.
    pub version: Option<String>,
    /// Why, in one line, where something went wrong there.
    pub cause: Option<String>,
}

impl TargetReport {
    /// All but the cause, in one line.
    pub fn line(&self) -> String {
        let held = self.version.as_deref();
        let held = held.map_or_else(String::new, |version| {
            format!(", {}", text::line(version, text::VALUE))
        });
        format!(
            "wave {}, {}: {}{held}",
            self.wave,
            place(&self.name, &self.cluster),
            self.outcome.words()
        )
    }
}

/// A wave, among so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wave {
    /// Its number, from 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
}

impl fmt::Display for Wave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wave {} of {}", self.number, self.of)
    }
}

/// What is new of a wave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaveNews {
    /// It begins, with these targets.
    Begins(Wave, Vec<String>),
    /// All of its targets serve it already.
    Unchanged(Wave, Vec<String>),
    /// Something changed of a target.
    Target(TargetNews),
    /// It has to stay good for so long.
    Bakes(Wave, Duration),
    /// It was judged good.
    Ends(Wave, Duration),
}

/// What is new of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetNews {
    /// The target.
    pub name: String,
    /// Its cluster, for people.
    pub cluster: String,
    /// What is new of it.
    pub said: String,
}

impl fmt::Display for WaveNews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |time: &Duration| units::show(Duration::from_secs(time.as_secs()));
        match self {
            Self::Begins(wave, targets) => write!(f, "{wave}: {}", names(targets)),
            Self::Unchanged(wave, targets) => {
                write!(f, "{wave}: {} – serving it already", names(targets))
            }
            Self::Target(news) => news.fmt(f),
            Self::Bakes(wave, time) => {
                write!(
                    f,
                    "{wave} serves it, and has to stay good for {}",
                    seconds(time)
                )
            }
            Self::Ends(wave, took) => write!(f, "{wave} is good after {}", seconds(took)),
        }
    }
}

impl fmt::Display for TargetNews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = text::line(&self.said, text::LINE);
        write!(f, "{}: {said}", place(&self.name, &self.cluster))
    }
}

/// A target with its cluster, for people; one that is named like its cluster once.
pub fn place(name: &str, cluster: &str) -> String {
    let name_shown = text::line(name, text::VALUE);
    if cluster.is_empty() || cluster == name {
        return name_shown.into_owned();
    }
    format!("{name_shown} ({})", text::line(cluster, text::VALUE))
}

/// Names in one line, at most a few of them.
pub fn names<S: AsRef<str>>(all: &[S]) -> String {
    let shown = all.iter().take(NAMES);
    let shown: Vec<_> = shown
        .map(|name| text::line(name.as_ref(), text::VALUE))
        .collect();
    match all.len().saturating_sub(NAMES) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{TargetNews, Wave, WaveNews, names, place};

    #[test]
    fn what_is_new_of_a_wave_is_one_safe_line() {
        let wave = Wave { number: 2, of: 3 };
        let targets = || vec!["shop-eu".to_owned(), "shop-us".to_owned()];
        let target = TargetNews {
            name: "shop-eu".to_owned(),
            cluster: "eu".to_owned(),
            said: "Deployment api\n::error::x".to_owned(),
        };
        for (news, line) in [
            (
                WaveNews::Begins(wave, targets()),
                "wave 2 of 3: shop-eu, shop-us",
            ),
            (
                WaveNews::Unchanged(wave, targets()),
                "wave 2 of 3: shop-eu, shop-us – serving it already",
            ),
            (
                WaveNews::Target(target),
                "shop-eu (eu): Deployment api\\n::error::x",
            ),
            (
                WaveNews::Bakes(wave, Duration::from_secs(90)),
                "wave 2 of 3 serves it, and has to stay good for 1m30s",
            ),
            (
                WaveNews::Ends(wave, Duration::from_millis(12_345)),
                "wave 2 of 3 is good after 12s",
            ),
        ] {
            assert_eq!(news.to_string(), line);
        }
        assert_eq!(place("eu", "eu"), "eu");
        let many: Vec<String> = (0..20).map(|number| format!("t{number}")).collect();
        assert!(names(&many).ends_with("t7 and 12 more"), "{}", names(&many));
    }
}
