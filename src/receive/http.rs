//! The protocol over one connection: docs/forward-protocol.md.
//!
//! What is asked is judged here, and answered in one line of JSON; a deploy's
//! events are streamed as they come.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::connections::Asking;
use super::deploys::{Deploy, NotTaken};
use super::document::{DOCUMENT_MAX, Order, SentSignal};
use super::peer::PeerIdentity;
use super::receiver::Receiver;
use super::{notes, run};
use crate::process::Cancel;
use crate::report::events::DeployName;
use crate::run::RunId;
use crate::state::journal;

/// How long a document may take to come.
const BODY: Duration = Duration::from_secs(10);

/// Where deploys are.
const PATH: &str = "/v1/deploys";

pub(super) type Body = BoxBody<Bytes, std::convert::Infallible>;

/// One connection: who is at its other end, and the deploy that it is told of.
pub(super) struct Exchange {
    pub(super) receiver: Arc<Receiver>,
    pub(super) peer: PeerIdentity,
    pub(super) asking: Arc<Asking>,
    pub(super) streamed: OnceLock<Arc<Deploy>>,
}

/// Answers a request.
pub(super) async fn answer(exchange: &Exchange, request: Request<Incoming>) -> Response<Body> {
    if !exchange.receiver.allows(&exchange.peer) {
        let message = format!(
            "{} may not send signals here; allow_users or allow_groups of [receive] in receive.toml says who may",
            exchange.receiver.name(exchange.peer.uid)
        );
        return refusal(StatusCode::FORBIDDEN, &message);
    }
    let path = request.uri().path().to_owned();
    let id = path
        .strip_prefix(PATH)
        .and_then(|rest| rest.strip_prefix('/'));
    let method = request.method().clone();
    match (method, id) {
        (Method::POST, None) if path == PATH => post(exchange, request).await,
        (Method::GET, Some(id)) => get(exchange, id).await,
        (Method::DELETE, Some(id)) => delete(exchange, id),
        _ => refusal(
            StatusCode::NOT_FOUND,
            "there is POST /v1/deploys, and GET and DELETE of /v1/deploys/ID",
        ),
    }
}

async fn post(exchange: &Exchange, request: Request<Incoming>) -> Response<Body> {
    let receiver = &exchange.receiver;
    let limited = Limited::new(request.into_body(), DOCUMENT_MAX);
    let document = match timeout(BODY, limited.collect()).await {
        Ok(Ok(document)) => {
            exchange.asking.has_asked();
            document.to_bytes()
        }
        Ok(Err(_)) => {
            let most = DOCUMENT_MAX >> 10;
            let message = format!("the body broke off, or is larger than {most} KiB");
            return refusal(StatusCode::PAYLOAD_TOO_LARGE, &message);
        }
        Err(_) => {
            let message = format!("the body did not come within {} s", BODY.as_secs());
            return refusal(StatusCode::REQUEST_TIMEOUT, &message);
        }
    };
    let signal = match SentSignal::parse(&document) {
        Ok(signal) => signal,
        Err(wrong) => return refusal(StatusCode::BAD_REQUEST, &wrong),
    };
    if receiver.is_draining() {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "the receiver is stopping");
    }
    let id = signal.id.clone();
    let name = DeployName {
        id: id.to_string(),
        app: signal.app.clone(),
        chart_version: signal.chart_version.clone(),
    };
    let (cancel, trigger) = Cancel::manual();
    let uid = exchange.peer.uid;
    let deploy = match receiver.deploys.take(&id, name, uid, trigger) {
        Ok(deploy) => deploy,
        Err(why) => return not_taken(why),
    };
    let order = Order {
        signal,
        peer: exchange.peer.clone(),
    };
    begin(receiver, &deploy, id, &order, cancel);
    let _ = exchange.streamed.set(Arc::clone(&deploy));
    let lines = stream::unfold((deploy, 0), |(deploy, at)| async move {
        let line = deploy.line(at).await?;
        Some((Ok(Frame::data(line)), (deploy, at + 1)))
    });
    let mut response = Response::new(StreamBody::new(lines).boxed());
    let form = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(CONTENT_TYPE, form);
    response
}

