//! The front: answers as ghcr.io does and hands everything else to the registry behind it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use base64::Engine as _;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::answers::{error, failing, json, manifest_unknown, refuse};
use super::body::{self, Body};
use super::policy::{Access, Answer, Caller, Effect, Kind, Question, Refusal, Struck, answer};
use super::question::{self, Credentials, Repository, Target};
use super::state::{Asked, Entry, State};

/// What GHCR's challenge names where no repository was asked for.
const NO_REPOSITORY: &str = "user/image";

/// The connection is to be closed without an answer.
#[derive(Debug)]
pub(super) struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut off on purpose")
    }
}

impl std::error::Error for Broken {}

pub(super) struct Front {
    pub(super) state: State,
    registry: SocketAddr,
    client: Client<HttpConnector, Body>,
}

impl Front {
    pub(super) fn new(registry: SocketAddr) -> Arc<Self> {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let state = State::default();
        Arc::new(Self {
            state,
            registry,
            client,
        })
    }

    /// One request of the registry's API.
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Broken> {
        let credentials = question::credentials(
            request
                .headers()
                .get(header::AUTHORIZATION)
                .map(HeaderValue::as_bytes),
        );
        match question::target(request.method(), request.uri().path()) {
            Target::Token => self.token(&request, &credentials).await,
            Target::Base => Ok(self.base(&credentials)),
            Target::Repository { repository, kind } => {
                self.repository(request, &repository, kind, &credentials)
                    .await
            }
            Target::BadName => Ok(error(400, "NAME_INVALID", "invalid repository name")),
            Target::Unknown => Ok(error(404, "NOT_FOUND", "page not found")),
        }
    }

    fn base(&self, credentials: &Credentials) -> Response<Body> {
        match self.state.caller(None, credentials).0 {
            Caller::NoToken | Caller::OldToken => {
                refuse(Refusal::Challenge, NO_REPOSITORY, Kind::Manifest)
            }
            Caller::BadToken => refuse(Refusal::InvalidToken, NO_REPOSITORY, Kind::Manifest),
            Caller::BadCredentials | Caller::User(Access::Expired) => {
                refuse(Refusal::Denied, NO_REPOSITORY, Kind::Manifest)
            }
            Caller::Anonymous | Caller::User(_) => json(200, "{}"),
        }
    }

    /// `GET /token`. POST (OAuth 2) is not served: 405, as open-component-model/ocm#400 shows.
    async fn token(
        &self,
        request: &Request<Incoming>,
        credentials: &Credentials,
    ) -> Result<Response<Body>, Broken> {
        let Some(repositories) = question::scopes(request.uri().query().unwrap_or_default()) else {
            return Ok(error(400, "NAME_INVALID", "invalid scope"));
        };
        let get = request.method() == Method::GET;
        let mut verdict = self.login(credentials, &repositories);
        let mut entries = Vec::new();
        let mut marred = None;
        for repository in &repositories {
            let (caller, user) = self.state.caller_at_token(repository.owner(), credentials);
            let entry = self.note(request, repository, Kind::Token, user);
            entries.push(entry.clone());
            // Clients come back with GET: no fault is spent on what is never served.
            if !get {
                continue;
            }
            let asked = Question {
                kind: Kind::Token,
                package: repository.package(),
                caller,
                exists: self.exists(repository, caller).await,
            };
            if verdict == Answer::Allow {
                verdict = answer(&self.state.policy(repository.owner()), asked);
            }
            match self.struck(repository, Kind::Token, &entry).await? {
                Ended::Answered(answer) => return Ok(answer),
                Ended::Marred(how) => marred = Some(how),
                Ended::No => {}
            }
        }
        let answer = match verdict {
            _ if !get => error(405, "UNSUPPORTED", "The operation is unsupported."),
            Answer::Allow => self.give(credentials, repositories),
            Answer::Refuse(refusal) => refuse(refusal, NO_REPOSITORY, Kind::Token),
        };
        for entry in &entries {
            self.state.note_status(entry, answer.status().as_u16());
        }
        mar(answer, marred)
    }

    /// Without a scope the answer is about the credentials alone.
    fn login(&self, credentials: &Credentials, repositories: &[Repository]) -> Answer {
        let (caller, _) = self.state.caller_at_token("", credentials);
        if repositories.is_empty() && caller == Caller::BadCredentials {
            return Answer::Refuse(Refusal::Denied);
        }
        Answer::Allow
    }

    fn give(&self, credentials: &Credentials, repositories: Vec<Repository>) -> Response<Body> {
        let mut bytes = [0; 24];
        let random = rustls::crypto::ring::default_provider().secure_random;
        if random.fill(&mut bytes).is_err() {
            return error(500, "UNKNOWN", "no randomness to be had");
        }
        let secret = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
        let holder = match credentials {
            Credentials::Basic { user, password } => Some((user.clone(), password.clone())),
            _ => None,
        };
        let answer = json(200, serde_json::json!({ "token": secret }).to_string());
        self.state
            .give(secret, holder, repositories, Instant::now());
        answer
    }

