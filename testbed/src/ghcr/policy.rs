//! What the front answers, as data: an owner's policy, a question, and the answer.
//!
//! Pure: no clock, no network, no lock. The rules are those that ghcr.io was seen to follow; where
//! one was read in a public thread, the thread stands beside it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The user that may push to every owner, whatever its policy says.
pub const PUSH_USER: &str = "testbed";
/// The password of [`PUSH_USER`]. It opens nothing but a registry on this machine's loopback.
pub const PUSH_PASSWORD: &str = "testbed-push";

/// How ghcr.io treats one owner. The default is an owner whose packages are all public.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// What holds for every package that is not named in `packages`.
    pub visibility: Visibility,
    /// Visibility by package: the repository without its owner, `charts/shop`.
    pub packages: BTreeMap<String, Visibility>,
    /// Where an anonymous request for a private or missing package is refused.
    pub anonymous_refusal: AnonymousRefusal,
    /// Who is known, by user name. A user that no owner knows has bad credentials.
    pub users: BTreeMap<String, User>,
    /// What goes wrong, in this order.
    pub faults: Vec<Fault>,
}

/// Who may read a package.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Visibility {
    /// Everybody, with an anonymous token.
    #[default]
    Public,
    /// Users with [`Access::Read`] or more.
    Private,
}

/// Where ghcr.io says no to an anonymous request for a private or missing package. All were seen,
/// and from outside a private package cannot be told from a missing one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnonymousRefusal {
    /// 401 `UNAUTHORIZED: authentication required` at the token (openai/tunnel-client#75).
    #[default]
    Token,
    /// 403 `DENIED: requested access to the resource is denied` at the token (akuity/kargo#4293).
    TokenDenied,
    /// A token is given, then 403 `DENIED: denied` at the manifest (TeamCoderz/WordyMe#75).
    Manifest,
}

/// A user as one owner knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// What the client must send: a made-up word, never a real token.
    pub password: String,
    /// What these credentials are good for.
    pub access: Access,
}

/// What a user's credentials are good for at one owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// The credentials were good once: 403 `DENIED: denied`, for public packages too
    /// (akuity/kargo#777).
    Expired,
    /// A real user without a right to this owner's private packages.
    None,
    /// May pull.
    Read,
    /// May pull and push.
    Write,
}

/// The kinds of request that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// `GET /token`.
    Token,
    /// A manifest is read.
    Manifest,
    /// A blob is read.
    Blob,
    /// Tags are listed.
    Tags,
    /// Anything is written.
    Push,
}

/// Something that goes wrong for one kind of request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The kind of request that it strikes.
    pub on: Kind,
    /// Only this package; `None`: each of the owner's.
    #[serde(default)]
    pub package: Option<String>,
    /// How many requests pass before the first is struck.
    #[serde(default)]
    pub skip: u32,
    /// How many are struck; `None`: all that follow.
    #[serde(default)]
    pub times: Option<u32>,
    /// What happens.
    pub effect: Effect,
}

/// What a fault does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Effect {
    /// An answer with this status instead of the real one.
    Status {
        /// The HTTP status, 400 to 599.
        status: u16,
        /// The whole body; `None`: an error in the registry's JSON form.
        #[serde(default)]
        body: Option<String>,
        /// A `retry-after` header, in seconds.
        #[serde(default)]
        retry_after: Option<u32>,
    },
    /// The answer comes after this many milliseconds.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// The connection is closed after this many bytes of the body; 0, or an answer without a body:
    /// before anything is answered.
    CutOff {
        /// Bytes of the body that still arrive.
        after_bytes: u64,
    },
    /// The first byte of the body is another one.
    Altered,
}

impl Policy {
    /// Every package can be read by everybody.
    pub fn public() -> Self {
        Self::default()
    }

    /// No package can be read without an account.
    pub fn private() -> Self {
        Self {
            visibility: Visibility::Private,
            ..Self::default()
        }
    }

    /// Adds a user.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str, access: Access) -> Self {
        let password = password.to_owned();
        self.users
            .insert(name.to_owned(), User { password, access });
        self
    }

    /// Sets the visibility of one package (the repository without its owner).
    #[must_use]
    pub fn package(mut self, package: &str, visibility: Visibility) -> Self {
        self.packages.insert(package.to_owned(), visibility);
        self
    }

    /// Sets where anonymous requests are refused.
    #[must_use]
    pub fn refuse_anonymous_at(mut self, refusal: AnonymousRefusal) -> Self {
        self.anonymous_refusal = refusal;
        self
    }

    /// Adds a fault.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    fn visibility_of(&self, package: &str) -> Visibility {
        self.packages
            .get(package)
            .copied()
            .unwrap_or(self.visibility)
    }
}

impl Fault {
    fn new(on: Kind, effect: Effect) -> Self {
        Self {
            on,
            package: None,
            skip: 0,
            times: None,
            effect,
        }
    }

    /// Every such request gets this status.
    pub fn status(on: Kind, status: u16) -> Self {
        let (body, retry_after) = (None, None);
        Self::new(
            on,
            Effect::Status {
                status,
                body,
                retry_after,
            },
        )
    }