/// Begins a deploy, which goes on whatever becomes of the connection.
fn begin(receiver: &Arc<Receiver>, deploy: &Arc<Deploy>, id: RunId, order: &Order, cancel: Cancel) {
    let started = run::start(&receiver.config, order);
    if let Ok((child, _)) = &started {
        notes::begin(&receiver.state, order, child.id());
    }
    let (receiver, deploy) = (Arc::clone(receiver), Arc::clone(deploy));
    tokio::spawn(async move {
        match started {
            Ok((child, order)) => {
                let done = run::follow(child, order, &deploy, &cancel).await;
                receiver.note_end(&id, done.is_lost);
                deploy.end(done.last);
            }
            Err(error) => {
                let mut last = crate::report::events::finished(
                    &deploy.name,
                    "failure",
                    crate::error::Kind::Node.code(),
                );
                last["message"] =
                    format!("no process can be started for the deploy: {error}").into();
                deploy.end(last);
            }
        }
        receiver.deploys.note_end(id);
    });
}

fn not_taken(why: NotTaken) -> Response<Body> {
    match why {
        NotTaken::Known => refusal(
            StatusCode::UNPROCESSABLE_ENTITY,
            "a deploy of this id is known: each signal has its own",
        ),
        NotTaken::TooMany => refusal(
            StatusCode::TOO_MANY_REQUESTS,
            "this user has too many deploys on their way",
        ),
        NotTaken::Full => refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many deploys are on their way",
        ),
    }
}

/// How a deploy stands: of one that this receiver does not know any more, as the
/// journal has it.
async fn get(exchange: &Exchange, id: &str) -> Response<Body> {
    let Ok(id) = id.parse::<RunId>() else {
        return unknown();
    };
    let uid = exchange.peer.uid;
    if let Some(deploy) = exchange.receiver.deploys.get(&id) {
        return if may_see(uid, deploy.uid) {
            one(StatusCode::OK, &deploy.status())
        } else {
            unknown()
        };
    }
    let state = exchange.receiver.state.clone();
    let found = tokio::task::spawn_blocking(move || {
        journal::read(&state, 1, |entry| {
            entry.run == id && may_see(uid, entry.who.uid)
        })
    });
    match found.await {
        Ok(Ok(entries)) if !entries.is_empty() => {
            let entry = &entries[0];
            let outcome = if entry.exit == 0 {
                "success"
            } else {
                "failure"
            };
            let name = DeployName {
                id: entry.run.to_string(),
                app: entry.request.app.clone(),
                chart_version: entry.request.version.clone(),
            };
            let mut last = crate::report::events::finished(&name, outcome, entry.exit);
            last["message"] = json!(entry.cause);
            last["revision"] = json!(entry.revision);
            last["previous_revision"] = json!(entry.before);
            let status =
                json!({ "id": name.id, "app": name.app, "state": "ended", "finished": last });
            one(StatusCode::OK, &status)
        }
        _ => unknown(),
    }
}

fn delete(exchange: &Exchange, id: &str) -> Response<Body> {
    let found = id
        .parse()
        .ok()
        .and_then(|id| exchange.receiver.deploys.get(&id));
    match found {
        Some(deploy) if may_see(exchange.peer.uid, deploy.uid) => {
            deploy.cancel();
            one(StatusCode::ACCEPTED, &deploy.status())
        }
        _ => unknown(),
    }
}

/// Another user's deploy is nobody's but root's.
const fn may_see(asks: u32, sent: u32) -> bool {
    asks == 0 || asks == sent
}

fn unknown() -> Response<Body> {
    refusal(StatusCode::NOT_FOUND, "no such deploy is known")
}

/// An answer in words. Nothing that the client sent is in it.
pub(super) fn refusal(status: StatusCode, message: &str) -> Response<Body> {
    one(status, &json!({ "message": message }))
}

fn one(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Full::from(format!("{body}\n")).boxed());
    *response.status_mut() = status;
    let form = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, form);
    response
}
