//! One run of the program: its id, who runs it, and the process that does.
//!
//! The journal, the lock, the lease and a controller all tell of a run in these
//! words. Nothing here reads a file but /proc.

mod proven;
mod sender;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;

pub use jiff::Timestamp;
pub use proven::ProvenCaller;
pub use sender::{Sender, SignedToken, TOKEN_VARIABLE, TokenRequest};

use jiff::Unit;
use serde::{Deserialize, Serialize};

use crate::host::{Accounts, Environment};
use crate::text;

/// The longest text of a field from outside, in characters.
const FIELD_MAX: usize = 500;

/// `20261124T175106Z-1a2b3c`: when the run began (UTC), and six random digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

impl RunId {
    /// An id for a run that begins now. The digits need not be hard to guess:
    /// they tell apart runs that begin in one second.
    pub fn new(now: Timestamp) -> Self {
        let random = RandomState::new().hash_one(std::process::id()) & 0x00ff_ffff;
        Self(format!("{}-{random:06x}", now.strftime("%Y%m%dT%H%M%SZ")))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SHAPE: &str = "a run's id such as 20261124T175106Z-1a2b3c";
        let shape = |(at, byte): (usize, u8)| match at {
            8 => byte == b'T',
            15 => byte == b'Z',
            16 => byte == b'-',
            17.. => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
            _ => byte.is_ascii_digit(),
        };
        if text.len() != 23 || !text.bytes().enumerate().all(shape) {
            return Err(SHAPE);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for RunId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The time, to the millisecond.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(Unit::Millisecond).unwrap_or(now)
}

/// Who ran a deploy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Who {
    /// The unix user, by name where it has one.
    pub user: String,
    /// The unix user's number.
    pub uid: u32,
    /// The systemd unit of the process that sent it to `deploy receive`: for
    /// people only, since a process can have any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The workflow, where one ran it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<Workflow>,
    /// The workflow as GitHub's token proves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proven: Option<ProvenCaller>,
}

/// The workflow run behind a deploy, as its environment tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Workflow {
    /// Whose doing it was.
    pub actor: Option<String>,
    /// The repository.
    pub repository: Option<String>,
    /// The run's page.
    pub url: Option<String>,
    /// The commit.
    pub sha: Option<String>,
    /// The branch or tag.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    /// The event.
    pub event: Option<String>,
}

impl Who {
    /// The caller, and inside Actions the workflow run.
    pub fn of(environment: &Environment, uid: u32, accounts: &Accounts) -> Self {
        Self {
            user: accounts.name(uid).map_or(uid.to_string(), field),
            uid,
            workflow: environment
                .inside_actions()
                .then(|| Workflow::of(environment)),
            unit: None,
            proven: None,
        }
    }
}

impl Workflow {
    fn of(environment: &Environment) -> Self {
        let text = |name| environment.text(name).map(field);
        Self {
            actor: text("GITHUB_ACTOR"),
            repository: text("GITHUB_REPOSITORY"),
            url: run_url(environment),
            sha: text("GITHUB_SHA"),
            reference: text("GITHUB_REF"),
            event: text("GITHUB_EVENT_NAME"),
        }
    }
}

/// The page of the workflow run (docs.github.com, "Default environment
/// variables").
pub fn run_url(environment: &Environment) -> Option<String> {
    let server = environment.text("GITHUB_SERVER_URL")?;
    let repository = environment.text("GITHUB_REPOSITORY")?;
    let run = environment.text("GITHUB_RUN_ID")?;
    Some(field(&format!("{server}/{repository}/actions/runs/{run}")))
}

/// A text from outside as a line of the journal holds it: made safe and cut.
pub(crate) fn field(value: &str) -> String {
    text::line(value, FIELD_MAX).into_owned()
}

/// Who holds a lock: written into its file, so that waiters can tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockHolder {
    /// The process.
    pub pid: u32,
    /// When that process started, in ticks since boot (field 22 of
    /// /proc/PID/stat), which tells it from a later one of the same pid.
    pub started: u64,
    /// The user.
    pub user: String,
    /// The run.
    pub run: RunId,
    /// The workflow run's page, where there is one.
    pub url: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// When the last helm that may write began under this lock, be it an
    /// earlier run's: see [`crate::state::lock::note_helm`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helm_began: Option<Timestamp>,
    /// When that helm ended; none where nobody saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helm_ended: Option<Timestamp>,
}

/// The time in which a helm of a deploy worked: only what was written in it can
/// be that helm's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HelmSpan {
    /// When it began.
    pub began: Timestamp,
    /// When it ended; none where it still works, or nobody saw its end.
    pub ended: Option<Timestamp>,
}

impl HelmSpan {
    /// A helm that begins now.
    pub fn begin() -> Self {
        Self {
            began: Timestamp::now(),
            ended: None,
        }
    }

    /// It has ended now.
    #[must_use]
    pub fn end(self) -> Self {
        Self {
            ended: Some(Timestamp::now()),
            ..self
        }
    }
}

impl LockHolder {
    /// This process, holding from now on.
    pub fn this_process(run: &RunId, who: &Who) -> Self {
        let pid = std::process::id();
        Self {
            pid,
            started: started(pid).unwrap_or(0),
            user: who.user.clone(),
            run: run.clone(),
            url: who
                .workflow
                .as_ref()
                .and_then(|workflow| workflow.url.clone()),
            since: crate::run::now(),
            helm_began: None,
            helm_ended: None,
        }
    }

    /// The last helm that may write, as far as it was noted.
    pub fn helm(&self) -> Option<HelmSpan> {
        Some(HelmSpan {
            began: self.helm_began?,
            ended: self.helm_ended,
        })
    }

    /// The same holder with this for its last helm.
    #[must_use]
    pub fn with_helm(self, helm: Option<HelmSpan>) -> Self {
        Self {
            helm_began: helm.map(|helm| helm.began),
            helm_ended: helm.and_then(|helm| helm.ended),
            ..self
        }
    }

    /// One line for people.
    pub fn line(&self) -> String {
        let url = match &self.url {
            Some(url) => format!(", {}", text::line(url, 300)),
            None => String::new(),
        };
        format!(
            "run {} by {} (pid {}) since {}{url}",
            self.run,
            text::line(&self.user, 60),
            self.pid,
            self.since.strftime("%Y-%m-%d %H:%M:%SZ"),
        )
    }
}

/// When a process started, in ticks since boot; none where it is gone.
pub fn started(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in parentheses, which may hold anything;
    // field 22 (proc_pid_stat(5)) is the 20th after it.
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(19)?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{RunId, now};

    #[test]
    fn ids_sort_by_time_and_round_trip() {
        let early = RunId::new("2026-11-24T17:51:06.9Z".parse().unwrap());
        let late = RunId::new("2026-11-24T17:51:07Z".parse().unwrap());
        assert!(early.as_str().starts_with("20261124T175106Z-"));
        assert!(early < late);
        assert_eq!(early.as_str().parse(), Ok(early));
        let now = now();
        let ids: std::collections::BTreeSet<_> = (0..50).map(|_| RunId::new(now)).collect();
        assert!(ids.len() > 45, "the digits differ");
    }

    #[test]
    fn nothing_else_is_an_id() {
        for text in [
            "",
            "../../etc/passwd",
            "20261124T175106Z-1A2B3C",
            "20261124T175106Z-1a2b3",
            "20261124T175106Z-1a2b3c4",
            "20261124 175106Z-1a2b3c",
            "2026112éT75106Z-1a2b3c",
        ] {
            assert!(text.parse::<RunId>().is_err(), "{text}");
        }
    }
}
