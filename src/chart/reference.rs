//! An image reference as a chart renders it: any registry, any form.
//!
//! Requested images are [`ImageRef`]; this is for everything that may stand
//! beside them. References are compared parsed, never as text.

use std::fmt;

use crate::signal::ImageRef;

/// A reference, its name made whole as the container runtime does
/// (`distribution/reference`: `nginx` is `docker.io/library/nginx`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// Registry and path.
    pub name: String,
    /// The tag, where one stands there.
    pub tag: Option<String>,
    /// The digest, where one stands there.
    pub digest: Option<String>,
}

impl Reference {
    /// The parts of `text`; none where it cannot be a reference.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"'`<>{}[]\\ ".contains(&byte);
        if text.is_empty() || text.len() > 512 || !text.bytes().all(plain) {
            return None;
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        let last = rest.rfind('/').map_or(0, |at| at + 1);
        let (name, tag) = match rest[last..].split_once(':') {
            Some((name, tag)) => (&rest[..last + name.len()], Some(tag)),
            None => (rest, None),
        };
        if name.is_empty() || name.split('/').any(str::is_empty) {
            return None;
        }
        if tag.is_some_and(str::is_empty) || digest.is_some_and(|text| !text.contains(':')) {
            return None;
        }
        Some(Self {
            name: whole(name),
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }

    /// Whether it is exactly the requested one: name, tag and digest.
    pub fn is(&self, image: &ImageRef) -> bool {
        self.name == image.name()
            && self.tag.as_deref() == image.tag().map(crate::signal::Tag::as_str)
            && self.digest.as_deref() == image.digest().map(crate::signal::Digest::as_str)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// Registry and owner of an image's name.
pub(super) fn owner(name: &str) -> &str {
    name.rfind('/').map_or("", |at| &name[..at])
}

fn whole(name: &str) -> String {
    match name.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => name.to_owned(),
        Some(_) => format!("docker.io/{name}"),
        None => format!("docker.io/library/{name}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::Reference;

    #[test]
    fn references_are_read_as_the_runtime_reads_them() {
        for (text, shown) in [
            ("nginx", "docker.io/library/nginx"),
            ("acme/api:1", "docker.io/acme/api:1"),
            ("localhost/api:1", "localhost/api:1"),
            ("reg:5000/a/b", "reg:5000/a/b"),
            ("reg:5000/a/b:1@sha256:00", "reg:5000/a/b:1@sha256:00"),
            ("ghcr.io/a/b@sha256:00", "ghcr.io/a/b@sha256:00"),
        ] {
            assert_eq!(Reference::parse(text).unwrap().to_string(), shown);
        }
        for text in ["", ":1", "a b", "/a", "a//b", "a:", "a@b", "${IMAGE}"] {
            assert!(Reference::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn it_is_the_requested_one_only_when_whole() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let image = format!("ghcr.io/acme/api:1@{digest}").parse().unwrap();
        let is = |text: String| Reference::parse(&text).unwrap().is(&image);
        assert!(is(format!("ghcr.io/acme/api:1@{digest}")));
        assert!(!is(format!("ghcr.io/acme/api@{digest}")));
        assert!(!is("ghcr.io/acme/api:1".into()));
        assert!(!is(format!("docker.io/acme/api:1@{digest}")));
    }
}
