//! Where a field stands in an object, as people write it and as `managedFields`
//! name it.

use std::fmt;

use serde_json::Value;

use crate::text;

/// One step down.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A key of a map.
    Key(String),
    /// The element of a list that this key tells from the others.
    Item {
        /// `name`
        key: String,
        /// `api`, or JSON where it is no text.
        value: String,
    },
    /// An element of a list by its place.
    Index(usize),
}

/// `spec.template.spec.containers[api].image`
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldPath(pub Vec<Step>);

impl FieldPath {
    /// The same path with one step more.
    #[must_use]
    pub fn then(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// Whether it begins with these two keys.
    pub fn is_in(&self, first: &str, second: &str) -> bool {
        let is = |at: usize, key: &str| matches!(self.0.get(at), Some(Step::Key(k)) if k == key);
        is(0, first) && is(1, second)
    }

    /// The last key of a map on the way.
    pub fn last_key(&self) -> &str {
        let keys = self.0.iter().rev();
        keys.into_iter()
            .find_map(|step| match step {
                Step::Key(key) => Some(key.as_str()),
                _ => None,
            })
            .unwrap_or_default()
    }
}

/// A value by which elements of a list are told apart, as a step holds it.
pub fn id(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if is_word(key) => {
                    if at > 0 {
                        f.write_str(".")?;
                    }
                    f.write_str(key)?;
                }
                Step::Key(key) => write!(f, "[\"{}\"]", text::line(key, 120))?,
                Step::Item { value, .. } => write!(f, "[{}]", text::line(value, 120))?,
                Step::Index(at) => write!(f, "[{at}]")?,
            }
        }
        Ok(())
    }
}

/// Whether a key needs no quotes.
fn is_word(key: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !key.is_empty() && key.len() <= 120 && key.bytes().all(plain)
}
