//! An identity token, as `docker login` stores it for registries that give one,
//! is a refresh token: it opens nothing itself and is exchanged for an access
//! token (distribution's `docs/content/spec/auth/oauth.md`).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use reqwest::Client;
use reqwest::header::WWW_AUTHENTICATE;
use serde::Deserialize;

use crate::net::client::client;

/// How long both requests may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The largest answer, in bytes.
const MAX: usize = 1 << 20;

/// What is told where a token was not exchanged. Never the token, and nothing of
/// an answer, which may quote it.
type Failure = String;

/// What the registry says of where tokens are given.
#[derive(Debug, PartialEq, Eq)]
struct Challenge {
    realm: String,
    service: Option<String>,
}

/// What the token service answers.
#[derive(Deserialize)]
struct Answer {
    access_token: Option<String>,
    token: Option<String>,
}

/// Exchanges a refresh token for one that reads these repositories of the
/// registry at `base` (`https://ghcr.io`).
pub(super) async fn exchange(
    environment: &BTreeMap<OsString, OsString>,
    base: &str,
    refresh: &str,
    repositories: &[String],
) -> Result<String, Failure> {
    let client = client(environment)?;
    let asked = tokio::time::timeout(PATIENCE, ask(&client, base, refresh, repositories));
    asked
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
}

async fn ask(
    client: &Client,
    base: &str,
    refresh: &str,
    repositories: &[String],
) -> Result<String, Failure> {
    // Not reqwest's own words: they name the URL, and a proxy's has a password.
    let silent = |_| "the registry did not answer".to_owned();
    let answer = client.get(format!("{base}/v2/")).send().await;
    let answer = answer.map_err(silent)?;
    let header = answer.headers().get(WWW_AUTHENTICATE);
    let challenge = header
        .and_then(|header| header.to_str().ok())
        .and_then(challenge)
        .ok_or("the registry does not say where tokens are exchanged")?;
    let scheme = base.split_once("://").map_or("https", |(scheme, _)| scheme);
    if !challenge.realm.starts_with(&format!("{scheme}://")) {
        return Err("the registry would have it exchanged without TLS".to_owned());
    }
    let scopes: Vec<_> = repositories
        .iter()
        .map(|name| format!("repository:{name}:pull"))
        .collect();
    let mut form = vec![
        ("grant_type", "refresh_token".to_owned()),
        ("client_id", "deploy".to_owned()),
        ("scope", scopes.join(" ")),
        ("refresh_token", refresh.to_owned()),
    ];
    form.extend(challenge.service.map(|service| ("service", service)));
    let given = client.post(&challenge.realm).form(&form).send().await;
    let mut given = given.map_err(silent)?;
    if !given.status().is_success() {
        return Err(format!("refused ({})", given.status().as_u16()));
    }
    let mut body = Vec::new();
    while let Some(some) = given.chunk().await.map_err(silent)? {
        body.extend_from_slice(&some);
        if body.len() > MAX {
            return Err("the answer is too long".to_owned());
        }
    }
    let answer: Answer =
        serde_json::from_slice(&body).map_err(|_| "the answer is no token".to_owned())?;
    let token = answer.access_token.or(answer.token);
    token
        .filter(|token| !token.is_empty())
        .ok_or_else(|| "the answer is no token".to_owned())
}

/// `Bearer realm="https://…/token",service="…"` (RFC 6750, section 3).
fn challenge(header: &str) -> Option<Challenge> {
    let (scheme, parameters) = header.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let mut found = BTreeMap::new();
    let mut left = parameters;
    while let Some((name, rest)) = left.split_once("=\"") {
        let (value, rest) = rest.split_once('"')?;
        found.insert(name.trim().to_ascii_lowercase(), value.to_owned());
        left = rest.trim_start().trim_start_matches(',');
    }
    Some(Challenge {
        realm: found.remove("realm")?,
        service: found.remove("service"),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::{Challenge, challenge, exchange};

    #[test]
    fn challenges_are_read() {
        for (header, expected) in [
            (
                r#"Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:a/b:pull""#,
                Some(("https://ghcr.io/token", Some("ghcr.io"))),
            ),
            (
                r#"bearer realm="https://a/t?x=1,2""#,
                Some(("https://a/t?x=1,2", None)),
            ),
            (r#"Basic realm="x""#, None),
            (r#"Bearer service="x""#, None),
            ("Bearer realm=\"x", None),
            ("", None),
        ] {
            let expected = expected.map(|(realm, service)| Challenge {
                realm: realm.to_owned(),
                service: service.map(str::to_owned),
            });
            assert_eq!(challenge(header), expected, "{header}");
        }
    }

    /// A registry that exchanges `good`, and says what it was asked.
    async fn registry() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let realm = format!("{base}/token");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = Vec::new();
                let whole = |asked: &[u8]| {
                    let text = String::from_utf8_lossy(asked).into_owned();
                    text.starts_with("GET ") && text.ends_with("\r\n\r\n")
                        || text.ends_with("service=s")
                };
                while !whole(&asked) && stream.read_buf(&mut asked).await.unwrap_or(0) > 0 {}
                let asked = String::from_utf8_lossy(&asked).into_owned();
                let (head, body) = if asked.starts_with("GET /v2/") {
                    let challenge =
                        format!("www-authenticate: Bearer realm=\"{realm}\",service=\"s\"\r\n");
                    (format!("401 Unauthorized\r\n{challenge}"), String::new())
                } else if asked.contains("refresh_token=good") {
                    let form = asked.lines().last().unwrap_or_default();
                    let form = serde_json::json!({ "access_token": form });
                    ("200 OK\r\n".to_owned(), form.to_string())
                } else {
                    ("400 Bad Request\r\n".to_owned(), "s3cret".to_owned())
                };
                let answer = format!(
                    "HTTP/1.1 {head}content-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        base
    }

    /// Case F3: it is exchanged, for what is to be read.
    #[tokio::test]
    async fn an_identity_token_is_exchanged() {
        crate::net::tls::install();
        let base = registry().await;
        let names = ["acme/api".to_owned(), "acme/web".to_owned()];
        let environment = BTreeMap::new();
        let token = exchange(&environment, &base, "good", &names).await.unwrap();
        for part in [
            "grant_type=refresh_token",
            "scope=repository%3Aacme%2Fapi%3Apull+repository%3Aacme%2Fweb%3Apull",
            "service=s",
        ] {
            assert!(token.contains(part), "{token}");
        }
        let refused = exchange(&environment, &base, "expired", &names).await;
        assert_eq!(refused.unwrap_err(), "refused (400)");
        let nobody = exchange(&environment, "http://127.0.0.1:1", "good", &names).await;
        assert_eq!(nobody.unwrap_err(), "the registry did not answer");
    }
}
