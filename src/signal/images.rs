//! `--images`: which keys it may and must carry, and an image for each.

use std::collections::{BTreeMap, BTreeSet};

use super::flag::Flag;
use super::hint;
use super::image::{ImageKey, ImageRef};
use super::json::Value;
use super::request::DeclaredKeys;
use super::value;
use super::violation::{Actual, Violation};

/// The most bytes of JSON.
pub(super) const MAX: usize = 64 * 1024;

/// The flag.
const FLAG: &str = Flag::Images.name();

/// The keys that each signal carries, and the one that it may carry.
const REQUIRED: [&str; 2] = ["api", "web"];
const OPTIONAL: &str = "worker";

/// The keys that a signal may carry, as far as they are known.
struct AllowedKeys {
    required: BTreeSet<String>,
    optional: BTreeSet<String>,
    /// What becomes of a key that is in neither.
    unknown: UnknownKeys,
}

/// What becomes of a key that is not known.
#[derive(Clone, Copy, PartialEq)]
enum UnknownKeys {
    /// The node has none of that name.
    Refused,
    /// The app is not known, so the node cannot be asked: only a slip in one
    /// of the contract's keys is reported.
    Slips,
    /// The node's own configuration cannot be read, which is reported later.
    Allowed,
}

impl AllowedKeys {
    fn of(declared: Option<DeclaredKeys>) -> Self {
        let mut required: BTreeSet<String> = REQUIRED.map(str::to_owned).into();
        let mut optional = BTreeSet::from([OPTIONAL.to_owned()]);
        let unknown = match declared {
            None => UnknownKeys::Slips,
            Some(DeclaredKeys::Unreadable) => UnknownKeys::Allowed,
            Some(DeclaredKeys::Known(keys)) => {
                for (key, needed) in keys {
                    let to = if needed { &mut required } else { &mut optional };
                    to.insert(key.to_string());
                }
                UnknownKeys::Refused
            }
        };
        Self {
            required,
            optional,
            unknown,
        }
    }

    fn known(&self, key: &str) -> bool {
        self.required.contains(key) || self.optional.contains(key)
    }

    /// The known key that was meant by `key`.
    fn meant(&self, key: &str) -> Option<&str> {
        let all = self.required.iter().chain(&self.optional);
        hint::nearest(key, all.map(String::as_str))
    }

    fn listed(&self) -> String {
        let all: Vec<&str> = self
            .required
            .iter()
            .chain(self.optional.difference(&self.required))
            .map(String::as_str)
            .collect();
        format!("one of the keys {}", all.join(", "))
    }
}

/// Reads the whole flag. What is wrong goes to `violations`; the
/// images come back with the notes on what was lower-cased.
pub(super) fn parse(
    text: &str,
    declared: Option<DeclaredKeys>,
    violations: &mut Vec<Violation>,
    lowered: &mut Vec<String>,
) -> BTreeMap<ImageKey, ImageRef> {
    match read(text) {
        Ok(members) => members_of(members, &AllowedKeys::of(declared), violations, lowered),
        Err(violation) => {
            violations.push(*violation);
            BTreeMap::new()
        }
    }
}

fn read(text: &str) -> Result<Vec<(String, Value)>, Box<Violation>> {
    let wrong = |actual| Box::new(Violation::new(FLAG, actual, Flag::Images.expected()));
    if text.len() > MAX {
        let mut violation = wrong(Actual::Other(format!("{} bytes", text.len())));
        violation.expected = format!("at most {MAX} bytes of JSON").into();
        return Err(violation);
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(value) => Err(Box::new(
            wrong(Actual::Other(value.name())).hint(hint::object(&value)),
        )),
        Err(error) => {
            let mut violation = wrong(Actual::Value(text.to_owned()));
            violation.hints = hint::json(text, &error);
            Err(violation)
        }
    }
}

