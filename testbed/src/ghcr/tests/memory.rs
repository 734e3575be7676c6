//! A small registry in memory, in docker-registry's place.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

type Store = Arc<Mutex<HashMap<String, (String, Bytes)>>>;

/// As much of a registry as pushes and pulls need. Its locations are absolute, to be made relative.
async fn registry(
    request: Request<Incoming>,
    store: Store,
    address: SocketAddr,
) -> anyhow::Result<Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let path = parts.uri.path().to_owned();
    let query = parts.uri.query().unwrap_or_default();
    assert!(
        !parts.headers.contains_key(AUTHORIZATION),
        "a token reached the registry"
    );
    let mut store = store.lock().unwrap();
    let answer = Response::builder().header("docker-distribution-api-version", "registry/2.0");
    let (status, kind, body) = match parts.method {
        Method::POST => {
            let mount = query
                .split_once("mount=")
                .and_then(|(_, rest)| rest.split_once("&from="));
            let mounted = mount.and_then(|(digest, from)| {
                let found = store.get(&format!("/v2/{from}/blobs/{digest}"))?.clone();
                Some((digest.to_owned(), found))
            });
            let Some((digest, found)) = mounted else {
                return Ok(answer
                    .status(202)
                    .header(LOCATION, format!("http://{address}{path}1?state=x"))
                    .body(Full::default())?);
            };
            store.insert(path.replace("uploads/", &digest), found);
            (201, String::new(), Bytes::new())
        }
        Method::PUT if path.contains("/blobs/uploads/") => {
            let (name, _) = path.split_once("uploads/").unwrap();
            let (_, digest) = query.split_once("state=x&digest=").unwrap();
            assert_eq!(digest, crate::ghcr::digest(&body));
            store.insert(format!("{name}{digest}"), (String::new(), body));
            (201, String::new(), Bytes::new())
        }
        Method::PUT => {
            let kind = parts.headers[CONTENT_TYPE].to_str()?.to_owned();
            let (name, _) = path.rsplit_once('/').unwrap();
            store.insert(
                format!("{name}/{}", crate::ghcr::digest(&body)),
                (kind.clone(), body.clone()),
            );
            store.insert(
                format!("{name}/../tags/list"),
                (String::new(), Bytes::new()),
            );
            store.insert(path, (kind, body));
            (201, String::new(), Bytes::new())
        }
        _ if path == "/v2/" => (200, String::new(), Bytes::new()),
        _ => {
            let path = path.replace("/tags/list", "/manifests/../tags/list");
            let missing = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"x"}}]}"#;
            let found = store.get(&path).cloned();
            found.map_or(
                (404, String::new(), Bytes::from(missing)),
                |(kind, body)| (200, kind, body),
            )
        }
    };
    let digest = crate::ghcr::digest(&body);
    Ok(answer
        .status(status)
        .header(CONTENT_TYPE, kind)
        .header("docker-content-digest", digest)
        .body(Full::new(body))?)
}

/// Serves on a free port.
pub(super) async fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let store = Store::default();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let store = Arc::clone(&store);
            let service = service_fn(move |request| registry(request, Arc::clone(&store), address));
            let serving = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(serving);
        }
    });
    address
}
