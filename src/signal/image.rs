//! Images on GHCR: keys, tags, digests and references.

use std::fmt;
use std::str::FromStr;

use super::Owner;

/// The name of an image in a signal: `api`, `web`, `worker`, or one that the
/// node declares. Letters, digits, `-` and `_`, a letter first, at most 63.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageKey(String);

impl ImageKey {
    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ImageKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let starts = text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
        if !starts || text.len() > 63 || !text.bytes().all(inner) {
            return Err("letters, digits, '-' and '_', a letter first, at most 63 characters");
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ImageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A tag (OCI distribution spec: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(String);

impl Tag {
    /// The tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let inner = |byte: u8| word(byte) || byte == b'.' || byte == b'-';
        let starts = text.as_bytes().first().is_some_and(|byte| word(*byte));
        if !starts || text.len() > 128 || !text.bytes().all(inner) {
            return Err("letters, digits, '_', '.' and '-', at most 128 characters");
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A digest: `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

impl Digest {
    /// The digest with its algorithm.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 64 digits alone.
    pub fn hex(&self) -> &str {
        &self.0["sha256:".len()..]
    }
}

impl FromStr for Digest {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        match text.strip_prefix("sha256:") {
            Some(hex) if hex.len() == 64 && hex.bytes().all(digit) => Ok(Self(text.to_owned())),
            _ => Err("sha256: and 64 lower-case hexadecimal digits"),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An image on GHCR with a tag, a digest, or both; owner and path lower-cased.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageRef {
    owner: Owner,
    path: String,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

impl ImageRef {
    /// The registry that every image of a signal lies in.
    pub const REGISTRY: &'static str = "ghcr.io";

    /// Who owns the image.
    pub const fn owner(&self) -> &Owner {
        &self.owner
    }

    /// `<owner>/<path…>`, as the registry's API wants it.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.owner, self.path)
    }

    /// `ghcr.io/<owner>/<path…>`: the reference without tag and digest.
    pub fn name(&self) -> String {
        format!("{}/{}/{}", Self::REGISTRY, self.owner, self.path)
    }

    /// The tag, where the reference has one.
    pub const fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// The digest, where the reference has one.
    pub const fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }
}

impl FromStr for ImageRef {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SHAPE: &str = "ghcr.io/<owner>/<path> with :tag, @sha256:<digest>, or both";
        let path = text.strip_prefix("ghcr.io/").ok_or(SHAPE)?;
        let (path, digest) = match path.split_once('@') {
            Some((path, digest)) => (path, Some(digest.parse()?)),
            None => (path, None),
        };
        let (path, tag) = match path.split_once(':') {
            Some((path, tag)) => (path, Some(tag.parse()?)),
            None => (path, None),
        };
        if tag.is_none() && digest.is_none() {
            return Err("a tag or a digest");
        }
        let (owner, path) = path.split_once('/').ok_or(SHAPE)?;
        let path = path.to_ascii_lowercase();
        // distribution/reference: at most 255 characters with the registry.
        if ImageRef::REGISTRY.len() + owner.len() + path.len() + 2 > 255 {
            return Err("at most 255 characters before the tag");
        }
        if !path.split('/').all(is_component) {
            return Err(SHAPE);
        }
        Ok(Self {
            owner: owner.parse()?,
            path,
            tag,
            digest,
        })
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// One component of a path (OCI distribution spec:
/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`).
pub(super) fn is_component(text: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let parts = text.split(|c: char| c.is_ascii() && alphanumeric(c as u8));
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|byte| alphanumeric(*byte))
        && bytes.last().is_some_and(|byte| alphanumeric(*byte))
        && parts
            .filter(|separator| !separator.is_empty())
            .all(|separator| {
                matches!(separator, "." | "_" | "__") || separator.bytes().all(|b| b == b'-')
            })
}
