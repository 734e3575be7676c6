//! The admin API, plain HTTP on the proxy's own port, and its client for tests.
//!
//! | request | does |
//! |---|---|
//! | `GET /_testbed/healthz` | 200 once the registry behind the front answers |
//! | `PUT /_testbed/owners/OWNER` | sets the policy, JSON |
//! | `DELETE /_testbed/owners/OWNER` | forgets the policy and what was asked |
//! | `GET /_testbed/owners/OWNER/requests` | what was asked, JSON |
//! | `DELETE /_testbed/owners/OWNER/requests` | forgets what was asked |
//! | `GET /_testbed/refused` | targets that the proxy refused, JSON |

use anyhow::Context as _;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;

use super::answers::{json, plain};
use super::body::Body;
use super::front::Front;
use super::policy::{Effect, Policy};
use super::question::is_owner;
use super::state::Asked;

const ROOT: &str = "/_testbed";
const POLICY_LIMIT: usize = 1 << 20;

pub(super) async fn answer(request: Request<Incoming>, front: &Front) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    let parts: Vec<&str> = path
        .strip_prefix(ROOT)
        .unwrap_or_default()
        .split('/')
        .skip(1)
        .collect();
    match (method, parts.as_slice()) {
        (Method::GET, ["healthz"]) => health(front).await,
        (Method::GET, ["refused"]) => as_json(&front.state.refused()),
        (method, ["owners", owner, rest @ ..]) => {
            if !is_owner(owner) {
                return plain(
                    400,
                    format!(
                        "{owner:?} is no owner: lower case letters, digits and - are expected\n"
                    ),
                );
            }
            match (method, rest) {
                (Method::PUT, []) => set_policy(request, front, owner).await,
                (Method::DELETE, []) => {
                    front.state.clear(owner);
                    plain(204, String::new())
                }
                (Method::GET, ["requests"]) => as_json(&front.state.asked(owner)),
                (Method::DELETE, ["requests"]) => {
                    front.state.forget_asked(owner);
                    plain(204, String::new())
                }
                _ => unknown(&path),
            }
        }
        _ => unknown(&path),
    }
}

fn unknown(path: &str) -> Response<Body> {
    plain(
        404,
        format!("{path:?} is not part of the testbed's admin API under {ROOT}/\n"),
    )
}

fn as_json(value: &impl Serialize) -> Response<Body> {
    match serde_json::to_string(value) {
        Ok(text) => json(200, text),
        Err(error) => plain(500, error.to_string()),
    }
}

async fn health(front: &Front) -> Response<Body> {
    match front.ask_registry("/v2/").await {
        Ok(status) if status.is_success() => plain(200, "ok\n".to_owned()),
        Ok(status) => plain(503, format!("the registry answers {status}\n")),
        Err(error) => plain(503, format!("{error:#}\n")),
    }
}

async fn set_policy(request: Request<Incoming>, front: &Front, owner: &str) -> Response<Body> {
    let body = Limited::new(request.into_body(), POLICY_LIMIT)
        .collect()
        .await;
    let policy = match body.map(http_body_util::Collected::to_bytes) {
        Ok(bytes) => serde_json::from_slice::<Policy>(&bytes),
        Err(error) => return plain(400, format!("the policy was not received: {error}\n")),
    };
    let policy = match policy {
        Ok(policy) => policy,
        Err(error) => {
            return plain(
                400,
                format!("the policy for {owner} cannot be read: {error}\n"),
            );
        }
    };
    if let Some(status) = policy
        .faults
        .iter()
        .find_map(|fault| bad_status(&fault.effect))
    {
        return plain(
            400,
            format!("a fault's status is 400 to 599, not {status}\n"),
        );
    }
    front.state.set_policy(owner, policy);
    plain(204, String::new())
}

fn bad_status(effect: &Effect) -> Option<u16> {
    match effect {
        Effect::Status { status, .. } if !(400..600).contains(status) => Some(*status),
        _ => None,
    }
}

/// The admin API's client.
#[derive(Debug, Clone)]
pub struct Admin {
    proxy: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Admin {
    /// `proxy` is what `HTTPS_PROXY` holds: `http://127.0.0.1:PORT`.
    pub fn new(proxy: &str) -> Self {
        let proxy = proxy.trim_end_matches('/').to_owned();
        // No connection is kept: it would belong to the runtime of the test that opened it.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build_http();
        Self { proxy, client }
    }

    /// Sets an owner's policy; fault counters start anew, what was asked stays.
    pub async fn set_policy(&self, owner: &str, policy: &Policy) -> anyhow::Result<()> {
        let body = serde_json::to_vec(policy)?;
        self.call(Method::PUT, &format!("owners/{owner}"), body)
            .await
            .map(drop)
    }

    /// What was asked of an owner's packages since the last clearing, oldest first.
    pub async fn requests(&self, owner: &str) -> anyhow::Result<Vec<Asked>> {
        let text = self
            .call(Method::GET, &format!("owners/{owner}/requests"), Vec::new())
            .await?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Forgets what was asked of an owner's packages; the policy stays.
    pub async fn clear_requests(&self, owner: &str) -> anyhow::Result<()> {
        self.call(
            Method::DELETE,
            &format!("owners/{owner}/requests"),
            Vec::new(),
        )
        .await
        .map(drop)
    }

    /// Forgets an owner's policy and what was asked.
    pub async fn clear(&self, owner: &str) -> anyhow::Result<()> {
        self.call(Method::DELETE, &format!("owners/{owner}"), Vec::new())
            .await
            .map(drop)
    }

    /// Targets that somebody wanted to reach through the proxy and could not.
    pub async fn refused(&self) -> anyhow::Result<Vec<String>> {
        let text = self.call(Method::GET, "refused", Vec::new()).await?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// An error while the front or the registry behind it does not answer yet.
    pub async fn health(&self) -> anyhow::Result<()> {
        self.call(Method::GET, "healthz", Vec::new())
            .await
            .map(drop)
    }

    async fn call(&self, method: Method, path: &str, body: Vec<u8>) -> anyhow::Result<Bytes> {
        let uri = format!("{}{ROOT}/{path}", self.proxy);
        let request = Request::builder()
            .method(method)
            .uri(&uri)
            .body(Full::from(body))?;
        let answer = self
            .client
            .request(request)
            .await
            .with_context(|| format!("the testbed's front at {uri}"))?;
        let status = answer.status();
        let text = answer.into_body().collect().await?.to_bytes();
        anyhow::ensure!(
            status.is_success(),
            "{uri} answered {status}: {}",
            String::from_utf8_lossy(&text).trim()
        );
        Ok(text)
    }
}
