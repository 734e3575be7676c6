//! What a request asks for, read from its method, path, query and headers. Pure.

use base64::Engine as _;
use hyper::Method;

use super::policy::Kind;

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// `/token`.
    Token,
    /// `/v2/`.
    Base,
    /// Something of one repository.
    Repository { repository: Repository, kind: Kind },
    /// A repository name that is none.
    BadName,
    /// Nothing that the registry has.
    Unknown,
}

/// A repository: an owner and a package of theirs, `acme/charts/shop`. Lower case, as OCI names are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Repository(String);

impl Repository {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn owner(&self) -> &str {
        self.0.split_once('/').map_or(&*self.0, |(owner, _)| owner)
    }

    pub(super) fn package(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, package)| package)
    }
}

impl std::str::FromStr for Repository {
    type Err = ();

    /// The grammar of the OCI distribution specification for `<name>`, with an owner and at least
    /// one more component.
    fn from_str(name: &str) -> Result<Self, ()> {
        let components = name.split('/').count();
        let fits = name.len() <= 255 && components >= 2 && name.split('/').all(is_component);
        if fits {
            Ok(Self(name.to_owned()))
        } else {
            Err(())
        }
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(word)
        && text.ends_with(word)
        && text.split(word).all(|between| {
            matches!(between, "" | "." | "_" | "__") || between.chars().all(|c| c == '-')
        })
}

/// Whether a name can be an owner's.
pub(super) fn is_owner(name: &str) -> bool {
    name.len() <= 255 && is_component(name)
}

/// Reads a path of the registry's API.
pub(super) fn target(method: &Method, path: &str) -> Target {
    if path == "/token" {
        return Target::Token;
    }
    let Some(rest) = path
        .strip_prefix("/v2")
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
    else {
        return Target::Unknown;
    };
    let rest = rest.trim_start_matches('/');
    if rest.is_empty() {
        return Target::Base;
    }
    let Some((name, kind)) = split(rest) else {
        return Target::Unknown;
    };
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let kind = if reads { kind } else { Kind::Push };
    match name.parse() {
        Ok(repository) => Target::Repository { repository, kind },
        Err(()) => Target::BadName,
    }
}

/// Splits `<name>/manifests/<reference>` and its kin. From the right: a name may hold such words.
fn split(path: &str) -> Option<(&str, Kind)> {
    if let Some(name) = path.strip_suffix("/tags/list") {
        return Some((name, Kind::Tags));
    }
    if let Some((name, _)) = path.rsplit_once("/blobs/uploads/") {
        return Some((name, Kind::Push));
    }
    let (rest, reference) = path.rsplit_once('/')?;
    if reference.is_empty() {
        return None;
    }
    [
        ("/manifests", Kind::Manifest),
        ("/blobs", Kind::Blob),
        ("/referrers", Kind::Manifest),
    ]
    .into_iter()
    .find_map(|(word, kind)| Some((rest.strip_suffix(word)?, kind)))
}

/// What an `authorization` header holds.
#[derive(PartialEq, Eq)]
pub(super) enum Credentials {
    None,
    Basic {
        user: String,
        password: String,
    },
    Bearer(String),
    /// Neither of them, or not readable.
    Malformed,
}

/// Reads an `authorization` header.
pub(super) fn credentials(header: Option<&[u8]>) -> Credentials {
    let Some(header) = header else {
        return Credentials::None;
    };
    let Some((scheme, value)) = std::str::from_utf8(header)
        .ok()
        .and_then(|text| text.split_once(' '))
    else {
        return Credentials::Malformed;
    };
    let value = value.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Credentials::Bearer(value.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Credentials::Malformed;
    }
    let pair = base64::engine::general_purpose::STANDARD
        .decode(value)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    match pair.as_deref().and_then(|pair| pair.split_once(':')) {
        Some((user, password)) => Credentials::Basic {
            user: user.to_owned(),
            password: password.to_owned(),
        },
        None => Credentials::Malformed,
    }
}

/// The repositories that a `/token` query asks for: `scope` given once or often, each of
/// `repository:NAME:ACTIONS`, several in one divided by spaces. `None`: one cannot be read.
pub(super) fn scopes(query: &str) -> Option<Vec<Repository>> {
    let mut found = Vec::new();
    for pair in query.split('&') {
        let Some(("scope", value)) = pair.split_once('=') else {
            continue;
        };
        for scope in percent_decoded(value)?.split_whitespace() {
            let mut parts = scope.split(':');
            let (Some("repository"), Some(name)) = (parts.next(), parts.next()) else {
                return None;
            };
            found.push(name.parse().ok()?);
        }
    }
    Some(found)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (high, low) = (hex(rest.next()?)?, hex(rest.next()?)?);
                high * 16 + low
            }
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn repository(name: &str, kind: Kind) -> Target {
        Target::Repository {
            repository: name.parse().unwrap(),
            kind,
        }
    }

