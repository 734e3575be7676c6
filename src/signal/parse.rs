//! From arguments to a [`Signal`], or to every violation.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::str::FromStr;

use super::args::{self, Arguments, Input};
use super::chart::{ChartRef, ChartVersion};
use super::flag::Flag;
use super::hint::Hint;
use super::images;
use super::name::App;
use super::request::{DeclaredKeys, Request, Signal};
use super::value;
use super::violation::{self, Actual, GrammarError, InvalidRequest, Violation};

/// Checks a signal's arguments (without the program's name). `declared` is
/// asked for the node's keys of the app, if the app has a valid name.
///
/// # Errors
/// Every violation at once.
pub fn parse(
    args: &[OsString],
    declared: impl FnOnce(&App) -> DeclaredKeys,
) -> Result<Signal, InvalidRequest> {
    if args.is_empty() {
        return Err(InvalidRequest {
            violations: vec![nothing()],
        });
    }
    let Arguments {
        inputs,
        dry_run,
        quiet: _,
        json: as_json,
        mut violations,
    } = args::read(args);
    let is_flag = |arg: &OsString| arg.len() > 1 && arg.as_encoded_bytes().starts_with(b"-");
    if !args.iter().any(is_flag) {
        // No signal at all; a list of what it lacks would hide that.
        return Err(InvalidRequest { violations });
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
            images = images::parse(&text, declared, &mut violations, &mut lowered);
        }
    }
    match (app, chart, version) {
        (Some(app), Some(chart), Some(version)) if violations.is_empty() => Ok(Signal {
            request: Request {
                app,
                chart,
                version,
                images,
            },
            dry_run,
            json: as_json,
            notes: note(&lowered),
        }),
        _ => Err(InvalidRequest { violations }),
    }
}

/// Whether a signal's arguments ask for the result only, whatever else is in it.
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
        Actual::Other("no arguments".to_owned()),
        violation::USAGE,
    )
    .hint("see deploy --help".to_owned())
}

/// The one value of a flag, where it is good.
fn flag<T>(
    inputs: &[(Flag, Input)],
    flag: Flag,
    violations: &mut Vec<Violation>,
    lowered: &mut Vec<String>,
) -> Option<T>
where
    T: FromStr<Err = GrammarError> + fmt::Display + Hint,
{
    let mut good = None;
    for text in texts(inputs, flag, violations) {
        match value::parse(flag.name(), &text) {
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
/// missing, repeated or no text becomes a violation.
fn texts(inputs: &[(Flag, Input)], flag: Flag, violations: &mut Vec<Violation>) -> Vec<String> {
    let of_flag: Vec<&Input> = inputs
        .iter()
        .filter(|(of, _)| *of == flag)
        .map(|(_, input)| input)
        .collect();
    let violation = |actual| Violation::new(flag.name(), actual, flag.expected());
    if of_flag.is_empty() {
        violations.push(violation(Actual::Missing));
    }
    if of_flag.len() > 1 {
        let values = of_flag.iter().map(|input| input.shown()).collect();
        violations.push(Violation::new(
            flag.name(),
            Actual::Repeated(values),
            "each flag once",
        ));
    }
    let mut texts: Vec<String> = Vec::new();
    for input in of_flag {
        match input {
            Input::Text(text) if texts.contains(text) => {}
            Input::Text(text) => texts.push(text.clone()),
            Input::NotText(shown) => violations.push(
                violation(Actual::Value(shown.clone()))
                    .hint("it holds bytes that are not UTF-8: is it a file's content?".to_owned()),
            ),
            Input::NoValue => violations.push(violation(Actual::NoValue).hint(
                "is the variable behind it empty, and without double quotes around it?".to_owned(),
            )),
            // Reported where it was seen.
            Input::Unusable => {}
        }
    }
    texts
}