/// The values of each key, in the order in which the keys came first.
fn grouped(members: Vec<(String, Value)>) -> Vec<(String, Vec<Value>)> {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut groups: Vec<(String, Vec<Value>)> = Vec::new();
    for (key, value) in members {
        let place = *places.entry(key.clone()).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((_, values)) => values.push(value),
            None => groups.push((key, vec![value])),
        }
    }
    groups
}

fn members_of(
    members: Vec<(String, Value)>,
    keys: &AllowedKeys,
    violations: &mut Vec<Violation>,
    lowered: &mut Vec<String>,
) -> BTreeMap<ImageKey, ImageRef> {
    let groups = grouped(members);
    let given: BTreeSet<&str> = groups.iter().map(|(key, _)| key.as_str()).collect();
    // A required key with a slip in its name is not missing as well.
    let mut meant = BTreeSet::new();
    let mut images = BTreeMap::new();
    for (key, values) in &groups {
        let unknown = unknown(key, keys, &given);
        let foreign = unknown.is_some();
        if let Some(violation) = unknown {
            meant.extend(keys.meant(key));
            violations.push(violation);
        }
        if values.len() > 1 {
            violations.push(repeated(key, values));
        }
        for (at, value) in values.iter().enumerate() {
            // What an unknown key holds is not an image in the first place.
            let foreign = foreign && !matches!(value, Value::Text(_));
            if foreign || values[..at].contains(value) {
                continue;
            }
            match image(value) {
                Ok((image, lower)) => {
                    lowered.extend(lower.map(|from| format!("{FLAG} {key}: {from}")));
                    images.extend(key.parse().ok().map(|key: ImageKey| (key, image)));
                }
                Err(violation) => violations.push(violation.key(key)),
            }
        }
    }
    for key in &keys.required {
        if !given.contains(key.as_str()) && !meant.contains(key.as_str()) {
            violations
                .push(Violation::new(FLAG, Actual::Missing, ImageRef::EXPECTED).key(key.as_str()));
        }
    }
    images
}

/// The violation of a key that a signal does not have, beside those `given`.
fn unknown(key: &str, keys: &AllowedKeys, given: &BTreeSet<&str>) -> Option<Violation> {
    if keys.known(key) {
        return None;
    }
    let meant = keys.meant(key);
    let told = match keys.unknown {
        UnknownKeys::Refused => true,
        // No node can declare what is no key, and where a required one is
        // missing, a slip in it is why.
        UnknownKeys::Allowed => {
            let missing = |key: &str| keys.required.contains(key) && !given.contains(key);
            meant.is_some_and(missing) || key.parse::<ImageKey>().is_err()
        }
        UnknownKeys::Slips => meant.is_some() || key.parse::<ImageKey>().is_err(),
    };
    let hint = match meant {
        None if key == "images" => "send the object inside of it".to_owned(),
        Some(meant) => format!("did you mean {meant}?"),
        None => "a node takes further keys where its deploy.toml has them: images.<key> under \
                 the app"
            .to_owned(),
    };
    told.then(|| {
        Violation::new(
            FLAG,
            Actual::Unknown("not a key of a signal"),
            keys.listed(),
        )
        .key(key)
        .hint(hint)
    })
}

fn repeated(key: &str, values: &[Value]) -> Violation {
    let shown = values.iter().map(|value| match value {
        Value::Text(text) => text.clone(),
        other => other.name(),
    });
    Violation::new(FLAG, Actual::Repeated(shown.collect()), "each key once").key(key)
}

/// One image, and what it was before it was lower-cased.
fn image(value: &Value) -> Result<(ImageRef, Option<String>), Box<Violation>> {
    let Value::Text(text) = value else {
        let hint = match value {
            Value::Null => Some("null is what toJSON() makes of an output that is not set"),
            Value::Object(_) => Some("write one string: \"<repository>:<tag>\""),
            _ => None,
        };
        let expected = format!("a string: {}", ImageRef::EXPECTED);
        let violation = Violation::new(FLAG, Actual::Other(value.name()), expected);
        return Err(Box::new(violation.hint(hint.map(str::to_owned))));
    };
    value::parse(FLAG, text)
}
