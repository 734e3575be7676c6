//! What a freeze is asked with, read. Pure.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;

use crate::error::{Error, Kind, Result};
use crate::plan::windows::zone_named;
use crate::run::Who;
use crate::signal::App;
use crate::state::freeze::Freeze;
use crate::units::Age;

/// The longest reason, in characters.
const REASON: usize = 500;

/// Until when a freeze lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Until {
    /// For so long from now on.
    For(Duration),
    /// Until this time.
    At(Timestamp),
}

impl FromStr for Until {
    type Err = UntilError;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        if let Ok(age) = text.parse::<Age>() {
            return Ok(Self::For(age.0));
        }
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Self::At(at));
        }
        let (time, zone) = text.rsplit_once(' ').ok_or(UntilError)?;
        let time: DateTime = time.trim().parse().map_err(|_| UntilError)?;
        let zone = zone_named(zone).ok_or(UntilError)?;
        let at = time.to_zoned(zone).map_err(|_| UntilError)?;
        Ok(Self::At(at.timestamp()))
    }
}

/// It is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UntilError;

impl fmt::Display for UntilError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected 2h, 3d, 2026-12-01T08:00Z or \"2026-12-01 08:00 Europe/Berlin\"")
    }
}

impl std::error::Error for UntilError {}

/// What a freeze is asked with.
#[derive(Clone, Copy, Debug)]
pub struct FreezeRequest<'a> {
    /// The app; none for all.
    pub app: Option<&'a App>,
    /// Why.
    pub reason: &'a str,
    /// Until when.
    pub until: Option<&'a Until>,
    /// Who is let through.
    pub allow: &'a [String],
}

/// The freeze that is asked for. `Kind::Request` where it says no reason, or would
/// be over at once.
pub fn freeze(asked: &FreezeRequest<'_>, by: Who, now: Timestamp) -> Result<Freeze> {
    let reason = asked.reason.trim();
    if reason.is_empty() || reason.chars().count() > REASON {
        let message =
            format!("--reason is no reason: expected a text of at most {REASON} characters");
        return Err(Error::new(Kind::Request, message).hint("who is refused is told it"));
    }
    let until = match asked.until {
        None => None,
        Some(Until::At(at)) => Some(*at),
        Some(Until::For(time)) => now.checked_add(*time).ok(),
    };
    if let Some(until) = until
        && until <= now
    {
        let message = format!("--until is over: {until}, expected a time after {now}");
        return Err(Error::new(Kind::Request, message));
    }
    if let Some(name) = asked.allow.iter().find(|name| name.trim().is_empty()) {
        let message = format!("--allow names nobody: {name:?}");
        return Err(Error::new(Kind::Request, message));
    }
    Ok(Freeze {
        app: asked.app.cloned(),
        reason: reason.to_owned(),
        by,
        since: now,
        until,
        allow: asked.allow.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{FreezeRequest, Until, freeze};
    use crate::error::Kind;
    use crate::run::Who;

    #[test]
    fn until_when_is_read() {
        for (text, at) in [
            ("2026-12-01T08:00:00Z", Some("2026-12-01T08:00:00Z")),
            ("2026-12-01T08:00+01:00", Some("2026-12-01T07:00:00Z")),
            (
                "2026-12-01 08:00 Europe/Berlin",
                Some("2026-12-01T07:00:00Z"),
            ),
            (
                "2026-07-01 08:00 Europe/Berlin",
                Some("2026-07-01T06:00:00Z"),
            ),
            ("2026-12-01 08:00", None),
            ("2026-12-01 08:00 Nowhere", None),
            ("tomorrow", None),
            ("", None),
        ] {
            let read = text.parse::<Until>().ok();
            assert_eq!(read, at.map(|at| Until::At(at.parse().unwrap())), "{text}");
        }
        assert_eq!(
            "2h".parse(),
            Ok(Until::For(std::time::Duration::from_secs(7200)))
        );
    }

    #[test]
    fn a_freeze_needs_a_reason_and_a_time_to_come() {
        let now = "2026-11-27T10:00:00Z".parse().unwrap();
        let asked = |reason, until: Option<&str>| {
            let until = until.map(|until| until.parse().unwrap());
            let request = FreezeRequest {
                app: None,
                reason,
                until: until.as_ref(),
                allow: &[],
            };
            freeze(&request, Who::default(), now)
        };
        assert_eq!(
            asked("fair", Some("2h")).unwrap().until,
            Some("2026-11-27T12:00:00Z".parse().unwrap())
        );
        assert_eq!(asked("fair", None).unwrap().until, None);
        for (reason, until) in [
            (" ", None),
            ("fair", Some("2026-11-27T10:00:00Z")),
            ("fair", Some("0s")),
        ] {
            assert_eq!(
                asked(reason, until).unwrap_err().kind(),
                Kind::Request,
                "{reason} {until:?}"
            );
        }
    }
}
