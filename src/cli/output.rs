//! What is printed without a run: results, and errors that came before one.

use std::io::Write as _;

use crate::error::{Error, Exit, Kind};
use crate::report::terminal;

/// Prints a result. A pipe that was closed by its reader is no failure.
pub(super) fn print(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

/// Prints an error that came before there was a run to report.
pub(super) fn fail(error: &Error) -> Exit {
    let _ = terminal::error_of_process(error);
    error.exit()
}

/// The error of what cannot fail unless `deploy` has a bug: a page made of its
/// own texts, a result written as JSON.
pub(super) fn bug(error: &anyhow::Error) -> Error {
    Error::new(Kind::Internal, error.to_string())
        .details(error.chain().skip(1).map(ToString::to_string))
}
