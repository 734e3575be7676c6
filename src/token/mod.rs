//! The signed signal: GitHub's token for a job, whose audience is the digest of the
//! very signal that it comes with. It proves who asks for exactly these digests.
//!
//! A token that leaves a doubt is refused. It is never shown, and never kept.

mod ask;
mod judge;
mod jws;
mod keys;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

pub use ask::ask;
pub use judge::Claims;

use crate::error::{Error, Kind, Result};
use crate::plan::CallerPolicy;
use crate::run::{ProvenCaller, SignedToken, Timestamp};
use crate::signal::Request;
use crate::state::tokens;

/// How long a used token is remembered beyond the time for which it is good.
const BEYOND: Duration = Duration::from_secs(24 * 3600);

/// What a check of a token needs of the node.
#[derive(Clone, Copy, Debug)]
pub struct TokenPlace<'a> {
    /// The state directory: used tokens, and the issuer's keys.
    pub state: &'a Path,
    /// The plan's environment: the proxy to the issuer, and roots of trust.
    pub environment: &'a BTreeMap<OsString, OsString>,
    /// Whether the token is used up: a dry run only looks at it.
    pub spends: bool,
}

/// Who asks for a signal, as the token proves it.
///
/// [`Kind::Policy`] where the token does not prove that a caller of the policy asks
/// for this signal, [`Kind::Node`] where that cannot be told.
pub async fn prove(
    token: &SignedToken,
    request: &Request,
    policy: &CallerPolicy,
    place: TokenPlace<'_>,
    now: Timestamp,
) -> Result<ProvenCaller> {
    let audience = request.audience();
    let now = now.as_second();
    // What it says is judged first: a token that would be refused anyway costs no
    // request. The signature is over these same bytes.
    let unproven = jws::read(token.as_str()).map_err(|why| refused(&why))?;
    judge::judge(&unproven.claims, policy, &audience, now).map_err(|why| refused(&why))?;
    let key = keys::find(&unproven.key_id, &policy.issuer, place, now).await?;
    let claims = jws::verify(token.as_str(), &key).map_err(|why| refused(&why))?;
    let caller = judge::judge(&claims, policy, &audience, now).map_err(|why| refused(&why))?;
    if !place.spends {
        return Ok(caller);
    }
    let keep = policy.token_age + BEYOND;
    match tokens::use_once(place.state, &jws::digest(&claims.jti), keep) {
        Ok(true) => Ok(caller),
        Ok(false) => Err(refused(
            "it was used before, and is good for one signal once",
        )),
        Err(error) => Err(Error::new(
            Kind::Node,
            format!(
                "the token cannot be noted as used in {}: {error}",
                place.state.display()
            ),
        )
        .hint("see that the state directory can be written and has room")),
    }
}

/// The error of a token that is refused, with what is wrong with it.
fn refused(why: &str) -> Error {
    Error::new(
        Kind::Policy,
        format!("the signal's token is refused: {why}"),
    )
    .hint("a retry needs a new token: run the workflow again from the job that signs")
}

#[cfg(test)]
mod tests;
