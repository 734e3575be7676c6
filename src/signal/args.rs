//! The arguments of a signal, taken apart: which flag got which values.
//!
//! `--f v` and `--f=v`, in any order. Values are not judged here; arguments
//! that a signal does not have are.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;

use super::flag::{DRY_RUN, Flag, JSON, QUIET, QUIET_SHORT};
use super::hint;
use super::violation::{Actual, Violation};

/// What stood behind a flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    Text(String),
    /// Bytes that are not UTF-8, as they can be shown.
    NotText(String),
    NoValue,
    /// Something that a violation already tells of.
    Unusable,
}

impl Input {
    fn of(value: &OsStr) -> Self {
        match value.to_str() {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::NotText(shown(value)),
        }
    }

    /// As people may see it; not yet escaped.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Text(text) | Self::NotText(text) => text.clone(),
            Self::NoValue | Self::Unusable => String::new(),
        }
    }
}

/// The arguments, taken apart.
pub(super) struct Arguments {
    /// Flags with their values, in the order in which they came.
    pub(super) inputs: Vec<(Flag, Input)>,
    pub(super) dry_run: bool,
    pub(super) quiet: bool,
    pub(super) json: bool,
    /// What a signal does not have.
    pub(super) violations: Vec<Violation>,
}

/// Takes the arguments apart.
pub(super) fn read(args: &[OsString]) -> Arguments {
    let mut reader = Reader {
        args,
        at: 0,
        arguments: Arguments {
            inputs: Vec::new(),
            dry_run: false,
            quiet: false,
            json: false,
            violations: Vec::new(),
        },
        meant: Vec::new(),
    };
    while let Some(arg) = reader.next() {
        reader.argument(arg);
    }
    let Reader {
        mut arguments,
        meant,
        ..
    } = reader;
    // A flag with a slip in its name is judged as the one that was meant, so
    // that it is not missing as well.
    for (flag, input) in meant {
        if !arguments.inputs.iter().any(|(of, _)| *of == flag) {
            arguments.inputs.push((flag, input));
        }
    }
    arguments
}

