//! The key `verify` of deploy.toml.

use std::path::{Path, PathBuf};

use toml::de::DeValue;

use super::names::FilePath;
use super::reader::{Mistake, Table, named};
use crate::text;

const EXPECTED: &str = "{ key = \"deploy.pub\" } or \"off\"";

/// What chart and images are proven with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verifying {
    /// Nothing, whatever the defaults say.
    Off,
    /// The public key in this file.
    Key(PathBuf),
}

/// The key, where the table has it.
pub(super) fn read(
    table: &mut Table<'_>,
    base: &Path,
    mistakes: &mut Vec<Mistake>,
) -> Option<Verifying> {
    let path = table.path_of("verify");
    let value = table.take("verify")?;
    let at = value.span().start;
    let seen = match value.get_ref() {
        DeValue::String(text) if text == "off" => return Some(Verifying::Off),
        DeValue::String(text) => text::quoted(text),
        DeValue::Table(inner) => {
            let before = mistakes.len();
            let mut inner = Table::new(path.clone(), inner);
            let key = inner.text::<FilePath>("key", FilePath::EXPECTED, mistakes);
            inner.finish(mistakes);
            if mistakes.len() > before {
                return None;
            }
            match key {
                Some(file) => return Some(Verifying::Key(base.join(file.0))),
                None => "an empty table".to_owned(),
            }
        }
        other => named(other),
    };
    mistakes.push(Mistake {
        at,
        message: format!("{path} is {seen}, expected {EXPECTED}"),
        hint: None,
    });
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use super::Verifying;
    use crate::node::config::Config;

    #[test]
    fn a_key_file_or_off() {
        let read = |value: &str| {
            let document = format!("[defaults]\nverify = {value}\n");
            Config::parse(&document, Path::new("/etc/deploy/deploy.toml"))
                .map(|config| config.defaults.verify.unwrap())
                .map_err(|error| error.to_string())
        };
        let key = |path: &str| Ok(Verifying::Key(path.into()));
        assert_eq!(
            read("{ key = \"deploy.pub\" }"),
            key("/etc/deploy/deploy.pub")
        );
        assert_eq!(read("{ key = \"/k.pub\" }"), key("/k.pub"));
        assert_eq!(read("\"off\""), Ok(Verifying::Off));
        for (value, told) in [
            (
                "\"of\"",
                "defaults.verify is 'of', expected { key = \"deploy.pub\" } or \"off\"",
            ),
            ("true", "defaults.verify is true, expected"),
            ("{}", "defaults.verify is an empty table, expected"),
            ("{ keys = \"a\" }", "did you mean key?"),
            ("{ key = 1 }", "defaults.verify.key is the number 1"),
        ] {
            let error = read(value).unwrap_err();
            assert!(error.contains(told), "{value}: {error}");
        }
    }
}
