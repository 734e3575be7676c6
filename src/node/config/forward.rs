//! The key `forward` of deploy.toml.

use std::path::{Path, PathBuf};

use toml::de::DeValue;

use super::names::{FilePath, SingleLine};
use super::reader::{Mistake, Table, named};
use crate::plan::forward::{Endpoint, ForwardTarget};
use crate::text;

/// What gets a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forwarding {
    /// Helm here, whatever the defaults say.
    Helm,
    /// A controller, and the file that holds the token for it.
    To(ForwardTarget, Option<PathBuf>),
}

/// The key, where the table has it.
pub(super) fn read(
    table: &mut Table<'_>,
    base: &Path,
    mistakes: &mut Vec<Mistake>,
) -> Option<Forwarding> {
    let path = table.path_of("forward");
    let value = table.take("forward")?;
    let at = value.span().start;
    let read = match value.get_ref() {
        DeValue::Table(inner) => return detailed(Table::new(path, inner), at, base, mistakes),
        DeValue::String(text) => simple(text).map_err(|why| (text::quoted(text), why)),
        other => {
            let expected = "".parse::<ForwardTarget>().err().unwrap_or_default();
            Err((named(other), expected))
        }
    };
    read.map_err(|(seen, expected)| {
        mistakes.push(Mistake {
            at,
            message: format!("{path} is {seen}, expected {expected}"),
            hint: None,
        });
    })
    .ok()
}

fn simple(text: &str) -> Result<Forwarding, &'static str> {
    if text == "helm" {
        return Ok(Forwarding::Helm);
    }
    match text.parse::<ForwardTarget>()? {
        ForwardTarget::Http(Endpoint { secure: true, .. }) => {
            Err("{ url = \"https://…\", token_file = \"…\" }: over a network it needs a token")
        }
        target => Ok(Forwarding::To(target, None)),
    }
}

/// `{ command = […] }` or `{ url = "…", token_file = "…" }`.
fn detailed(
    mut table: Table<'_>,
    at: usize,
    base: &Path,
    mistakes: &mut Vec<Mistake>,
) -> Option<Forwarding> {
    let before = mistakes.len();
    let shown = table.path_of("url").trim_end_matches(".url").to_owned();
    let command = table.list::<SingleLine>("command", "a word of the command", mistakes);
    let url = table.text::<SingleLine>("url", "a URL", mistakes);
    let token = table
        .text::<FilePath>("token_file", FilePath::EXPECTED, mistakes)
        .map(|path| base.join(path.0));
    table.finish(mistakes);
    if mistakes.len() > before {
        return None;
    }
    let read = match (command, url, token) {
        (Some(words), None, None) => command_of(words, base),
        (None, Some(url), token) => url_of(&url.0, token),
        _ => Err("{ command = […] } or { url = \"…\", token_file = \"…\" }"),
    };
    read.map_err(|expected| {
        mistakes.push(Mistake {
            at,
            message: format!("{shown} is a table, expected {expected}"),
            hint: None,
        });
    })
    .ok()
}

fn command_of(words: Vec<SingleLine>, base: &Path) -> Result<Forwarding, &'static str> {
    let mut words = words.into_iter().map(|word| word.0);
    let program = words.next().ok_or("a command of at least one word")?;
    // As a shell takes it: with a slash it is a path, without it is looked up.
    let program = if program.contains('/') {
        base.join(program.trim_start_matches("./"))
    } else {
        program.into()
    };
    let args = words.collect();
    Ok(Forwarding::To(
        ForwardTarget::Command { program, args },
        None,
    ))
}

fn url_of(url: &str, token: Option<PathBuf>) -> Result<Forwarding, &'static str> {
    let target: ForwardTarget = url.parse()?;
    match (&target, &token) {
        (ForwardTarget::Http(Endpoint { secure: true, .. }), None) => {
            Err("a token_file beside an https url: over a network it needs a token")
        }
        _ => Ok(Forwarding::To(target, token)),
    }
}
