// A model of how GitHub's runner reads what a step says: which lines are
// commands. Written from the behaviour of github.com/actions/runner
// (`ActionCommand.cs`, `ActionCommandManager.cs`, `OutputManager.cs`), and
// stricter where that depends on the machine: the runner compares by the rules
// of a language, which pass over characters without weight, so here everything
// that is not plain ASCII has none.

use std::collections::BTreeMap;

/// The commands that a runner knows.
const KNOWN: [&str; 16] = [
    "add-mask",
    "add-matcher",
    "add-path",
    "debug",
    "echo",
    "endgroup",
    "error",
    "group",
    "internal-set-repo-path",
    "notice",
    "remove-matcher",
    "save-state",
    "set-env",
    "set-output",
    "stop-commands",
    "warning",
];

/// A command that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    pub name: String,
    pub properties: BTreeMap<String, String>,
    pub data: String,
}

/// What the runner made of a step.
#[derive(Debug, Default)]
pub struct Step {
    pub commands: Vec<Command>,
    /// The lines that are shown.
    pub log: Vec<String>,
    /// The word that ends a stop.
    stopped: Option<String>,
    /// Whether it obeys `stop-commands`.
    obeys: bool,
}

impl Step {
    /// A step that wrote this. The runner takes what it has of stderr before
    /// what it has of stdout.
    pub fn of(stdout: &[u8], stderr: &[u8]) -> Self {
        Self::reading(stdout, stderr, true)
    }

    /// As it would be if the runner knew of no `stop-commands`.
    pub fn without_stops(stdout: &[u8], stderr: &[u8]) -> Self {
        Self::reading(stdout, stderr, false)
    }

    fn reading(stdout: &[u8], stderr: &[u8], obeys: bool) -> Self {
        let mut step = Self {
            obeys,
            ..Self::default()
        };
        for stream in [stderr, stdout] {
            let text = String::from_utf8_lossy(stream);
            // As .NET's StreamReader.ReadLine parts lines.
            for line in text.replace("\r\n", "\n").split(['\n', '\r']) {
                step.line(line);
            }
        }
        step
    }

    fn line(&mut self, line: &str) {
        let weighty: String = line.chars().filter(|c| matches!(c, ' '..='~')).collect();
        let read = |line: &str| self.new_form(line).or_else(|| self.old_form(line));
        let found = read(line).or_else(|| read(&weighty));
        match (found, &self.stopped) {
            (Some(command), Some(word)) if command.name.eq_ignore_ascii_case(word) => {
                self.stopped = None;
            }
            (Some(command), None) if command.name == "stop-commands" => {
                if self.obeys {
                    self.stopped = Some(command.data.clone());
                }
                self.commands.push(command);
            }
            (Some(command), None) => self.commands.push(command),
            _ => self.log.push(line.to_owned()),
        }
    }

    fn command(&self, info: &str, separator: char, data: &str) -> Option<Command> {
        let (name, properties) = info.split_once(' ').unwrap_or((info, ""));
        let name = name.to_ascii_lowercase();
        let word = self
            .stopped
            .as_ref()
            .is_some_and(|word| name.eq_ignore_ascii_case(word));
        if !KNOWN.contains(&name.as_str()) && !word {
            return None;
        }
        let properties = properties
            .trim()
            .split(separator)
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), decoded(value)))
            .collect();
        Some(Command {
            name,
            properties,
            data: decoded(data),
        })
    }

    /// `::name key=value,key=value::data`, first on its line.
    fn new_form(&self, line: &str) -> Option<Command> {
        let rest = line.trim_start().strip_prefix("::")?;
        let (info, data) = rest.split_once("::")?;
        self.command(info, ',', data)
    }

    /// `##[name key=value;key=value]data`, anywhere in its line.
    fn old_form(&self, line: &str) -> Option<Command> {
        let (_, rest) = line.split_once("##[")?;
        let (info, data) = rest.split_once(']')?;
        self.command(info, ';', data)
    }
}

fn decoded(text: &str) -> String {
    let mut text = text.to_owned();
    for (code, character) in [
        ("%0D", "\r"),
        ("%0A", "\n"),
        ("%3A", ":"),
        ("%2C", ","),
        ("%3B", ";"),
        ("%5D", "]"),
        ("%25", "%"),
    ] {
        text = text.replace(code, character);
    }
    text
}
