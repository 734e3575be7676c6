//! Asks GitHub for the token of a job that runs on this node, for a caller with
//! `runner = "self-hosted"`.
//!
//! Such a token proves the job, not the signal: whatever runs as the same user can
//! ask for another one. What opens GitHub here is never shown.

use std::time::Duration;

use reqwest::header::AUTHORIZATION;
use serde::Deserialize;

use super::TokenPlace;
use crate::error::{Error, Kind, Result};
use crate::net::{client, tls};
use crate::run::{SignedToken, TokenRequest};
use crate::signal::Request;

/// How long GitHub may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// Its longest answer, in bytes.
const MAX: usize = 64 << 10;

#[derive(Deserialize)]
struct Answer {
    value: String,
}

/// A token for this very signal. [`Kind::Policy`] where GitHub gives none,
/// [`Kind::Node`] where it cannot be asked.
pub async fn ask(
    asking: &TokenRequest,
    request: &Request,
    place: TokenPlace<'_>,
) -> Result<SignedToken> {
    let url = url(&asking.url, &request.audience()).ok_or_else(|| {
        unasked("ACTIONS_ID_TOKEN_REQUEST_URL is no https URL")
            .hint("call deploy from a step of the workflow itself; GitHub's runner sets it there")
    })?;
    tls::install();
    let client = client::client(place.environment).map_err(|why| unasked(&why))?;
    let fetching = fetch(&client, url, asking.token.as_str());
    tokio::time::timeout(PATIENCE, fetching)
        .await
        .unwrap_or_else(|_| {
            let why = format!("no answer within {} s", PATIENCE.as_secs());
            Err(unreached(&why))
        })
}

/// Where to ask for this audience.
fn url(base: &str, audience: &str) -> Option<reqwest::Url> {
    let mut url = reqwest::Url::parse(base).ok()?;
    let is_plain = url.scheme() == "https" && url.username().is_empty() && url.password().is_none();
    is_plain.then(|| {
        url.query_pairs_mut().append_pair("audience", audience);
        url
    })
}

async fn fetch(client: &reqwest::Client, url: reqwest::Url, token: &str) -> Result<SignedToken> {
    let asked = client
        .get(url)
        .header(AUTHORIZATION, format!("Bearer {token}"));
    let silent = |_| unreached("it cannot be reached");
    let mut answer = asked.send().await.map_err(silent)?;
    let status = answer.status();
    if status.is_client_error() {
        let message = format!(
            "GitHub gives this job no token for the signal: it answers {}",
            status.as_u16()
        );
        return Err(Error::new(Kind::Policy, message)
            .hint("grant the job and its caller `id-token: write`, and run it again"));
    }
    if !status.is_success() {
        return Err(unreached(&format!("it answers {}", status.as_u16())));
    }
    let mut body = Vec::new();
    while let Some(some) = answer.chunk().await.map_err(silent)? {
        body.extend_from_slice(&some);
        if body.len() > MAX {
            return Err(unreached("its answer is too long"));
        }
    }
    match serde_json::from_slice::<Answer>(&body) {
        Ok(answer) if !answer.value.is_empty() => Ok(SignedToken::new(answer.value)),
        _ => Err(unreached("its answer holds no token")),
    }
}

fn unasked(why: &str) -> Error {
    Error::new(
        Kind::Node,
        format!("GitHub cannot be asked for the signal's token: {why}"),
    )
}

fn unreached(why: &str) -> Error {
    unasked(why)
        .hint("let this node reach GitHub, or name the proxy in deploy.toml: [env] HTTPS_PROXY")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::url;

    #[test]
    fn only_https_is_asked() {
        let asked = |base| url(base, "deploy:0&x=1#é").map(|url| url.to_string());
        assert_eq!(
            asked("https://issuer.test/token?api-version=2.0").as_deref(),
            Some("https://issuer.test/token?api-version=2.0&audience=deploy%3A0%26x%3D1%23%C3%A9")
        );
        assert_eq!(
            asked("https://issuer.test/token").as_deref(),
            Some("https://issuer.test/token?audience=deploy%3A0%26x%3D1%23%C3%A9")
        );
        for base in [
            "",
            "token",
            "http://issuer.test/token",
            "file:///etc/shadow",
            "https://user@issuer.test/",
            "https://:s3cret@issuer.test/",
        ] {
            assert_eq!(asked(base), None, "{base}");
        }
    }
}