    /// Every such request waits this long.
    pub fn delay(on: Kind, delay: Duration) -> Self {
        let ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        Self::new(on, Effect::Delay { ms })
    }

    /// Every such answer is cut after this many bytes.
    pub fn cut_off(on: Kind, after_bytes: u64) -> Self {
        Self::new(on, Effect::CutOff { after_bytes })
    }

    /// Every such answer begins with another byte.
    pub fn altered(on: Kind) -> Self {
        Self::new(on, Effect::Altered)
    }

    /// Only this package is struck.
    #[must_use]
    pub fn package(mut self, package: &str) -> Self {
        self.package = Some(package.to_owned());
        self
    }

    /// Only so many requests are struck.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// So many requests pass first.
    #[must_use]
    pub fn skip(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }
}

/// Who asks, as far as the `authorization` header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// No header, where a bearer token is wanted.
    NoToken,
    /// Nobody in particular: at the token no credentials, elsewhere a token given without any.
    Anonymous,
    /// A user, with its access to the owner in question.
    User(Access),
    /// Credentials that nobody knows: mistyped, revoked.
    BadCredentials,
    /// A bearer token that was never given for this, or Basic where only a bearer token counts.
    BadToken,
    /// A bearer token whose time has passed.
    OldToken,
}

/// One request, as far as the answer depends on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    pub kind: Kind,
    /// The repository without its owner.
    pub package: &'a str,
    pub caller: Caller,
    /// Whether anything was ever pushed there.
    pub exists: bool,
}

/// What is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The token is given; the request goes on to the registry.
    Allow,
    Refuse(Refusal),
}

/// Each way in which ghcr.io says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 401 with the `www-authenticate` challenge that leads to the token.
    Challenge,
    AuthenticationRequired,
    AccessDenied,
    Denied,
    InvalidToken,
    NoReadPackage,
    NoWritePackage,
    Unauthenticated,
    ManifestUnknown,
}

impl Refusal {
    /// Status, code and message.
    pub(super) const fn parts(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::Challenge | Self::AuthenticationRequired => {
                (401, "UNAUTHORIZED", "authentication required")
            }
            Self::AccessDenied => (403, "DENIED", "requested access to the resource is denied"),
            Self::Denied => (403, "DENIED", "denied"),
            // argoproj-labs/argocd-image-updater#303
            Self::InvalidToken => (403, "DENIED", "invalid token"),
            // kedacore/http-add-on#48
            Self::NoReadPackage => (403, "DENIED", "permission_denied: read_package"),
            Self::NoWritePackage => (403, "DENIED", "permission_denied: write_package"),
            Self::Unauthenticated => (
                401,
                "UNAUTHORIZED",
                "unauthenticated: User cannot be authenticated with the token provided.",
            ),
            Self::ManifestUnknown => (404, "MANIFEST_UNKNOWN", "manifest unknown"),
        }
    }
}

/// The one place that decides.
pub(super) fn answer(policy: &Policy, question: Question<'_>) -> Answer {
    use Answer::{Allow, Refuse};
    let open = question.exists && policy.visibility_of(question.package) == Visibility::Public;
    match (question.caller, question.kind) {
        (Caller::NoToken | Caller::OldToken, _) => Refuse(Refusal::Challenge),
        (Caller::BadToken, _) => Refuse(Refusal::InvalidToken),
        (Caller::BadCredentials | Caller::User(Access::Expired), _) => Refuse(Refusal::Denied),
        (Caller::User(Access::Write), _) | (Caller::User(_), Kind::Token) => Allow,
        (Caller::User(_), Kind::Push) => Refuse(Refusal::NoWritePackage),
        (Caller::User(Access::Read), _) => Allow,
        (Caller::Anonymous, Kind::Push) => Refuse(Refusal::Unauthenticated),
        _ if open => Allow,
        (Caller::User(Access::None), _) => Refuse(Refusal::NoReadPackage),
        (Caller::Anonymous, Kind::Token) => match policy.anonymous_refusal {
            AnonymousRefusal::Token => Refuse(Refusal::AuthenticationRequired),
            AnonymousRefusal::TokenDenied => Refuse(Refusal::AccessDenied),
            AnonymousRefusal::Manifest => Allow,
        },
        (Caller::Anonymous, _) => Refuse(Refusal::Denied),
    }
}

/// What strikes one request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Struck {
    pub delay: Duration,
    /// Instead of the answer; never a delay.
    pub end: Option<Effect>,
}

/// Takes what strikes this request from the faults and counts it. Delays add up; the first other
/// effect ends the request.
pub(super) fn strike(faults: &mut [Fault], kind: Kind, package: &str) -> Struck {
    let mut struck = Struck::default();
    for fault in faults {
        let hits = fault.on == kind && fault.package.as_deref().is_none_or(|only| only == package);
        if !hits || fault.times == Some(0) {
            continue;
        }
        if fault.skip > 0 {
            fault.skip -= 1;
            continue;
        }
        fault.times = fault.times.map(|left| left - 1);
        if let Effect::Delay { ms } = fault.effect {
            struck.delay = struck.delay.saturating_add(Duration::from_millis(ms));
        } else {
            struck.end = Some(fault.effect.clone());
            break;
        }
    }
    struck
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
