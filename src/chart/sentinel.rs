//! References that no chart can know: what a render does with them shows which
//! container takes which value.
//!
//! A sentinel has the form of the requested reference (tag, digest or both; a
//! version stays a version, a commit id a commit id), or a chart that looks at
//! its tag would render another thing than it will for real.

use std::collections::BTreeMap;

use super::layout::Layout;
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

/// A sentinel, and what tells in a render that a field of it was read.
#[derive(Clone, Debug)]
pub(super) struct Sentinel {
    pub(super) image: ImageRef,
    /// Each field that has a part of its own, with that part.
    pub(super) marks: Vec<(ValuePath, String)>,
}

impl Sentinels {
    /// The sentinel for `image` in `layout`.
    pub(super) fn make(&mut self, layout: &Layout, image: &ImageRef) -> Result<Sentinel> {
        let mut marks = Vec::new();
        let mut text = match &layout.repository {
            Some(path) => {
                let id = self.id(path);
                let name = self
                    .names
                    .entry(path.clone())
                    .or_insert_with(|| name(image, id));
                marks.push((path.clone(), name.clone()));
                name.clone()
            }
            None => image.name(),
        };
        let end = layout.tag.as_ref().or(layout.repository.as_ref());
        if let (Some(wanted), Some(path)) = (image.tag(), end) {
            let id = self.id(path);
            let tag = self
                .tags
                .entry(path.clone())
                .or_insert_with(|| tag(wanted.as_str(), id));
            marks.push((path.clone(), tag.clone()));
            text = format!("{text}:{tag}");
        }
        let end = layout.digest.as_ref().or(end);
        if let (Some(_), Some(path)) = (image.digest(), end) {
            let id = self.id(path);
            let hex = format!("d{id:03}{:056x}{id:04}", 0);
            text = format!("{text}@sha256:{hex}");
            marks.push((path.clone(), hex));
        }
        let image = text.parse().map_err(|cause| {
            Error::new(
                Kind::Internal,
                format!("a made-up reference of the proof is not valid: {cause}"),
            )
            .detail(text)
        })?;
        Ok(Sentinel { image, marks })
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

/// Owner and path stay in front: a chart's schema may ask for them.
fn name(image: &ImageRef, id: usize) -> String {
    let name = image.name();
    if name.len() + 10 > 255 {
        let owner: &Owner = image.owner();
        return format!("{}/{owner}/proof{id:04}", ImageRef::REGISTRY);
    }
    format!("{name}-proof{id:04}")
}

fn tag(wanted: &str, id: usize) -> String {
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
    let end = format!("-p{id:04}");
    // A tag that fits a label stays one that fits, and the other way round.
    let most = if wanted.len() <= 63 { 63 } else { 128 };
    let kept = wanted.len().min(most - end.len());
    format!("{}{end}", &wanted[..kept])
}

#[cfg(test)]
mod tests {
    use super::tag;

    #[test]
    fn a_sentinel_has_the_form_of_the_tag() {
        let long = "x".repeat(100);
        for (wanted, made) in [
            ("1.2.3", "1.2.900007".to_owned()),
            ("v1.2.3-rc.1", "v1.2.900007-rc.1".to_owned()),
            ("3f2a1bc", "3f20007".to_owned()),
            ("0000007", "0000007-p0007".to_owned()),
            ("main", "main-p0007".to_owned()),
            ("api-1", "api-1-p0007".to_owned()),
            (&"y".repeat(63), format!("{}-p0007", "y".repeat(57))),
            (&long, format!("{long}-p0007")),
        ] {
            assert_eq!(tag(wanted, 7), made);
        }
    }
}
