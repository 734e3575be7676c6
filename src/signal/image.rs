//! Images on GHCR: keys, tags, digests and references.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use super::name::Owner;
use super::violation::GrammarError;

/// The most characters of a name, its registry included, its tag and digest
/// not (distribution/reference: `NameTotalLengthMax`).
pub(super) const MAX_NAME: usize = 255;

/// The most characters of a tag (OCI distribution spec).
pub(super) const MAX_TAG: usize = 128;

/// The name of an image in a signal: `api`, `web`, `worker`, or one that the
/// node declares. Letters, digits, `-` and `_`, a letter first, at most 63.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageKey(String);

impl ImageKey {
    /// What a key is, in words.
    pub const EXPECTED: &'static str =
        "letters, digits, '-' and '_', a letter first, at most 63 characters";

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ImageKey {
    type Err = GrammarError;

    fn from_str(text: &str) -> Result<Self, GrammarError> {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let starts = text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
        if !starts || text.len() > 63 || !text.bytes().all(inner) {
            return Err(GrammarError(Self::EXPECTED));
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
    /// What a tag is, in words.
    pub const EXPECTED: &'static str =
        "letters, digits, '_', '.' and '-', not '.' or '-' first, at most 128 characters";

    /// The tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = GrammarError;

    fn from_str(text: &str) -> Result<Self, GrammarError> {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let inner = |byte: u8| word(byte) || byte == b'.' || byte == b'-';
        let starts = text.as_bytes().first().is_some_and(|byte| word(*byte));
        if !starts || text.len() > MAX_TAG || !text.bytes().all(inner) {
            return Err(GrammarError(Self::EXPECTED));
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
    /// What a digest is, in words.
    pub const EXPECTED: &'static str = "sha256: and 64 lower-case hexadecimal digits";

    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
        let mut text = "sha256:".to_owned();
        for byte in digest.as_ref() {
            // Into a text: nothing of it can fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

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
    type Err = GrammarError;

    fn from_str(text: &str) -> Result<Self, GrammarError> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        match text.strip_prefix("sha256:") {
            Some(hex) if hex.len() == 64 && hex.bytes().all(digit) => Ok(Self(text.to_owned())),
            _ => Err(GrammarError(Self::EXPECTED)),
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
    /// What a reference is, in words.
    pub const EXPECTED: &'static str =
        "ghcr.io/<owner>/<path> with :<tag>, @sha256:<64 digits>, or both";

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

    /// The same image by this digest, its tag kept.
    #[must_use]
    pub fn by_digest(&self, digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            ..self.clone()
        }
    }

    /// The grammar alone: hints are found with it.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.parse().ok()?)),
            None => (text, None),
        };
        let (name, tag) = match name.split_once(':') {
            Some((name, tag)) => (name, Some(tag.parse().ok()?)),
            None => (name, None),
        };
        let path = name.strip_prefix("ghcr.io/")?;
        let (owner, path) = path.split_once('/')?;
        let path = path.to_ascii_lowercase();
        let sized = name.len() <= MAX_NAME && (tag.is_some() || digest.is_some());
        if !sized || !path.split('/').all(is_component) {
            return None;
        }
        Some(Self {
            owner: owner.parse().ok()?,
            path,
            tag,
            digest,
        })
    }
}

impl FromStr for ImageRef {
    type Err = GrammarError;

    fn from_str(text: &str) -> Result<Self, GrammarError> {
        Self::read(text).ok_or(GrammarError(Self::EXPECTED))
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
