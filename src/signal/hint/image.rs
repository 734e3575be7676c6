//! Mistakes in an image's reference.

use super::oci_name::{component, without_user};
use crate::signal::image::MAX_NAME;
use crate::signal::image::{Digest, ImageRef, Tag};
use crate::signal::name::Owner;
use crate::signal::violation::quoted;

/// Each thing that is wrong with a reference, then the one that was meant
/// where that can be told.
pub(super) fn image(text: &str) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    let mut causes = Vec::new();
    let rest = match text.split_once("://") {
        Some((scheme, rest)) => {
            let scheme = quoted(&format!("{scheme}://"));
            causes.push(format!("an image has no scheme: leave out {scheme}"));
            rest
        }
        None => text,
    };
    let rest = without_user(rest, &mut causes);
    let (name, digest) = rest
        .split_once('@')
        .map_or((rest, None), |(name, digest)| (name, Some(digest)));
    // A ':' before the first slash is a registry's port.
    let host = name.find('/').unwrap_or(0);
    let (name, tag) = match name[host..].find(':') {
        Some(colon) => (&name[..host + colon], Some(&name[host + colon + 1..])),
        None => (name, None),
    };
    let registered = registry(name, &mut causes);
    if let Some(path) = registered {
        self::name(path, &mut causes);
    }
    version(tag, digest, &mut causes);
    let tail = &rest[name.len()..];
    let meant = registered
        .and_then(|path| ImageRef::read(&format!("ghcr.io/{path}{tail}")))
        .map(|meant| format!("write {}", quoted(&meant.to_string())));
    causes.extend(meant);
    (!causes.is_empty()).then(|| causes.join("; "))
}

/// The path behind the registry, where it is GHCR or was left out.
fn registry<'a>(name: &'a str, causes: &mut Vec<String>) -> Option<&'a str> {
    let (first, path) = name.split_once('/').unwrap_or((name, ""));
    if first == "ghcr.io" {
        return Some(path);
    }
    if first.eq_ignore_ascii_case("ghcr.io") {
        causes.push("write ghcr.io in lower case".to_owned());
        return Some(path);
    }
    let host = first.contains(['.', ':']) || first == "localhost";
    if host && first.contains("ghcr.io") {
        causes.push(format!("the registry is ghcr.io, not {}", quoted(first)));
    } else if host && !path.is_empty() {
        causes.push(format!(
            "images are taken from ghcr.io only, not from {}: push it there",
            quoted(first)
        ));
    } else if path.is_empty() {
        causes.push("ghcr.io/ and the owner are missing in front".to_owned());
    } else {
        causes.push("ghcr.io/ is missing in front".to_owned());
        return Some(name);
    }
    None
}

/// Looks at owner and path.
fn name(path: &str, causes: &mut Vec<String>) {
    if path.len() + "ghcr.io/".len() > MAX_NAME {
        causes.push(format!(
            "its name has {} characters; a registry takes {MAX_NAME}",
            path.len() + "ghcr.io/".len()
        ));
        return;
    }
    let Some((owner, path)) = path.split_once('/') else {
        causes.push("two parts stand behind ghcr.io/: owner and image".to_owned());
        return;
    };
    if owner.is_empty() {
        causes.push("the owner is empty: is its variable set?".to_owned());
    } else if owner.parse::<Owner>().is_err() {
        causes.push(format!(
            "the owner {} is not {}",
            quoted(owner),
            Owner::EXPECTED
        ));
    }
    if path.split('/').any(str::is_empty) {
        causes.push("nothing stands between two slashes: is a variable empty?".to_owned());
        return;
    }
    for part in path.split('/') {
        if let Err(problem) = component(part) {
            causes.push(format!("{} {problem}", quoted(part)));
            return;
        }
    }
}

/// Looks at tag and digest.
fn version(tag: Option<&str>, digest: Option<&str>, causes: &mut Vec<String>) {
    match (tag, digest) {
        (None, None) => causes.push(
            "it does not say which one: add the tag that the build pushed, or its digest"
                .to_owned(),
        ),
        (Some(""), _) => {
            causes.push("the tag is empty: is the variable behind ':' set?".to_owned());
        }
        (Some(tag), _) if tag.parse::<Tag>().is_err() => causes.push(bad_tag(tag)),
        _ => {}
    }
    if let Some(digest) = digest
        && digest.parse::<Digest>().is_err()
    {
        causes.push(bad_digest(digest));
    }
}

fn bad_tag(tag: &str) -> String {
    if tag.starts_with("sha256:") {
        return "a digest stands behind '@', not behind ':'".to_owned();
    }
    if tag.len() > 128 {
        return format!("the tag has {} characters; a registry takes 128", tag.len());
    }
    match tag
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')))
    {
        Some('+') => {
            let meant = quoted(&tag.replace('+', "_"));
            format!("a tag has no '+', and registries write '_' for it: is it {meant}?")
        }
        Some('/') => {
            let meant = quoted(&tag.replace('/', "-"));
            format!("a tag has no '/', and a branch's name takes '-' for it: is it {meant}?")
        }
        Some(':') => "it has two tags: leave out one".to_owned(),
        Some(odd) => format!("the tag has {} in it", quoted(&odd.to_string())),
        None => "the tag starts with a letter, a digit or '_'".to_owned(),
    }
}

fn bad_digest(digest: &str) -> String {
    let Some((algorithm, hex)) = digest.split_once(':') else {
        if digest.is_empty() {
            return "the digest is empty: is the variable behind '@' set?".to_owned();
        }
        if digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return "sha256: is missing before the digest".to_owned();
        }
        return "behind '@' stands a digest; a tag stands behind ':'".to_owned();
    };
    if algorithm != "sha256" {
        return format!("the digest is {}, not sha256", quoted(algorithm));
    }
    if hex.is_empty() {
        return "the digest is empty: is the variable behind 'sha256:' set?".to_owned();
    }
    if let Some(odd) = hex.chars().find(|c| !c.is_ascii_hexdigit()) {
        return format!("the digest has {} in it", quoted(&odd.to_string()));
    }
    if hex.len() != 64 {
        return format!("the digest has {} digits of 64: was it cut?", hex.len());
    }
    "write the digest in lower case".to_owned()
}