    async fn repository(
        &self,
        request: Request<Incoming>,
        repository: &Repository,
        kind: Kind,
        credentials: &Credentials,
    ) -> Result<Response<Body>, Broken> {
        let (caller, user) = self.state.caller(Some(repository), credentials);
        let entry = self.note(&request, repository, kind, user);
        let exists = self.exists(repository, caller).await;
        let package = repository.package();
        let verdict = answer(
            &self.state.policy(repository.owner()),
            Question {
                kind,
                package,
                caller,
                exists,
            },
        );
        // The way to the token stays open: a fault strikes the request that would be served.
        if verdict == Answer::Refuse(Refusal::Challenge) {
            self.state.note_status(&entry, 401);
            return Ok(refuse(Refusal::Challenge, repository.as_str(), kind));
        }
        let head = request.method() == Method::HEAD;
        let marred = match self.struck(repository, kind, &entry).await? {
            Ended::Answered(answer) => return Ok(answer),
            Ended::Marred(Mar::Cut(_)) if head => return Err(Broken),
            Ended::Marred(how) => Some(how),
            Ended::No => None,
        };
        let answer = match verdict {
            Answer::Refuse(refusal) => refuse(refusal, repository.as_str(), kind),
            Answer::Allow => {
                let answer = self.forward(request).await;
                let missing = kind == Kind::Manifest && answer.status() == StatusCode::NOT_FOUND;
                if missing {
                    manifest_unknown(answer).await
                } else {
                    answer
                }
            }
        };
        self.state.note_status(&entry, answer.status().as_u16());
        mar(answer, marred)
    }

    fn note<T>(
        &self,
        request: &Request<T>,
        repository: &Repository,
        kind: Kind,
        user: Option<String>,
    ) -> Entry {
        let asked = Asked {
            method: request.method().to_string(),
            path: request
                .uri()
                .path_and_query()
                .map(ToString::to_string)
                .unwrap_or_default(),
            kind,
            package: repository.package().to_owned(),
            user,
            status: None,
        };
        self.state.note(repository.owner(), asked)
    }

    /// Lets the owner's faults act.
    async fn struck(
        &self,
        repository: &Repository,
        kind: Kind,
        entry: &Entry,
    ) -> Result<Ended, Broken> {
        let Struck { delay, end } =
            self.state
                .strike(repository.owner(), kind, repository.package());
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        Ok(match end {
            None | Some(Effect::Delay { .. }) => Ended::No,
            Some(Effect::CutOff { after_bytes: 0 }) => return Err(Broken),
            Some(Effect::CutOff { after_bytes }) => Ended::Marred(Mar::Cut(after_bytes)),
            Some(Effect::Altered) => Ended::Marred(Mar::Alter),
            Some(Effect::Status {
                status,
                body,
                retry_after,
            }) => {
                self.state.note_status(entry, status);
                Ended::Answered(failing(status, body, retry_after))
            }
        })
    }

    /// Whether anything was pushed there; asked of the registry only where the answer depends on it.
    async fn exists(&self, repository: &Repository, caller: Caller) -> bool {
        if !matches!(caller, Caller::Anonymous | Caller::User(Access::None)) {
            return false;
        }
        if self.state.is_known_to_exist(repository) {
            return true;
        }
        let path = format!("/v2/{}/tags/list", repository.as_str());
        let exists = self
            .ask_registry(&path)
            .await
            .is_ok_and(|status| status == StatusCode::OK);
        if exists {
            self.state.note_exists(repository);
        }
        exists
    }

    /// The status that the registry answers to a GET.
    pub(super) async fn ask_registry(&self, path: &str) -> anyhow::Result<StatusCode> {
        let request =
            Request::get(format!("http://{}{path}", self.registry)).body(body::whole(""))?;
        Ok(self
            .client
            .request(request)
            .await
            .context("the registry does not answer")?
            .status())
    }

    async fn forward(&self, request: Request<Incoming>) -> Response<Body> {
        let (mut parts, incoming) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let Ok(uri) = format!("http://{}{path}", self.registry).parse::<Uri>() else {
            return error(400, "UNSUPPORTED", "the path cannot be read");
        };
        parts.uri = uri;
        strip_hop_by_hop(&mut parts.headers);
        for name in [header::HOST, header::AUTHORIZATION, header::EXPECT] {
            parts.headers.remove(name);
        }
        match self
            .client
            .request(Request::from_parts(parts, body::streamed(incoming)))
            .await
        {
            Ok(answer) => self.handed_back(answer),
            Err(_) => error(
                502,
                "UNAVAILABLE",
                "the registry behind the front does not answer",
            ),
        }
    }

    fn handed_back(&self, answer: Response<Incoming>) -> Response<Body> {
        let (mut parts, incoming) = answer.into_parts();
        strip_hop_by_hop(&mut parts.headers);
        let absolute = format!("http://{}", self.registry);
        let location = parts
            .headers
            .get(header::LOCATION)
            .and_then(|location| location.to_str().ok());
        let relative = location
            .and_then(|location| location.strip_prefix(&absolute))
            .map(HeaderValue::from_str);
        if let Some(Ok(location)) = relative {
            parts.headers.insert(header::LOCATION, location);
        }
        Response::from_parts(parts, body::streamed(incoming))
    }
}

/// What became of a request at the hands of the faults.
enum Ended {
    No,
    Answered(Response<Body>),
    Marred(Mar),
}

/// What is done to the body of a real answer.
#[derive(Clone, Copy)]
enum Mar {
    Cut(u64),
    Alter,
}

fn mar(answer: Response<Body>, how: Option<Mar>) -> Result<Response<Body>, Broken> {
    let (parts, body) = answer.into_parts();
    let body = match how {
        None => body,
        Some(Mar::Cut(after)) => body::cut_after(body, after).ok_or(Broken)?,
        Some(Mar::Alter) => body::altered(body),
    };
    Ok(Response::from_parts(parts, body))
}

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let proxy_connection = HeaderName::from_static("proxy-connection");
    let keep_alive = HeaderName::from_static("keep-alive");
    for name in [
        header::CONNECTION,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        proxy_connection,
        keep_alive,
    ] {
        headers.remove(name);
    }
}
