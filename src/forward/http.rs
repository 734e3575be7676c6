//! Speaks to a controller over HTTP: a socket of this machine, its loopback,
//! or TLS.
//!
//! It only carries: what an answer means, `answer` and `verdict` say. No
//! redirect is followed, and the token goes nowhere but into its header.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use reqwest::{Method, Response, StatusCode};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::answer::{Answer, AnswerError, AnswerFormat};
use super::call::{ForwardCall, HURRY, LINGER, LastActivity, SETTLE, StopCause};
use super::transport::{NotedBody, Transport, unreached, words};
use super::verdict::ForwardOutcome;
use crate::error::{Error, Kind, Result};
use crate::process::cancel::cancelled;

/// How long a question beside the answer may take.
const ASIDE: Duration = Duration::from_secs(2);

/// The longest body of an answer that is no stream of events, in bytes.
const BODY_MAX: usize = 64 << 10;

pub(super) async fn send(call: &ForwardCall<'_>) -> Result<ForwardOutcome> {
    let way = Transport::new(call)?;
    let heard = LastActivity::default();
    let sent = Arc::new(AtomicBool::new(false));
    let mut exchange = pin!(exchange(call, &way, &heard, &sent));
    let mut stop = None;
    let mut until = call.deadline;
    let mut asked: Option<JoinHandle<()>> = None;
    let done = loop {
        tokio::select! {
            biased;
            done = &mut exchange => break Some(done),
            signal = call.cancel.cancelled(), if stop.is_none() => {
                if !sent.load(Ordering::Relaxed) {
                    return Err(cancelled(signal));
                }
                stop = Some((StopCause::Cancelled(signal), heard.ago()));
                until = Instant::now() + SETTLE;
                asked = Some(ask_to_stop(call, &way));
            }
            _ = call.cancel.hurried(), if stop.is_some() && until > Instant::now() + HURRY => {
                until = Instant::now() + HURRY;
            }
            () = sleep_until(until) => {
                if stop.is_some() {
                    break None;
                }
                if !sent.load(Ordering::Relaxed) {
                    return Err(call.too_late());
                }
                stop = Some((StopCause::Late, heard.ago()));
                until = Instant::now() + SETTLE;
                asked = Some(ask_to_stop(call, &way));
            }
        }
    };
    if let Some(asked) = asked {
        asked.abort();
    }
    match (stop, done) {
        (Some((stop, quiet)), ended) => Err(call.stopped(stop, quiet, ended)),
        (None, Some(done)) => done,
        // The loop ends without an end only once it was stopped.
        (None, None) => Err(Error::new(
            Kind::Internal,
            "nobody waited for the controller",
        )),
    }
}

/// The request, its answer, and what the answer says.
async fn exchange(
    call: &ForwardCall<'_>,
    way: &Transport,
    heard: &LastActivity,
    sent: &Arc<AtomicBool>,
) -> Result<ForwardOutcome> {
    let who = call.who();
    let noted = NotedBody {
        inner: Full::new(Bytes::from(call.document.clone())),
        sent: Arc::clone(sent),
    };
    let request = way
        .request(Method::POST, "/v1/deploys")
        .body(reqwest::Body::wrap(noted));
    let mut response = match request.send().await {
        Ok(response) => response,
        Err(error) if error.is_builder() => {
            return Err(Error::new(Kind::Internal, "the request cannot be written")
                .with_source(words(&error)));
        }
        Err(error) if !sent.load(Ordering::Relaxed) => {
            return Err(unreached(&who, way, &error));
        }
        Err(error) => return Err(broken(call, way, "gave no answer", Some(&error)).await),
    };
    heard.now();
    if response.status() != StatusCode::OK {
        let status = response.status().as_u16();
        return Err(who.status(status, &body(response).await, &call.deploy));
    }
    let mut answer = Answer::new(call.deploy.clone(), AnswerFormat::Events);
    loop {
        let chunk = if answer.is_over() {
            match timeout(LINGER, response.chunk()).await {
                Ok(chunk) => chunk,
                Err(_) => return Err(who.fault(&AnswerError::Unended)),
            }
        } else {
            response.chunk().await
        };
        let data = match chunk {
            Ok(Some(data)) => data,
            Ok(None) => break,
            Err(error) if answer.is_over() => {
                return Err(who
                    .unknown("broke off after its finished event")
                    .with_source(words(&error)));
            }
            Err(error) => {
                return Err(broken(
                    call,
                    way,
                    "broke off before its finished event",
                    Some(&error),
                )
                .await);
            }
        };
        heard.now();
        call.tell(answer.take(&data));
        if let Some(fault) = answer.fault() {
            return Err(who.fault(fault));
        }
    }
    match answer.end() {
        Ok(Some(last)) => who.last(last),
        // Also how an answer without a length breaks off.
        Ok(None) | Err(AnswerError::NoLast) => Err(broken(
            call,
            way,
            "ended its answer without its finished event",
            None,
        )
        .await),
        Err(AnswerError::Torn(line)) => Err(broken(call, way, "broke off inside a line", None)
            .await
            .detail(line)),
        Err(fault) => Err(who.fault(&fault)),
    }
}

/// An answer that broke off: is the controller still there, and does it know?
async fn broken(
    call: &ForwardCall<'_>,
    way: &Transport,
    what: &str,
    error: Option<&reqwest::Error>,
) -> Error {
    let path = format!("/v1/deploys/{}", call.deploy.id);
    let now = timeout(ASIDE, ask(way, Method::GET, &path)).await;
    let now = match now {
        Ok(Ok((200, _))) => ", but it is there and knows this deploy",
        Ok(Ok((404, _))) => ", and knows nothing of this deploy now: it was restarted",
        Ok(Err(_)) => ", and nobody answers there now: it has stopped",
        Ok(Ok(_)) | Err(_) => "",
    };
    let told = call.who().unknown(&format!("{what}{now}"));
    match error {
        Some(error) => told.detail(words(error)),
        None => told,
    }
}

/// Tells the controller to stop, beside the answer that goes on.
fn ask_to_stop(call: &ForwardCall<'_>, way: &Transport) -> JoinHandle<()> {
    let path = format!("/v1/deploys/{}", call.deploy.id);
    let way = way.clone();
    tokio::spawn(async move {
        let answered = timeout(SETTLE, ask(&way, Method::DELETE, &path)).await;
        tracing::debug!(?answered, "the controller was told to stop");
    })
}

/// A question beside the answer: its status and its body.
async fn ask(way: &Transport, method: Method, path: &str) -> reqwest::Result<(u16, Vec<u8>)> {
    let response = way.request(method, path).send().await?;
    let status = response.status().as_u16();
    Ok((status, body(response).await))
}

/// The body of an answer that is no stream: as much as is kept, in the time
/// that it is given.
async fn body(mut response: Response) -> Vec<u8> {
    let mut read = Vec::new();
    let whole = timeout(ASIDE, async {
        while let Ok(Some(chunk)) = response.chunk().await {
            if read.len() + chunk.len() > BODY_MAX {
                read.clear();
                return;
            }
            read.extend_from_slice(&chunk);
        }
    });
    match whole.await {
        Ok(()) => read,
        Err(_) => Vec::new(),
    }
}
