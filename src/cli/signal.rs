//! A signal: judged before anything else starts.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::SUBCOMMANDS;
use crate::error::{Error, Kind, Result};
use crate::exit::Exit;
use crate::signal::{self, App, Declared, Judged, nearest};

/// Judges a signal's arguments; see [`signal::judge`].
pub fn judge(args: &[OsString], declared: impl FnOnce(&App) -> Declared) -> Result<Judged> {
    signal::judge(args, declared).map_err(|invalid| {
        let error = Error::from(invalid);
        let meant = args
            .first()
            .and_then(|first| nearest(first.to_str()?, SUBCOMMANDS));
        match meant {
            Some(meant) => error.hint(format!("did you mean deploy {meant}?")),
            None => error,
        }
    })
}

/// Runs a signal.
pub(super) fn run(args: &[OsString]) -> Exit {
    match judge(args, |_| Declared::Keys(BTreeMap::new())) {
        Ok(_) => super::fail(&Error::new(Kind::Internal, "not wired in yet")),
        Err(error) => super::fail(&error),
    }
}