struct Reader<'a> {
    args: &'a [OsString],
    at: usize,
    arguments: Arguments,
    /// Values of flags with a slip in their names.
    meant: Vec<(Flag, Input)>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<&'a OsStr> {
        let arg = self.args.get(self.at)?;
        self.at += 1;
        Some(arg)
    }

    /// The next argument, unless it is a flag with one of these beginnings.
    fn next_unless(&mut self, flag: &[u8]) -> Option<&'a OsStr> {
        let next = self.args.get(self.at)?;
        (!next.as_bytes().starts_with(flag)).then(|| {
            self.at += 1;
            next.as_os_str()
        })
    }

    fn argument(&mut self, arg: &'a OsStr) {
        let bytes = arg.as_bytes();
        if !bytes.starts_with(b"-") || bytes == b"-" {
            self.positional();
            return;
        }
        let equals = bytes.iter().position(|byte| *byte == b'=');
        let (name, inline) = match equals {
            Some(at) => (&bytes[..at], Some(OsStr::from_bytes(&bytes[at + 1..]))),
            None => (bytes, None),
        };
        let known = Flag::ALL
            .into_iter()
            .find(|flag| flag.name().as_bytes() == name);
        if let Some(flag) = known {
            // No value of the contract begins with "--": it was forgotten.
            let value = inline.or_else(|| self.next_unless(b"--"));
            let input = value.map_or(Input::NoValue, Input::of);
            self.arguments.inputs.push((flag, input));
        } else if name == DRY_RUN.as_bytes() {
            let arguments = &mut self.arguments;
            let again = std::mem::replace(&mut arguments.dry_run, true);
            arguments.violations.extend(alone(DRY_RUN, inline, again));
        } else if name == QUIET.as_bytes() || name == [b'-', QUIET_SHORT as u8] {
            let arguments = &mut self.arguments;
            let again = std::mem::replace(&mut arguments.quiet, true);
            arguments.violations.extend(alone(QUIET, inline, again));
        } else if name == JSON.as_bytes() {
            let arguments = &mut self.arguments;
            let again = std::mem::replace(&mut arguments.json, true);
            arguments.violations.extend(alone(JSON, inline, again));
        } else {
            self.unknown(OsStr::from_bytes(name), inline);
        }
    }

    /// A flag that a signal does not have. Its value is not shown: it may be
    /// a credential.
    fn unknown(&mut self, name: &OsStr, inline: Option<&'a OsStr>) {
        let value = match inline {
            _ if name == "--" => None,
            Some(inline) => Some(inline),
            None => self.next_unless(b"-"),
        };
        let name = shown(name);
        let word = name.trim_start_matches('-');
        let (hint, meant) = hint::flag(word);
        if let (Some(flag), Some(value)) = (meant, value) {
            self.meant.push((flag, Input::of(value)));
        } else if let Some(flag) = meant {
            self.meant.push((flag, Input::Unusable));
        }
        self.arguments.violations.push(
            Violation::new(
                name,
                Actual::Unknown("not a flag of a signal"),
                "--app, --chart, --chart-version and --images (and --dry-run to try it, --quiet for the result only)",
            )
            .hint(hint),
        );
    }

    /// An argument that belongs to no flag, with those that follow it.
    fn positional(&mut self) {
        let start = self.at - 1;
        while self.next_unless(b"-").is_some() {}
        let all: Vec<String> = self.args[start..self.at]
            .iter()
            .map(|arg| shown(arg))
            .collect();
        let split = match self.arguments.inputs.last_mut() {
            Some((Flag::Images, input)) if start > 0 && is_json_piece(input) => Some(input),
            _ => None,
        };
        let violation = if let Some(input) = split {
            let actual = Actual::Value(format!("{} {}", input.shown(), all.join(" ")));
            // Its pieces are not checked one by one.
            *input = Input::Unusable;
            Violation::new(
                Flag::Images.name(),
                actual,
                "all of the JSON in one argument",
            )
            .hint(
                "the shell split it at its spaces or braces: put it in single quotes, or in a \
                 variable that is used in double quotes: --images \"$IMAGES\""
                    .to_owned(),
            )
        } else {
            let (hint, meant) = hint::positional(&all[0]);
            let hint = if start == 0 && meant.is_none() {
                "a signal begins with a flag; see deploy --help".to_owned()
            } else {
                hint
            };
            let value = all[0].split_once('=').map(|(_, value)| value.to_owned());
            let value = value.or_else(|| all.get(1).cloned());
            self.meant
                .extend(meant.map(|flag| (flag, value.map_or(Input::Unusable, Input::Text))));
            Violation::new(
                "argument",
                Actual::Value(all.join(" ")),
                "flags and their values only",
            )
            .hint(hint)
        };
        self.arguments.violations.push(violation);
    }
}

/// What is wrong with a flag that takes no value.
fn alone(name: &str, value: Option<&OsStr>, again: bool) -> Option<Violation> {
    let actual = match value {
        Some(value) => Actual::Value(shown(value)),
        None if again => Actual::Unknown("given more than once"),
        None => return None,
    };
    Some(Violation::new(name, actual, "the flag alone, once"))
}

/// Whether a value of `--images` may be the first piece of JSON that the
/// shell took apart.
fn is_json_piece(input: &Input) -> bool {
    let text = input.shown();
    let text = text.trim_start();
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_err()
        && (text.starts_with(['{', '\'', '"']) || text.contains(':'))
}

/// Bytes as people may see them: what is not UTF-8 as `\xff`.
fn shown(text: &OsStr) -> String {
    let mut shown = String::new();
    for chunk in text.as_bytes().utf8_chunks() {
        shown.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown
}
