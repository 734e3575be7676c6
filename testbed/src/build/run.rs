//! Runs the tools that build and unpack. None may outlive this process: it would write into a
//! cache whose lock it does not hold.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::progress::Progress;

/// How much of a failed tool's output is told, in lines.
const TAIL: usize = 20;

/// A tool that is killed when this process ends, however that is. `setpriv` asks the kernel for it.
pub(super) fn tool(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Runs a tool to its end. Its output is kept, and its last lines told if it fails.
pub(super) fn run(mut command: Command, what: &str, progress: Progress) -> Result<()> {
    let output = progress
        .during(what, || command.stdin(Stdio::null()).output())
        .with_context(|| {
            format!("{what}: `setpriv` cannot be run; it is in the package util-linux")
        })?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n");
    bail!("{what}: it ended with {}, and said:\n{tail}", output.status)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_failure_tells_what_was_said() {
        let mut command = tool("sh");
        command.args(["-c", "echo no such thing >&2; exit 3"]);
        let error = run(command, "trying", Progress::silent())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("trying: it ended with exit status: 3"),
            "{error}"
        );
        assert!(error.ends_with("no such thing"), "{error}");
    }

    #[test]
    fn a_tool_that_is_not_there_is_named() {
        let error = run(tool("no-such-tool"), "trying", Progress::silent()).unwrap_err();
        assert!(error.to_string().contains("no-such-tool"), "{error}");
    }
}
