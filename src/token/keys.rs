//! The keys of the issuer of tokens: fetched through the node's proxy, kept on disk.

use std::time::Duration;

use jsonwebtoken::DecodingKey;
use serde::{Deserialize, Serialize};

use super::TokenPlace;
use crate::error::{Error, Kind, Result};
use crate::net::{client, tls};
use crate::plan::caller::Issuer;
use crate::state::tokens;

/// How long keys are taken before the issuer is asked again, in seconds.
const FRESH: i64 = 24 * 3600;

/// How long it is not asked again for a key that it did not name, in seconds.
const NOT_AGAIN: i64 = 60;

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Its longest answer, in bytes.
const MAX: usize = 512 << 10;

/// A key of a JWK set (RFC 7517): what else it says is passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Key {
    #[serde(default)]
    kid: String,
    #[serde(default)]
    kty: String,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Keys {
    keys: Vec<Key>,
}

/// Keys as they are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    issuer: String,
    /// When the issuer was asked, in seconds since 1970.
    asked: i64,
    keys: Vec<Key>,
}

/// What to do for a key.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Take this one.
    Take(Key),
    /// Ask the issuer; where it does not answer, take this.
    Ask(Option<Key>),
    /// The issuer does not name it, and was asked just now.
    Unknown,
}

/// The key of this id. [`Kind::Policy`] where the issuer does not name it,
/// [`Kind::Node`] where it cannot be asked and no key of this id is kept.
pub(super) async fn find(
    id: &str,
    issuer: &Issuer,
    place: TokenPlace<'_>,
    now: i64,
) -> Result<DecodingKey> {
    let kept = tokens::keys(place.state)
        .and_then(|kept| serde_json::from_slice::<Kept>(&kept).ok())
        .filter(|kept| kept.issuer == issuer.as_str());
    let old = match next(kept.as_ref(), id, now) {
        Next::Take(key) => return decoding(&key),
        Next::Unknown => return Err(unknown(issuer)),
        Next::Ask(old) => old,
    };
    match ask(issuer, place).await {
        Ok(Keys { keys }) => {
            let found = keys.iter().find(|key| key.kid == id).cloned();
            let kept = Kept {
                issuer: issuer.as_str().to_owned(),
                asked: now,
                keys,
            };
            // Where it cannot be kept, it is asked again the next time.
            let _ = serde_json::to_vec(&kept)
                .map_err(std::io::Error::from)
                .and_then(|kept| tokens::keep_keys(place.state, &kept));
            decoding(&found.ok_or_else(|| unknown(issuer))?)
        }
        Err(why) => match old {
            Some(key) => decoding(&key),
            None => Err(Error::new(
                Kind::Node,
                format!("the keys of {} cannot be had: {why}", issuer.as_str()),
            )
            .hint("let this node reach it, or name the proxy in deploy.toml: [env] HTTPS_PROXY")),
        },
    }
}

/// What is to be done for a key, by what is kept.
fn next(kept: Option<&Kept>, id: &str, now: i64) -> Next {
    let Some(kept) = kept else {
        return Next::Ask(None);
    };
    let age = now.saturating_sub(kept.asked);
    let key = kept.keys.iter().find(|key| key.kid == id).cloned();
    match key {
        Some(key) if (0..FRESH).contains(&age) => Next::Take(key),
        None if (0..NOT_AGAIN).contains(&age) => Next::Unknown,
        old => Next::Ask(old),
    }
}

fn decoding(key: &Key) -> Result<DecodingKey> {
    let unusable = || super::refused("its issuer's key is no RSA key");
    if key.kty != "RSA" {
        return Err(unusable());
    }
    DecodingKey::from_rsa_components(&key.n, &key.e).map_err(|_| unusable())
}

fn unknown(issuer: &Issuer) -> Error {
    super::refused(&format!(
        "{} does not name the key that it was signed with",
        issuer.as_str()
    ))
}

/// The issuer's keys, or why they cannot be had: nothing of an answer, nor the
/// proxy's address, which may hold a password.
async fn ask(issuer: &Issuer, place: TokenPlace<'_>) -> Result<Keys, String> {
    tls::install();
    let client = client::client(place.environment)?;
    let url = issuer.keys();
    let asked = tokio::time::timeout(PATIENCE, fetch(&client, &url));
    asked
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
}

async fn fetch(client: &reqwest::Client, url: &str) -> Result<Keys, String> {
    let silent = |_| "it cannot be reached".to_owned();
    let mut answer = client.get(url).send().await.map_err(silent)?;
    if !answer.status().is_success() {
        return Err(format!("it answers {}", answer.status().as_u16()));
    }
    let mut body = Vec::new();
    while let Some(some) = answer.chunk().await.map_err(silent)? {
        body.extend_from_slice(&some);
        if body.len() > MAX {
            return Err("its answer is too long".to_owned());
        }
    }
    serde_json::from_slice(&body).map_err(|_| "its answer is no set of keys".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{FRESH, Kept, Key, NOT_AGAIN, Next, next};

    #[test]
    fn the_issuer_is_asked_as_seldom_as_can_be() {
        let key = Key {
            kid: "a".to_owned(),
            kty: "RSA".to_owned(),
            n: String::new(),
            e: String::new(),
        };
        let kept = Kept {
            issuer: String::new(),
            asked: 1000,
            keys: vec![key.clone()],
        };
        let at = |id, after| next(Some(&kept), id, 1000 + after);
        assert_eq!(next(None, "a", 0), Next::Ask(None));
        assert_eq!(at("a", 0), Next::Take(key.clone()));
        assert_eq!(at("a", FRESH - 1), Next::Take(key.clone()));
        assert_eq!(at("a", FRESH), Next::Ask(Some(key.clone())));
        assert_eq!(at("b", NOT_AGAIN - 1), Next::Unknown);
        assert_eq!(at("b", NOT_AGAIN), Next::Ask(None));
        // A clock that went back does not keep it from asking.
        assert_eq!(at("a", -5), Next::Ask(Some(key)));
        assert_eq!(at("b", -5), Next::Ask(None));
    }
}
