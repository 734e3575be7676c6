//! Lines for deploy.toml that may help, and what is said where none does. Which
//! of them help is shown by proofs ([`super::trials`]).

use std::fmt;

use serde_json::Value;

use super::reference::Reference;
use crate::Error;
use crate::plan::{ImageParts, ImageRules, ValuePath};
use crate::signal::{ImageKey, ImageRef};

/// A line under an app of deploy.toml.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// `images.api = ["api.image"]`
    Places(ImageKey, Vec<ValuePath>),
    /// `images.api = { repository = "image.repository", tag = "image.apiTag" }`
    Parts(ImageKey, ImageParts),
    /// `allow_images = ["ghcr.io/acme/api:1"]`
    Allow(Vec<ImageRef>),
    /// `absent = ["worker"]`
    Absent(ImageKey),
}

impl Line {
    /// `images.api = ["at"]`
    pub(super) fn at(key: &ImageKey, at: &ValuePath) -> Self {
        Self::Places(key.clone(), vec![at.clone()])
    }

    pub(super) fn add_to(&self, rules: &mut ImageRules) {
        match self {
            Self::Places(key, places) => {
                rules.parts.remove(key);
                rules.layouts.insert(key.clone(), places.clone());
            }
            Self::Parts(key, parts) => {
                rules.layouts.remove(key);
                rules.parts.insert(key.clone(), parts.clone());
            }
            Self::Allow(images) => rules.allowed.extend(images.iter().cloned()),
            Self::Absent(key) => {
                rules.absent.insert(key.clone());
            }
        }
    }

    /// Whether both name the same place, for two keys.
    pub(super) fn collides(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Places(_, one), Self::Places(_, two)) => one == two,
            (Self::Parts(_, one), Self::Parts(_, two)) => one == two,
            _ => false,
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Places(key, places) => write!(f, "images.{key} = [{}]", list(places)),
            Self::Parts(key, parts) => {
                let parts = [
                    ("registry", &parts.registry),
                    ("repository", &parts.repository),
                    ("tag", &parts.tag),
                    ("digest", &parts.digest),
                ];
                let said = parts.iter().filter_map(|(name, path)| {
                    Some(format!("{name} = {}", quoted(path.as_ref()?)))
                });
                let said = said.collect::<Vec<_>>().join(", ");
                write!(f, "images.{key} = {{ {said} }}")
            }
            Self::Allow(images) => write!(f, "allow_images = [{}]", list(images)),
            Self::Absent(key) => write!(f, "absent = [\"{key}\"]"),
        }
    }
}

fn list(items: &[impl fmt::Display]) -> String {
    let quoted: Vec<String> = items.iter().map(|item| quoted(item)).collect();
    quoted.join(", ")
}

fn quoted(item: &impl fmt::Display) -> String {
    let text = item.to_string();
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Lines that are put into deploy.toml together.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub(super) lines: Vec<Line>,
    pub(super) said: Said,
}

/// How a choice is told.
#[derive(Clone, Debug)]
pub(super) enum Said {
    Plainly,
    /// Where nothing says that the image of these containers is the key's.
    IfMeant(String),
    /// Behind these words.
    Behind(&'static str),
}

impl Choice {
    pub(super) fn plain(line: Line) -> Self {
        Self {
            lines: vec![line],
            said: Said::Plainly,
        }
    }

    /// A line that is right only if the image of `containers` is meant.
    pub(super) fn if_meant(line: Line, containers: String) -> Self {
        Self {
            lines: vec![line],
            said: Said::IfMeant(containers),
        }
    }

    /// `words` end before the colon.
    pub(super) fn behind(words: &'static str, lines: Vec<Line>) -> Self {
        Self {
            lines,
            said: Said::Behind(words),
        }
    }
}

/// What may help against one problem.
#[derive(Clone, Debug, Default)]
pub(super) struct Advice {
    /// One of them is meant, the likeliest first.
    pub(super) choices: Vec<Choice>,
    /// What is said where none of them helps.
    pub(super) otherwise: String,
}

impl Advice {
    /// No line helps.
    pub(super) fn none(otherwise: impl Into<String>) -> Self {
        Self {
            choices: Vec::new(),
            otherwise: otherwise.into(),
        }
    }
}

/// Why the requested images would not take effect, and what may help.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) error: Error,
    pub(super) advice: Vec<Advice>,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self {
            error,
            advice: Vec::new(),
        }
    }
}

impl Refusal {
    /// The error with what is said where no line helps.
    pub(super) fn without_lines(self) -> Error {
        let Self { error, advice } = self;
        let said = advice.into_iter().map(|advice| advice.otherwise);
        with_hints(error, said.collect())
    }
}

/// Each hint once.
pub(super) fn with_hints(mut error: Error, hints: Vec<String>) -> Error {
    for hint in hints {
        if !hint.is_empty() && !error.hints().contains(&hint) {
            error = error.hint(hint);
        }
    }
    error
}

/// What to change in a chart so that it takes any image of `key`.
pub(super) fn cure(key: &ImageKey) -> String {
    format!(
        "image: {{{{ .Values.{key}.image | quote }}}}, and in values.yaml: {key}: {{image: \"\"}}"
    )
}

/// Maps with a repository, and strings under an image's name that can be one.
pub(super) fn image_like(
    value: &Value,
    at: Option<&ValuePath>,
    found: &mut Vec<(ValuePath, String)>,
) {
    let Value::Object(map) = value else { return };
    if found.len() > 100 {
        return;
    }
    if let (Some(at), Some(Value::String(repository))) = (at, map.get("repository")) {
        found.push((at.clone(), repository.clone()));
    }
    for (key, below) in map {
        if key == "global" && at.is_some() {
            continue;
        }
        let path = match at {
            Some(at) => at.child(key),
            None => match key.replace('\\', "\\\\").replace('.', "\\.").parse() {
                Ok(path) => path,
                Err(_) => continue,
            },
        };
        match below {
            Value::String(image)
                if (key == "image" || key.ends_with("Image"))
                    && Reference::parse(image).is_some() =>
            {
                found.push((path, image.clone()));
            }
            _ => image_like(below, Some(&path), found),
        }
    }
}
