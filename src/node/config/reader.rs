//! Reads tables of a TOML document key by key and gathers every mistake with
//! its line and column. Values of `[env]` are never shown.

use std::collections::BTreeMap;
use std::ops::Range;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::signal::nearest;
use crate::text;

/// A mistake in deploy.toml.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    /// Where in the document, in bytes.
    pub(super) at: usize,
    /// What was seen and what was expected.
    pub(super) message: String,
    /// What to do.
    pub(super) hint: Option<String>,
}

/// A table of the document, with its path from the top.
pub(super) struct Table<'a> {
    path: String,
    entries: BTreeMap<&'a str, (Range<usize>, &'a Spanned<DeValue<'a>>)>,
    asked: Vec<&'static str>,
    /// Those of them that stood there.
    seen: Vec<&'static str>,
}

impl<'a> Table<'a> {
    /// A table whose keys are read one by one.
    pub(super) fn new(path: impl Into<String>, table: &'a DeTable<'a>) -> Self {
        Self {
            path: path.into(),
            entries: table
                .iter()
                .map(|(key, value)| (key.get_ref().as_ref(), (key.span(), value)))
                .collect(),
            asked: Vec::new(),
            seen: Vec::new(),
        }
    }

    /// The path of one of its keys, as people write it.
    pub(super) fn path_of(&self, key: &str) -> String {
        let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let key = if !key.is_empty() && key.bytes().all(bare) {
            key.to_owned()
        } else {
            format!("\"{}\"", text::line(key, 60))
        };
        if self.path.is_empty() {
            key
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// A value as it stands there.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.push(key);
        let (_, value) = self.entries.remove(key)?;
        self.seen.push(key);
        Some(value)
    }

    /// Whether the key, which was asked for, never stood there.
    pub(super) fn lacks(&self, key: &str) -> bool {
        !self.seen.contains(&key)
    }

    /// A text that is a `T`.
    pub(super) fn text<T: FromStr>(
        &mut self,
        key: &'static str,
        expected: &str,
        mistakes: &mut Vec<Mistake>,
    ) -> Option<T> {
        let value = self.take(key)?;
        read(&self.path_of(key), value, expected, mistakes)
    }

    /// A list of texts, each a `T`.
    pub(super) fn list<T: FromStr>(
        &mut self,
        key: &'static str,
        expected: &str,
        mistakes: &mut Vec<Mistake>,
    ) -> Option<Vec<T>> {
        let value = self.take(key)?;
        read_list(&self.path_of(key), value, expected, mistakes)
    }

    /// A table inside this one.
    pub(super) fn table(
        &mut self,
        key: &'static str,
        mistakes: &mut Vec<Mistake>,
    ) -> Option<Table<'a>> {
        let path = self.path_of(key);
        let value = self.take(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(Self::new(path, table)),
            other => {
                mistakes.push(Mistake {
                    at: value.span().start,
                    message: format!("{path} is {}, expected a table", named(other)),
                    hint: None,
                });
                None
            }
        }
    }

    /// What is left, for tables whose keys are names: key, where it stands,
    /// and the value.
    pub(super) fn drain(&mut self) -> Vec<(&'a str, usize, &'a Spanned<DeValue<'a>>)> {
        std::mem::take(&mut self.entries)
            .into_iter()
            .map(|(key, (span, value))| (key, span.start, value))
            .collect()
    }

    /// Every key that was not asked for is a mistake.
    pub(super) fn finish(self, mistakes: &mut Vec<Mistake>) {
        for (key, (span, _)) in &self.entries {
            let place = if self.path.is_empty() {
                "the file".to_owned()
            } else {
                format!("[{}]", self.path)
            };
            let hint = match nearest(key, self.asked.iter().copied()) {
                Some(known) => format!("did you mean {known}?"),
                None => format!("{place} takes {}", self.asked.join(", ")),
            };
            mistakes.push(Mistake {
                at: span.start,
                message: format!("unknown key {} in {place}", text::quoted(key)),
                hint: Some(hint),
            });
        }
    }
}

/// A text that is a `T`.
pub(super) fn read<T: FromStr>(
    path: &str,
    value: &Spanned<DeValue<'_>>,
    expected: &str,
    mistakes: &mut Vec<Mistake>,
) -> Option<T> {
    let seen = match value.get_ref() {
        DeValue::String(given) => match given.parse() {
            Ok(read) => return Some(read),
            Err(_) => text::quoted(given),
        },
        other => named(other),
    };
    mistakes.push(Mistake {
        at: value.span().start,
        message: format!("{path} is {seen}, expected {expected}"),
        hint: None,
    });
    None
}

/// A list of texts, each a `T`.
pub(super) fn read_list<T: FromStr>(
    path: &str,
    value: &Spanned<DeValue<'_>>,
    expected: &str,
    mistakes: &mut Vec<Mistake>,
) -> Option<Vec<T>> {
    let DeValue::Array(items) = value.get_ref() else {
        mistakes.push(Mistake {
            at: value.span().start,
            message: format!(
                "{path} is {}, expected a list: [\"…\"], each {expected}",
                named(value.get_ref())
            ),
            hint: None,
        });
        return None;
    };
    let before = mistakes.len();
    let read = items
        .iter()
        .filter_map(|item| read(&format!("an entry of {path}"), item, expected, mistakes))
        .collect();
    (mistakes.len() == before).then_some(read)
}

/// What a value is, without its content: it may be a secret.
pub(super) fn named(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(_) => "a text".to_owned(),
        DeValue::Integer(number) => format!("the number {}", text::line(number.as_str(), 30)),
        DeValue::Float(number) => format!("the number {}", text::line(number.as_str(), 30)),
        DeValue::Boolean(yes) => yes.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// Line and column of a byte, both from 1, the column in characters.
pub(super) fn position(document: &str, at: usize) -> (usize, usize) {
    let before = &document.as_bytes()[..at.min(document.len())];
    let line = before.split(|byte| *byte == b'\n').count();
    let start = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |newline| newline + 1);
    let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
    (line, column)
}
