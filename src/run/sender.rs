//! Who hands a signal over, and what comes with it.

use std::fmt;

use crate::host::Environment;

/// The variable that holds GitHub's token for a signal.
pub const TOKEN_VARIABLE: &str = "DEPLOY_TOKEN";

/// A token, which is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedToken(String);

impl SignedToken {
    /// A token as it came.
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    /// Its text: to check it, or to hand it on.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SignedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignedToken(…)")
    }
}

/// How a job asks GitHub for a token: where, and what opens it there. Neither is
/// ever shown or handed on.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// `ACTIONS_ID_TOKEN_REQUEST_URL`
    pub url: String,
    /// `ACTIONS_ID_TOKEN_REQUEST_TOKEN`
    pub token: SignedToken,
}

impl TokenRequest {
    /// That of this job, where GitHub lets it ask (`id-token: write`).
    fn of(environment: &Environment) -> Option<Self> {
        let url = environment.text("ACTIONS_ID_TOKEN_REQUEST_URL")?;
        let token = environment.text("ACTIONS_ID_TOKEN_REQUEST_TOKEN")?;
        Some(Self {
            url: url.to_owned(),
            token: SignedToken::new(token),
        })
    }
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenRequest(…)")
    }
}

/// What is known of who hands a signal over, besides the names.
#[derive(Clone, Debug, Default)]
pub struct Sender {
    /// GitHub's token for the signal.
    pub token: Option<SignedToken>,
    /// How to ask for one, in a job that may.
    pub asks: Option<TokenRequest>,
    /// Whether root itself asks for it, at the node and not in a workflow.
    pub is_root_by_hand: bool,
    /// Whether the logs of pods may be shown to the sender.
    pub sees_logs: bool,
}

impl Sender {
    /// The caller of this process.
    pub fn of(environment: &Environment, uid: u32, sees_logs: bool) -> Self {
        Self {
            token: environment.text(TOKEN_VARIABLE).map(SignedToken::new),
            asks: TokenRequest::of(environment),
            is_root_by_hand: uid == 0 && !environment.inside_actions(),
            sees_logs,
        }
    }
}
