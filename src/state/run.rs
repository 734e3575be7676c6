//! A run's id: sorts by time, names one line of the journal and one folder of
//! evidence.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;

use jiff::{Timestamp, Unit};
use serde::{Deserialize, Serialize};

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
