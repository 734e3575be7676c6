//! The answers that the front makes itself, in the words of ghcr.io.

use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use super::body::{self, Body};
use super::policy::{Kind, Refusal};

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// GHCR's form has no `detail`. A message of its own is kept: an index that the client does not
/// accept is `MANIFEST_UNKNOWN` too (Mic92/niks3#229).
pub(super) async fn manifest_unknown(answer: Response<Body>) -> Response<Body> {
    use http_body_util::BodyExt as _;
    #[derive(serde::Deserialize)]
    struct Errors {
        errors: Vec<Message>,
    }
    #[derive(serde::Deserialize)]
    struct Message {
        message: String,
    }
    let (_, code, plain) = Refusal::ManifestUnknown.parts();
    let read = answer
        .into_body()
        .collect()
        .await
        .ok()
        .map(http_body_util::Collected::to_bytes);
    let errors = read.and_then(|bytes| serde_json::from_slice::<Errors>(&bytes).ok());
    let message = errors
        .and_then(|errors| errors.errors.into_iter().next())
        .map(|first| first.message);
    error(404, code, message.as_deref().unwrap_or(plain))
}

pub(super) fn refuse(refusal: Refusal, repository: &str, kind: Kind) -> Response<Body> {
    let (status, code, message) = refusal.parts();
    let mut answer = error(status, code, message);
    if refusal == Refusal::Challenge {
        let actions = if kind == Kind::Push {
            "pull,push"
        } else {
            "pull"
        };
        let challenge = format!(
            r#"Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:{repository}:{actions}""#
        );
        if let Ok(challenge) = HeaderValue::try_from(challenge) {
            answer
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
    }
    answer
}

pub(super) fn failing(
    status: u16,
    body: Option<String>,
    retry_after: Option<u32>,
) -> Response<Body> {
    let mut answer = match body {
        Some(text) => plain(status, text),
        None if status == 429 => error(status, "TOOMANYREQUESTS", "too many requests"),
        None if status >= 500 => error(status, "UNKNOWN", "unknown error"),
        None => error(status, "DENIED", "denied"),
    };
    if let Some(seconds) = retry_after {
        answer
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}

pub(super) fn error(status: u16, code: &str, message: &str) -> Response<Body> {
    json(
        status,
        serde_json::json!({ "errors": [{ "code": code, "message": message }] }).to_string(),
    )
}

/// An answer in the registry's form.
pub(super) fn json(status: u16, text: impl Into<String>) -> Response<Body> {
    let mut answer = plain(status, text.into());
    let headers = answer.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    answer
}

/// An answer in plain text.
pub(super) fn plain(status: u16, text: String) -> Response<Body> {
    let mut answer = Response::new(body::whole(text));
    *answer.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}
