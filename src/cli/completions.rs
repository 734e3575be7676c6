//! `deploy completions`: what a shell needs to complete the command line of `deploy`.
//!
//! It comes from clap's definition alone: nothing is read and nothing is asked.

use clap_complete::Shell;

use anyhow::Context as _;

use super::definition::{self, CompletionsArgs};
use super::output;
use crate::error::{Exit, Result};

/// Prints them.
pub(super) fn run(args: &CompletionsArgs) -> Result<Exit> {
    let script = script(args.shell).map_err(|error| output::bug(&error))?;
    output::print(script.as_bytes());
    Ok(Exit::Deployed)
}

/// The script for a shell: for the program's name, and where the shell lets one
/// script serve two, for that of the script that workflows call.
fn script(shell: Shell) -> anyhow::Result<String> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut definition::command(), "deploy", &mut script);
    let mut script = String::from_utf8(script).context("the completions are not UTF-8")?;
    match shell {
        Shell::Bash => script.push_str("complete -F _deploy -o bashdefault -o default deploy.sh\n"),
        Shell::Zsh => {
            script = script.replacen("#compdef deploy\n", "#compdef deploy deploy.sh\n", 1);
        }
        Shell::Fish => script.push_str("complete -c deploy.sh -w deploy\n"),
        _ => {}
    }
    Ok(script)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::ValueEnum as _;
    use clap_complete::Shell;

    use super::script;

    #[test]
    fn every_shell_completes_every_word() {
        for shell in Shell::value_variants() {
            let script = script(*shell).unwrap();
            for word in ["history", "show", "completions", "chart-version", "dry-run"] {
                assert!(script.contains(word), "{shell} does not know {word}");
            }
        }
    }

    #[test]
    fn the_scripts_name_is_completed_too() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell).unwrap();
            assert!(script.contains("deploy.sh"), "{shell}: {script}");
        }
    }
}
