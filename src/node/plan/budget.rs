//! How long a deploy may take, and what follows a failed rollout.

use std::time::Duration;

use super::EffectiveSettings;
use crate::error::{Error, Kind, Result};
use crate::host::Environment;
use crate::node::limits::TIMEOUT;
use crate::plan::OnFailure;
use crate::text;
use crate::units::{self, GoDuration};

/// The budget, and what follows a failed rollout. The old script's variables
/// count where deploy.toml sets neither of the two.
pub(super) fn of(
    settings: &EffectiveSettings<'_>,
    environment: &Environment,
    warnings: &mut Vec<String>,
) -> Result<(Duration, OnFailure)> {
    let timeout = settings.pick(|s| s.timeout);
    let failure = settings.pick(|s| s.on_failure);
    let old = |name| Some((name, environment.get(name)?.to_string_lossy()));
    let (old_timeout, old_atomic) = (old("DEPLOY_TIMEOUT"), old("DEPLOY_ATOMIC"));
    if timeout.is_some() || failure.is_some() {
        let key = if timeout.is_some() {
            "timeout"
        } else {
            "on_failure"
        };
        for (name, _) in [old_timeout, old_atomic].into_iter().flatten() {
            warnings.push(format!("{name} is ignored: deploy.toml sets {key}"));
        }
        return Ok((
            timeout.unwrap_or(TIMEOUT),
            failure.unwrap_or(OnFailure::Rollback),
        ));
    }
    let timeout = match old_timeout {
        None => TIMEOUT,
        Some((_, value)) => old_duration(&value)?,
    };
    let failure = match old_atomic.as_ref().map(|(_, value)| value.as_ref()) {
        None | Some("1") => OnFailure::Rollback,
        Some("0") => OnFailure::Keep,
        Some(other) => {
            let message = format!(
                "DEPLOY_ATOMIC is {}, expected 1 (roll back) or 0 (keep)",
                text::quoted(other)
            );
            let hint = "set it to 1 or 0, or use on_failure in deploy.toml";
            return Err(Error::new(Kind::Node, message).hint(hint));
        }
    };
    Ok((timeout, failure))
}

fn old_duration(value: &str) -> Result<Duration> {
    match value.parse::<GoDuration>() {
        Ok(GoDuration(duration)) if !duration.is_zero() => Ok(duration),
        _ => {
            let message = format!(
                "DEPLOY_TIMEOUT is {}, expected a duration above zero such as 10m, 1h30m or 90s",
                text::quoted(value)
            );
            let seconds = value.parse::<u32>().ok().filter(|seconds| *seconds > 0);
            Err(Error::new(Kind::Node, message).hint(match seconds {
                Some(seconds) => format!(
                    "did you mean {}? A number needs its unit",
                    units::show(Duration::from_secs(seconds.into()))
                ),
                None => "correct it, or use timeout in deploy.toml".to_owned(),
            }))
        }
    }
}
