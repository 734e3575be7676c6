//! `deploy explain`: what an exit code or a cause means, and what to do about it.
//!
//! docs/troubleshooting.md is the one home of these texts: it is built in and
//! read here. Which entry a failure belongs to is told by its message, as the
//! page quotes it. Nothing is decided here: an entry that is not found costs a
//! hint, never a deploy.

use crate::error::{Error, Exit, Kind, Result};
use crate::host::Environment;
use crate::report;
use crate::signal::nearest;

/// The page.
const PAGE: &str = include_str!("../../docs/troubleshooting.md");

/// How the page begins a part about an exit code.
const CODE: &str = "## Exit code ";

/// What stands for a name or a value in a quoted message.
const ANYTHING: char = '…';

/// What `deploy explain` takes.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct ExplainArgs {
    /// An exit code, the name of an entry, or a message in quotes
    #[arg(value_name = "code|entry")]
    pub topic: Option<String>,
}

/// Prints it.
pub(super) fn run(args: &ExplainArgs) -> Result<Exit> {
    let lines = match args.topic.as_deref() {
        None => codes(),
        Some(topic) => explained(topic)?,
    };
    report::print_wrapped(&Environment::of_process(), &lines);
    Ok(Exit::Deployed)
}

/// The error, with a hint that names what `deploy explain` prints of it.
pub(super) fn named(error: Error) -> Error {
    let entry = Entry::all().find(|entry| entry.tells_of(&error.to_string()));
    let topic = entry.map_or_else(
        || error.exit().code().to_string(),
        |entry| entry.name.to_owned(),
    );
    error.hint(format!("more about it: deploy explain {topic}"))
}

/// An entry of the page: a cause.
#[derive(Clone, Copy, Debug)]
struct Entry {
    name: &'static str,
    /// The title of the part that it stands in.
    part: &'static str,
    text: &'static str,
}

impl Entry {
    /// Every entry, in the order of the page.
    fn all() -> impl Iterator<Item = Self> {
        parts().flat_map(|(part, text)| {
            let entries = text.split("\n### ").skip(1);
            entries.filter_map(move |entry| {
                let (name, text) = entry.split_once('\n')?;
                Some(Self { name, part, text })
            })
        })
    }

    /// The messages that it is about, as the page quotes them.
    fn messages(&self) -> impl Iterator<Item = &'static str> {
        self.text.lines().filter_map(quoted)
    }

    fn tells_of(&self, message: &str) -> bool {
        self.messages().any(|quoted| fits(quoted, message))
    }
}

/// A quoted message.
fn quoted(line: &'static str) -> Option<&'static str> {
    line.strip_prefix("> `")?.strip_suffix('`')
}

/// The parts of the page: title and text.
fn parts() -> impl Iterator<Item = (&'static str, &'static str)> {
    PAGE.split("\n## ")
        .skip(1)
        .filter_map(|part| part.split_once('\n'))
}

/// Whether a message is the quoted one, with something in each place that may
/// hold anything.
fn fits(quoted: &str, message: &str) -> bool {
    let mut pieces = quoted.split(ANYTHING);
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = message.strip_prefix(first) else {
        return false;
    };
    let Some(last) = pieces.next_back() else {
        return rest.is_empty();
    };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Every exit code with its meaning.
fn codes() -> Vec<String> {
    let mut lines: Vec<String> = Exit::ALL
        .iter()
        .map(|exit| format!("{:<10}{}", exit.code(), exit.meaning()))
        .collect();
    lines.push(String::new());
    lines.push("deploy explain CODE lists the causes behind one".to_owned());
    lines
}

fn explained(topic: &str) -> Result<Vec<String>> {
    if let Some(exit) = Exit::ALL
        .iter()
        .find(|exit| exit.code().to_string() == topic)
    {
        return Ok(code(*exit));
    }
    let entry = Entry::all().find(|entry| entry.name == topic);
    let message = topic.trim().trim_start_matches("error: ");
    match entry.or_else(|| Entry::all().find(|entry| entry.tells_of(message))) {
        Some(entry) => Ok(cause(entry)),
        None => Err(unknown(topic)),
    }
}

/// What the page says of an exit code, and the causes behind it.
fn code(exit: Exit) -> Vec<String> {
    let title = format!("Exit code {}: {}", exit.code(), exit.meaning());
    let mut lines = vec![title.clone()];
    let text = parts().find(|(part, _)| *part == title);
    let before = |text: &'static str| text.split("\n### ").next().unwrap_or_default();
    lines.extend(plain(
        text.map(|(_, text)| before(text)).unwrap_or_default(),
    ));
    let rollout = matches!(exit, Exit::Failed(Kind::RolledBack | Kind::Broken));
    let of_it =
        |entry: &Entry| entry.part == title || rollout && !entry.part.starts_with(&CODE[3..]);
    let names: Vec<String> = Entry::all()
        .filter(of_it)
        .map(|entry| format!("  {}", entry.name))
        .collect();
    if !names.is_empty() {
        lines.push(String::new());
        lines.push("causes, each with an entry of its own (deploy explain NAME):".to_owned());
        lines.extend(names);
    }
    lines
}

/// What the page says of a cause.
fn cause(entry: Entry) -> Vec<String> {
    let mut lines = vec![format!("{}: {}", entry.name, entry.part)];
    lines.extend(plain(entry.text));
    lines
}

/// The page's text as a terminal shows it: what is quoted stands deeper, and a
/// link is its words.
fn plain(text: &'static str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text
        .trim_end()
        .lines()
        .filter(|line| !line.starts_with("```"))
    {
        lines.push(match quoted(line) {
            Some(message) => format!("  {message}"),
            None => without_links(line),
        });
    }
    lines
}

fn without_links(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, words, after)) = link(rest) {
        shown.push_str(before);
        shown.push_str(words);
        rest = after;
    }
    shown + rest
}

/// What stands before a link, its words, and what stands behind it.
fn link(line: &str) -> Option<(&str, &str, &str)> {
    let (left, right) = line.split_once("](")?;
    let (before, words) = left.rsplit_once('[')?;
    let (_, after) = right.split_once(')')?;
    Some((before, words, after))
}

fn unknown(topic: &str) -> Error {
    let names: Vec<&str> = Entry::all().map(|entry| entry.name).collect();
    let shown = crate::text::quoted(topic);
    let error = Error::new(
        Kind::Request,
        format!("no exit code, entry or message of deploy: {shown}"),
    );
    let error = match nearest(topic, names) {
        Some(meant) => error.hint(format!("did you mean deploy explain {meant}?")),
        None => error,
    };
    error.hint("deploy explain lists the exit codes, deploy explain 7 the causes behind one")
}

#[cfg(test)]
mod tests;
