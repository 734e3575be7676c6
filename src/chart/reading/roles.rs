//! What a field of the values is for, by its name and by where its text stands
//! in an image, and names of the shape of others.

/// What a place seems to be good for. A guess, for the shape of what is put
/// there; how it is read is shown by the render.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Registry,
    Name,
    Tag,
    Digest,
}

/// What a part of an image is, by where it stands there; none where it does
/// not stand there as a whole word.
pub(super) fn role_in(image: &str, part: &str) -> Option<Role> {
    if part.is_empty() {
        return None;
    }
    let joint = |one: Option<char>| one.is_none_or(|one| !one.is_ascii_alphanumeric());
    let (at, _) = image.match_indices(part).find(|(at, _)| {
        joint(image[..*at].chars().next_back()) && joint(image[at + part.len()..].chars().next())
    })?;
    let name_ends = {
        let slash = image.rfind('/').map_or(0, |at| at + 1);
        image[slash..]
            .find([':', '@'])
            .map_or(image.len(), |at| slash + at)
    };
    let rest = &image[at + part.len()..];
    Some(match () {
        () if at > name_ends && image[..at].contains('@') => Role::Digest,
        () if at > name_ends => Role::Tag,
        () if at == 0
            && rest.starts_with('/')
            && !part.contains('/')
            && part.contains(['.', ':']) =>
        {
            Role::Registry
        }
        () => Role::Name,
    })
}

/// What a field is for by its name; none where the name says nothing of images.
pub(super) fn role_of_name(name: &str) -> Option<Role> {
    let name = name.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if has(&[
        "kubeversion",
        "apiversion",
        "pull",
        "secret",
        "policy",
        "schema",
        "url",
        "enabled",
    ]) {
        return None;
    }
    if has(&["digest", "sha"]) && !has(&["shar"]) {
        return Some(Role::Digest);
    }
    if has(&["tag", "version", "commit", "build", "release", "revision"])
        && !has(&["stage", "storage"])
    {
        return Some(Role::Tag);
    }
    if has(&["registry"]) {
        return Some(Role::Registry);
    }
    (has(&["repo", "image"]) || name == "prefix").then_some(Role::Name)
}

/// A name of the shape of `now`: a host keeps its domain, a path its
/// directories, a whole reference its end.
pub(super) fn made_up_name(now: &str, id: usize, fallback: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"./:@-_".contains(&byte);
    let now = if now.is_empty() || !now.bytes().all(plain) {
        fallback
    } else {
        now
    };
    let bare = now.trim_end_matches('/');
    let (end, slashes) = now.split_at(bare.len());
    if !end.contains('/') && end.contains('.') && !end.contains(':') {
        return format!("p{id:04}.{end}{slashes}");
    }
    let last = end.rfind('/').map_or(0, |at| at + 1);
    let name_ends = end[last..]
        .find([':', '@'])
        .map_or(end.len(), |at| last + at);
    format!(
        "{}-p{id:04}{}{slashes}",
        &end[..name_ends],
        &end[name_ends..]
    )
}

#[cfg(test)]
mod tests {
    use super::made_up_name;

    #[test]
    fn made_up_names_keep_their_shape() {
        for (now, made) in [
            ("ghcr.io", "p0007.ghcr.io"),
            ("ghcr.io/acme", "ghcr.io/acme-p0007"),
            ("ghcr.io/acme/", "ghcr.io/acme-p0007/"),
            ("acme/api:1.0", "acme/api-p0007:1.0"),
            ("api", "api-p0007"),
            ("<-- YOUR IMAGE -->", "x/y-p0007"),
            ("", "x/y-p0007"),
        ] {
            assert_eq!(made_up_name(now, 7, "x/y"), made, "{now}");
        }
    }
}
