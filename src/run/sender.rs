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

/// What is known of who hands a signal over, besides the names.
#[derive(Clone, Debug, Default)]
pub struct Sender {
    /// GitHub's token for the signal.
    pub token: Option<SignedToken>,
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
            is_root_by_hand: uid == 0 && !environment.inside_actions(),
            sees_logs,
        }
    }
}