    #[test]
    fn paths_lead_to_their_targets() {
        let get = |path| target(&Method::GET, path);
        assert_eq!(get("/token"), Target::Token);
        assert_eq!(get("/v2/"), Target::Base);
        assert_eq!(get("/v2"), Target::Base);
        assert_eq!(
            get("/v2/a/b/manifests/1.0"),
            repository("a/b", Kind::Manifest)
        );
        assert_eq!(
            get("/v2/a/b/blobs/sha256:0123"),
            repository("a/b", Kind::Blob)
        );
        assert_eq!(
            get("/v2/a/charts/shop/tags/list"),
            repository("a/charts/shop", Kind::Tags)
        );
        assert_eq!(
            get("/v2/a/manifests/manifests/1"),
            repository("a/manifests", Kind::Manifest)
        );
        assert_eq!(
            get("/v2/a/b/blobs/uploads/1-2"),
            repository("a/b", Kind::Push)
        );
        assert_eq!(
            target(&Method::POST, "/v2/a/b/blobs/uploads/"),
            repository("a/b", Kind::Push)
        );
        assert_eq!(
            target(&Method::PUT, "/v2/a/b/manifests/1"),
            repository("a/b", Kind::Push)
        );
        assert_eq!(
            target(&Method::HEAD, "/v2/a/b/manifests/1"),
            repository("a/b", Kind::Manifest)
        );
        for bad in [
            "/v2/ACME/b/manifests/1",
            "/v2/a/manifests/1",
            "/v2/a/../b/manifests/1",
            "/v2/a/-b/manifests/1",
        ] {
            assert_eq!(get(bad), Target::BadName, "{bad}");
        }
        for unknown in [
            "/",
            "/v3/",
            "/v2x/a",
            "/v2/a/b",
            "/v2/a/b/manifests/",
            "/login",
        ] {
            assert_eq!(get(unknown), Target::Unknown, "{unknown}");
        }
    }

    #[test]
    fn scopes_are_read_as_clients_write_them() {
        let names = |query| {
            scopes(query).map(|all| {
                all.iter()
                    .map(|one| one.as_str().to_owned())
                    .collect::<Vec<_>>()
            })
        };
        assert_eq!(
            names("service=ghcr.io&scope=repository:a/b:pull"),
            Some(vec!["a/b".into()])
        );
        assert_eq!(
            names("scope=repository%3Aa%2Fb%3Apull%2Cpush&service=ghcr.io"),
            Some(vec!["a/b".into()])
        );
        let two = Some(vec!["a/b".to_owned(), "a/c".to_owned()]);
        assert_eq!(
            names("scope=repository:a/b:pull&scope=repository:a/c:pull"),
            two
        );
        assert_eq!(names("scope=repository:a/b:pull+repository:a/c:pull"), two);
        assert_eq!(names("service=ghcr.io"), Some(vec![]));
        assert_eq!(names("scope=registry:catalog:*"), None);
        assert_eq!(names("scope=repository:ACME/b:pull"), None);
        assert_eq!(names("scope=%zz"), None);
    }

    #[test]
    fn authorization_is_read() {
        let basic = |user: &str, password: &str| Credentials::Basic {
            user: user.into(),
            password: password.into(),
        };
        assert!(credentials(None) == Credentials::None);
        assert!(credentials(Some(b"Bearer abc")) == Credentials::Bearer("abc".into()));
        assert!(credentials(Some(b"basic dTpwOnE=")) == basic("u", "p:q"));
        for bad in [
            &b"Basic !"[..],
            b"Basic dQ==",
            b"Digest x",
            b"Bearer",
            b"\xff x",
        ] {
            assert!(credentials(Some(bad)) == Credentials::Malformed);
        }
    }
}
