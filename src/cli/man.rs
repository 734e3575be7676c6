//! `deploy man`: the manual page, from clap's definition.
//!
//! One page: the subcommands are few, and a page each would be missed by
//! whoever installs one file.

use std::fmt::Write as _;

use anyhow::Context as _;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::{definition, output};
use crate::error::{Exit, Result};

/// Where things lie on a node.
const FILES: [(&str, &str); 4] = [
    (
        crate::node::SYSTEM,
        "the node's configuration; only where there is none, deploy.toml beside the script",
    ),
    (
        "<app>.values.yaml",
        "beside the script: the app's values, where deploy.toml names none",
    ),
    (
        crate::state::SYSTEM,
        "locks, journal and evidence, where the caller can use it",
    ),
    ("~/.local/state/deploy", "the same, where it cannot"),
];

/// Prints it.
pub(super) fn run() -> Result<Exit> {
    let page = page().map_err(|error| output::bug(&error))?;
    output::print(page.as_bytes());
    Ok(Exit::Deployed)
}

fn page() -> anyhow::Result<String> {
    let mut command = definition::command();
    command.build();
    let mut page = Vec::new();
    write(&command, &mut page).context("the manual page was not made")?;
    String::from_utf8(page).context("the manual page is not UTF-8")
}

fn write(command: &clap::Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    let man = Man::new(command.clone());
    man.render_title(page)?;
    man.render_name_section(page)?;
    let usage = command.get_overridden_usage().map(ToString::to_string);
    verbatim("SYNOPSIS", &usage.unwrap_or_default()).to_writer(page)?;
    let examples = command.get_before_help().map(ToString::to_string);
    let examples = examples.unwrap_or_default();
    let examples = examples.trim_start_matches("Examples:\n");
    verbatim("EXAMPLES", examples).to_writer(page)?;
    man.render_options_section(page)?;
    commands(command).to_writer(page)?;
    exits().to_writer(page)?;
    files().to_writer(page)
}

/// Text whose lines stay as they are.
fn verbatim(title: &str, text: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [title]).control("nf", []);
    for line in text.lines() {
        roff.text([roman(line.strip_prefix("       ").unwrap_or(line))]);
    }
    roff.control("fi", []);
    roff
}

/// Each subcommand with its own arguments.
fn commands(command: &clap::Command) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["COMMANDS"]);
    let shown = |sub: &&clap::Command| !sub.is_hide_set() && sub.get_name() != "help";
    for sub in command.get_subcommands().filter(shown) {
        let mut call = format!("deploy {}", sub.get_name());
        for argument in sub.get_positionals() {
            let names = argument.get_value_names().unwrap_or_default();
            for name in names {
                let (open, close) = if argument.is_required_set() {
                    ('<', '>')
                } else {
                    ('[', ']')
                };
                let _ = write!(call, " {open}{name}{close}");
            }
        }
        let about = sub.get_about().map(ToString::to_string);
        entry(&mut roff, &call, &about.unwrap_or_default());
        for option in sub
            .get_arguments()
            .filter(|option| !option.is_positional() && option.get_id() != "help")
        {
            let help = option.get_help().map(ToString::to_string);
            let name = option.get_long().unwrap_or_default();
            roff.control("br", []);
            roff.text([
                bold(format!("--{name}")),
                roman(format!(": {}", help.unwrap_or_default())),
            ]);
        }
    }
    roff
}

fn exits() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for exit in Exit::ALL {
        let cure = match exit.cure() {
            "" => String::new(),
            cure => format!(" ({cure})"),
        };
        let meaning = format!("{}{cure}", exit.meaning());
        entry(&mut roff, &exit.code().to_string(), &meaning);
    }
    roff
}

fn files() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["FILES"]);
    for (path, what) in FILES {
        entry(&mut roff, path, what);
    }
    roff
}

fn entry(roff: &mut Roff, term: &str, text: &str) {
    roff.control("TP", []);
    roff.text([bold(term)]);
    roff.text([roman(text)]);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::page;
    use crate::error::Exit;
    use crate::signal::Flag;

    #[test]
    fn the_page_tells_the_whole_contract() {
        let page = page().unwrap().replace("\\-", "-").replace("\\*(Aq", "'");
        for flag in Flag::ALL {
            assert!(page.contains(flag.name()), "{flag:?}");
        }
        for exit in Exit::ALL {
            assert!(page.contains(exit.meaning()), "{exit:?}");
        }
        for command in super::super::SUBCOMMANDS {
            let told = page.contains(&format!("deploy {command}"));
            assert_eq!(told, command != "help", "{command}");
        }
        assert!(page.contains("/etc/deploy/deploy.toml"));
    }
}
