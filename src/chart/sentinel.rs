//! References that no chart can know: what a render does with them shows which
//! container takes which value.
//!
//! A sentinel has the form of the requested reference (tag, digest or both; a
//! version stays a version, a commit id a commit id), or a chart that looks at
//! its tag would render another thing than it will for real.

use std::collections::BTreeMap;

use super::layout::{Layout, Solved};
use crate::plan::ValuePath;
use crate::signal::{ImageRef, Owner};
use crate::{Error, Kind, Result};

/// Makes sentinels. Each field has its own part, so that two places that share
/// a field agree in it and differ in the others.
#[derive(Default)]
pub(super) struct Sentinels {
    ids: BTreeMap<ValuePath, usize>,
    names: BTreeMap<ValuePath, String>,
    tags: BTreeMap<ValuePath, String>,
}

/// Which parts of a reference are made up: a chart may check one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MadeUp {
    pub(super) name: bool,
    /// Tag and digest.
    pub(super) end: bool,
}

/// Tags and digests while a chart is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// Made up, so that a render shows what takes them.
    MadeUp,
    /// Those that are requested: a template may have a condition on one of them.
    Requested,
}

impl MadeUp {
    const ALL: Self = Self {
        name: true,
        end: true,
    };
    const NAME: Self = Self {
        name: true,
        end: false,
    };
    const END: Self = Self {
        name: false,
        end: true,
    };
    const NONE: Self = Self {
        name: false,
        end: false,
    };

    /// As much as can be first, then less, down to the requested reference itself.
    pub(super) const fn steps(ends: Ends) -> &'static [Self] {
        match ends {
            Ends::MadeUp => &[Self::ALL, Self::NAME, Self::END, Self::NONE],
            Ends::Requested => &[Self::NAME, Self::NONE],
        }
    }
}

/// A sentinel, and what tells in a render that a field of it was read.
#[derive(Clone, Debug)]
pub(super) struct Sentinel {
    pub(super) image: ImageRef,
    /// What an override sets each field to.
    pub(super) assignments: Vec<(ValuePath, String)>,
    /// Each field that has a part of its own, with that part.
    pub(super) marks: Vec<(ValuePath, String)>,
}

impl Sentinels {
    /// The sentinel for `image` in `layout`; what `made` says of it is made up.
    pub(super) fn make(
        &mut self,
        layout: &Layout,
        image: &ImageRef,
        made: MadeUp,
    ) -> Result<Sentinel> {
        if let Some(solved) = &layout.solved {
            return Ok(self.of_equation(solved, layout, image, made));
        }
        let mut marks = Vec::new();
        let mut text = match &layout.repository {
            Some(path) if made.name => {
                let id = self.id(path);
                let name = self
                    .names
                    .entry(path.clone())
                    .or_insert_with(|| name(image, id));
                marks.push((path.clone(), name.clone()));
                name.clone()
            }
            _ => image.name(),
        };
        let end = layout.tag.as_ref().or(layout.repository.as_ref());
        if let (Some(wanted), Some(path)) = (image.tag(), end) {
            if made.end {
                let id = self.id(path);
                let tag = self
                    .tags
                    .entry(path.clone())
                    .or_insert_with(|| made_up_tag(wanted.as_str(), id));
                marks.push((path.clone(), tag.clone()));
                text = format!("{text}:{tag}");
            } else {
                text = format!("{text}:{wanted}");
            }
        }
        let end = layout.digest.as_ref().or(end);
        if let (Some(wanted), Some(path)) = (image.digest(), end) {
            if made.end {
                let id = self.id(path);
                let hex = made_up_hex(id);
                text = format!("{text}@sha256:{hex}");
                marks.push((path.clone(), hex));
            } else {
                text = format!("{text}@{wanted}");
            }
        }
        let image: ImageRef = text.parse().map_err(|cause| {
            Error::new(
                Kind::Internal,
                format!("a made-up reference of the proof is not valid: {cause}"),
            )
            .detail(text)
        })?;
        let assignments = layout.assignments(&image);
        Ok(Sentinel {
            image,
            assignments,
            marks,
        })
    }

    /// The same for what was read from a render: each place has its own part.
    fn of_equation(
        &mut self,
        solved: &Solved,
        layout: &Layout,
        image: &ImageRef,
        made: MadeUp,
    ) -> Sentinel {
        let mut values = Vec::new();
        let mut marks = Vec::new();
        for (path, value) in &solved.values {
            let id = self.id(path);
            let text = made_up_part(value, image, id, made);
            if text != *value {
                marks.push((path.clone(), text.clone()));
            }
            values.push((path.clone(), text));
        }
        let of = |path: &ValuePath| {
            let found = values.iter().find(|(other, _)| other == path);
            found.map(|(_, text)| text.as_str())
        };
        let Ok(sentinel) = solved.equation.with(of).parse::<ImageRef>() else {
            // A part that takes no other form is left as it is requested.
            return Sentinel {
                image: image.clone(),
                assignments: layout.assignments(image),
                marks: Vec::new(),
            };
        };
        let cleared = solved
            .cleared
            .iter()
            .map(|path| (path.clone(), String::new()));
        let assignments = values.iter().cloned().chain(cleared).collect();
        Sentinel {
            image: sentinel,
            assignments,
            marks,
        }
    }

