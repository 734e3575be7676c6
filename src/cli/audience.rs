//! `deploy audience`: what a token for a signal has to be for.

use super::definition::AudienceArgs;
use super::output;
use super::signal::parse;
use crate::error::{Exit, Result};
use crate::signal::DeclaredKeys;

/// Prints it. The node is not asked: a job elsewhere has to come to the same.
pub(super) fn run(args: &AudienceArgs) -> Result<Exit> {
    let signal = parse(&args.signal, |_| DeclaredKeys::Unreadable)?;
    output::print(format!("{}\n", signal.request.audience()).as_bytes());
    Ok(Exit::Deployed)
}
