//! What an API server in memory answers, for the tests of whoever asks one.
#![allow(clippy::unwrap_used)]

use std::io::Error as IoError;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::Response;
use hyper::body::Bytes;
use serde_json::{Value, json};

/// An answer, whole or as a stream.
pub(crate) type Answer = Response<UnsyncBoxBody<Bytes, IoError>>;

/// An answer in JSON.
pub(crate) fn answer(code: u16, document: &Value) -> Answer {
    let body = Full::from(serde_json::to_vec(document).unwrap());
    let body = body.map_err(|never| match never {}).boxed_unsync();
    Response::builder()
        .status(code)
        .header("content-type", "application/json")
        .body(body)
        .unwrap()
}

/// The document of a refusal.
pub(crate) fn failure(code: u16) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
        "message": format!("answered {code}"), "reason": "Unknown"})
}