    fn id(&mut self, path: &ValuePath) -> usize {
        let next = self.ids.len() + 1;
        *self.ids.entry(path.clone()).or_insert(next)
    }
}

impl Sentinel {
    /// `text` as it would stand there for `image`.
    pub(super) fn unmask(&self, text: &str, image: &ImageRef) -> String {
        let mut text = text.replace(&self.image.name(), &image.name());
        text = text.replace(&self.image.repository(), &image.repository());
        if let (Some(fake), Some(tag)) = (self.image.tag(), image.tag()) {
            text = text.replace(fake.as_str(), tag.as_str());
        }
        if let (Some(fake), Some(digest)) = (self.image.digest(), image.digest()) {
            text = text.replace(fake.hex(), digest.hex());
        }
        text
    }
}

fn made_up_hex(id: usize) -> String {
    format!("d{id:03}{:056x}{id:04}", 0)
}

/// What stands at a place of an equation, changed so that no chart can know it.
fn made_up_part(value: &str, image: &ImageRef, id: usize, made: MadeUp) -> String {
    let mut text = value.to_owned();
    let mut is_end = false;
    if let Some(digest) = image
        .digest()
        .filter(|digest| value.ends_with(digest.hex()))
    {
        is_end = true;
        if made.end {
            text = text.replace(digest.hex(), &made_up_hex(id));
        }
    }
    if let Some(tag) = image.tag() {
        let (front, back) = text.split_once('@').unwrap_or((&text, ""));
        let at = if back.is_empty() { "" } else { "@" };
        if let Some(front) = front
            .strip_suffix(tag.as_str())
            .filter(|front| front.is_empty() || front.ends_with(':'))
        {
            is_end = true;
            if made.end {
                text = format!("{front}{}{at}{back}", made_up_tag(tag.as_str(), id));
            }
        }
    }
    let name = text.split(['@', ':']).next().unwrap_or_default().to_owned();
    let whole = is_end && name.contains('/');
    let named = image.name().contains(&name) && (!is_end || whole);
    if made.name && named && !name.is_empty() && name != ImageRef::REGISTRY {
        text = format!("{name}-proof{id:04}{}", &text[name.len()..]);
    }
    text
}

/// Owner and path stay in front: a chart's schema may ask for them.
fn name(image: &ImageRef, id: usize) -> String {
    let name = image.name();
    if name.len() + 10 > 255 {
        let owner: &Owner = image.owner();
        return format!("{}/{owner}/proof{id:04}", ImageRef::REGISTRY);
    }
    format!("{name}-proof{id:04}")
}

/// A tag of the shape of `wanted` that no chart can know.
pub(super) fn made_up_tag(wanted: &str, id: usize) -> String {
    let bare = wanted.strip_prefix('v').unwrap_or(wanted);
    if let Ok(mut version) = semver::Version::parse(bare) {
        let v = &wanted[..wanted.len() - bare.len()];
        version.patch = 900_000 + id as u64;
        return format!("{v}{version}");
    }
    if wanted.len() >= 7 && wanted.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let made = format!("{}{id:04}", &wanted[..wanted.len() - 4]);
        if made != wanted {
            return made;
        }
    }
    // A commit id or a number at the end keeps its length: a template may check it.
    let last = wanted.rfind(['-', '.', '_']).map_or(0, |at| at + 1);
    let run = &wanted[last..];
    let hex = run.len() >= 7
        && run
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if last > 0 && hex {
        let made = format!("{}{id:04}", &wanted[..wanted.len() - 4]);
        if made != wanted {
            return made;
        }
    }
    let end = format!("-p{id:04}");
    // A tag that fits a label stays one that fits, and the other way round.
    let most = if wanted.len() <= 63 { 63 } else { 128 };
    let kept = wanted.len().min(most - end.len());
    format!("{}{end}", &wanted[..kept])
}

#[cfg(test)]
mod tests {
    use super::made_up_tag;

    #[test]
    fn a_sentinel_has_the_form_of_the_tag() {
        let long = "x".repeat(100);
        for (wanted, made) in [
            ("1.2.3", "1.2.900007".to_owned()),
            ("v1.2.3-rc.1", "v1.2.900007-rc.1".to_owned()),
            ("3f2a1bc", "3f20007".to_owned()),
            ("0000007", "0000007-p0007".to_owned()),
            ("sha-3f2a1bc", "sha-3f20007".to_owned()),
            ("main", "main-p0007".to_owned()),
            ("api-1", "api-1-p0007".to_owned()),
            (&"y".repeat(63), format!("{}-p0007", "y".repeat(57))),
            (&long, format!("{long}-p0007")),
        ] {
            assert_eq!(made_up_tag(wanted, 7), made);
        }
    }
}
