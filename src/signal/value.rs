//! One value of the contract's types.

use std::fmt;
use std::str::FromStr;

use super::hint::{self, Hint};
use super::violation::{Actual, GrammarError, Violation};

/// One value of the contract's types, and what it was before it was
/// lower-cased.
pub(super) fn parse<T>(flag: &str, text: &str) -> Result<(T, Option<String>), Box<Violation>>
where
    T: FromStr<Err = GrammarError> + fmt::Display + Hint,
{
    match text.parse::<T>() {
        Ok(value) => {
            let lower = (value.to_string() != text).then(|| text.to_owned());
            Ok((value, lower))
        }
        Err(error) => {
            let general = hint::value(text, |text| text.parse::<T>().is_ok());
            let hint = general.or_else(|| T::hint(text));
            let actual = Actual::Value(text.to_owned());
            Err(Box::new(
                Violation::new(flag, actual, error.expected()).hint(hint),
            ))
        }
    }
}
