//! The contract: four flags in, a [`Request`] or every violation out.
//!
//! The types here can only hold what the contract allows; `FromStr` is the
//! only way into them. Nothing here reads a file, runs a program or prints.

mod args;
mod chart;
mod hint;
mod image;
mod images;
mod json;
mod name;
mod violation;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::str::FromStr;

pub use args::{Flag, QUIET_SHORT, SWITCHES};
pub use chart::{ChartRef, ChartVersion};
pub use image::{Digest, ImageKey, ImageRef, Tag};
pub use name::{App, Owner};
pub use violation::{Invalid, Mistake, Received, Violation};

pub(crate) use hint::nearest;

use args::{Given, Input};

/// What a valid signal asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The application.
    pub app: App,
    /// Where its chart lies.
    pub chart: ChartRef,
    /// Which version of it.
    pub version: ChartVersion,
    /// The image for each key. `api` and `web` are always there.
    pub images: BTreeMap<ImageKey, ImageRef>,
}

/// What the node says of the image keys of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Declared {
    /// Keys beyond the contract's own, and whether a signal must carry them;
    /// `worker` may stand here to be required.
    Keys(BTreeMap<ImageKey, bool>),
    /// The node's configuration cannot be read. That has its own error and
    /// exit code later; further keys are let through until then.
    Unreadable,
}

/// A signal that keeps the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// What is asked for.
    pub request: Request,
    /// Whether it is only to be planned and proven.
    pub dry_run: bool,
    /// Worth telling once: what was lower-cased. As it came, unescaped.
    pub notes: Vec<String>,
}

/// Judges a signal's arguments (without the program's name). `declared` is
/// asked for the node's keys of the app, if the app has a valid name.
///
/// # Errors
/// Every violation at once.
pub fn judge(
    args: &[OsString],
    declared: impl FnOnce(&App) -> Declared,
) -> Result<Judged, Invalid> {
    if args.is_empty() {
        return Err(Invalid {
            violations: vec![nothing()],
        });
    }
    let Given {
        inputs,
        dry_run,
        quiet: _,
        mut violations,
    } = args::read(args);
    let is_flag = |arg: &OsString| arg.len() > 1 && arg.as_encoded_bytes().starts_with(b"-");
    if !args.iter().any(is_flag) {
        // No signal at all; a list of what it lacks would hide that.
        return Err(Invalid { violations });
    }
    let mut lowered = Vec::new();
    let app = flag::<App>(&inputs, Flag::App, &mut violations, &mut lowered);
    let chart = flag::<ChartRef>(&inputs, Flag::Chart, &mut violations, &mut lowered);
    let version = flag::<ChartVersion>(&inputs, Flag::ChartVersion, &mut violations, &mut lowered);
    let json = texts(&inputs, Flag::Images, &mut violations);
    let mut images = BTreeMap::new();
    if !json.is_empty() {
        let declared = app.as_ref().map(declared);
        for text in json {
            let declared = declared.clone();
            images = images::judge(&text, declared, &mut violations, &mut lowered);
        }
    }
    match (app, chart, version) {
        (Some(app), Some(chart), Some(version)) if violations.is_empty() => Ok(Judged {
            request: Request {
                app,
                chart,
                version,
                images,
            },
            dry_run,
            notes: note(&lowered),
        }),
        _ => Err(Invalid { violations }),
    }
}

/// Whether a signal's arguments ask for the result only, however it is judged.
pub fn is_quiet(args: &[OsString]) -> bool {
    args::read(args).quiet
}

/// The note on what was lower-cased.
fn note(lowered: &[String]) -> Vec<String> {
    if lowered.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "names in a registry are lower case, so these were lower-cased: {}",
        lowered.join(", ")
    )]
}

/// The violation of a signal that is empty.
fn nothing() -> Violation {
    Violation::new(
        "",
        Received::Other("no arguments".to_owned()),
        violation::USAGE,
    )
    .hint("deploy --help tells more".to_owned())
}

/// The one value of a flag, where it is good.
fn flag<T>(
    inputs: &[(Flag, Input)],
    flag: Flag,
    violations: &mut Vec<Violation>,
    lowered: &mut Vec<String>,
) -> Option<T>
where
    T: FromStr<Err = Mistake> + fmt::Display,
{
    let mut good = None;
    for text in texts(inputs, flag, violations) {
        match judge_value(flag.name(), &text) {
            Ok((value, lower)) => {
                lowered.extend(lower.map(|from| format!("{} {from}", flag.name())));
                good = Some(value);
            }
            Err(violation) => violations.push(*violation),
        }
    }
    good
}

/// The values of a flag that are text: one, if the request is right. What is
/// missing, repeated or no text is told.
fn texts(inputs: &[(Flag, Input)], flag: Flag, violations: &mut Vec<Violation>) -> Vec<String> {
    let of_flag: Vec<&Input> = inputs
        .iter()
        .filter(|(of, _)| *of == flag)
        .map(|(_, input)| input)
        .collect();
    let violation = |received| Violation::new(flag.name(), received, flag.expected());
    if of_flag.is_empty() {
        violations.push(violation(Received::Missing));
    }
    if of_flag.len() > 1 {
        let values = of_flag.iter().map(|input| input.shown()).collect();
        violations.push(Violation::new(
            flag.name(),
            Received::Repeated(values),
            "each flag once",
        ));
    }
    let mut texts: Vec<String> = Vec::new();
    for input in of_flag {
        match input {
            Input::Text(text) if texts.contains(text) => {}
            Input::Text(text) => texts.push(text.clone()),
            Input::NotText(shown) => violations.push(
                violation(Received::Value(shown.clone()))
                    .hint("it holds bytes that are not UTF-8: is it a file's content?".to_owned()),
            ),
            Input::NoValue => violations.push(violation(Received::NoValue).hint(
                "is the variable behind it empty, and without double quotes around it?".to_owned(),
            )),
            // Told where it was seen.
            Input::Unusable => {}
        }
    }
    texts
}

/// One value of the contract's types, and what it was before it was
/// lower-cased.
fn judge_value<T>(flag: &str, text: &str) -> Result<(T, Option<String>), Box<Violation>>
where
    T: FromStr<Err = Mistake> + fmt::Display,
{
    match text.parse::<T>() {
        Ok(value) => {
            let lower = (value.to_string() != text).then(|| text.to_owned());
            Ok((value, lower))
        }
        Err(mistake) => {
            let general = hint::value(text, |text| text.parse::<T>().is_ok());
            let hint = general.or_else(|| mistake.hint().map(str::to_owned));
            let received = Received::Value(text.to_owned());
            Err(Box::new(
                Violation::new(flag, received, mistake.expected()).hint(hint),
            ))
        }
    }
}
