//! Pushes images and charts to ghcr.io through the proxy, as docker and helm do, with the
//! testbed's push credentials. Used by tests and the demo; never by the deploy itself.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST as HOST_HEADER, LOCATION};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{HOST, PUSH_PASSWORD, PUSH_USER};

/// What is pushed once and named by its digest.
#[derive(Debug, Clone)]
pub struct Blob {
    bytes: Bytes,
    digest: String,
}

impl Blob {
    /// Computes the digest.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let digest = digest(&bytes);
        Self { bytes, digest }
    }

    /// `sha256:` and 64 lower-case hexadecimal digits.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The length in bytes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// An OCI descriptor of it.
    pub fn descriptor(&self, media_type: &str) -> serde_json::Value {
        serde_json::json!({ "mediaType": media_type, "digest": self.digest, "size": self.size() })
    }
}

/// A manifest or an index.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Its media type, which is its content type as well.
    pub media_type: &'static str,
    /// The bytes that the digest is made of.
    pub blob: Blob,
}

/// The digest of these bytes, as the registry names them.
pub fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let hash = Sha256::digest(bytes);
    hash.iter().fold(String::from("sha256:"), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Where ghcr.io is to be found and by what it is trusted.
#[derive(Clone)]
pub struct Client {
    proxy: String,
    tls: TlsConnector,
}

impl Client {
    /// `proxy` is what `HTTPS_PROXY` holds (`http://127.0.0.1:PORT`), `ca_pem` the testbed's own
    /// certificate authority.
    pub fn new(proxy: &str, ca_pem: &str) -> anyhow::Result<Self> {
        let proxy = proxy
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .to_owned();
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
            roots.add(certificate.context("the testbed's certificate authority is not PEM")?)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tls = TlsConnector::from(Arc::new(tls));
        Ok(Self { proxy, tls })
    }

    /// Opens a connection and takes a token for the repository (`owner/path`).
    pub async fn session(&self, repository: &str) -> anyhow::Result<Session> {
        let sender = self
            .connect()
            .await
            .with_context(|| format!("no connection to ghcr.io through {}", self.proxy))?;
        let (repository, token) = (repository.to_owned(), String::new());
        let mut session = Session {
            sender,
            repository,
            token,
        };
        session.sign_in().await?;
        Ok(session)
    }

    pub(super) async fn connect(&self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(&self.proxy).await?;
        stream.set_nodelay(true)?;
        let (mut proxy, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection.with_upgrades());
        let target = format!("{HOST}:443");
        let request = Request::connect(&target)
            .header(HOST_HEADER, &target)
            .body(Full::<Bytes>::default())?;
        let answer = proxy.send_request(request).await?;
        ensure!(
            answer.status().is_success(),
            "the proxy answered {}",
            answer.status()
        );
        let tunnel = hyper::upgrade::on(answer).await?;
        let stream = self
            .tls
            .connect(ServerName::try_from(HOST)?, TokioIo::new(tunnel))
            .await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

/// A connection with a token for one repository.
pub struct Session {
    sender: SendRequest<Full<Bytes>>,
    repository: String,
    token: String,
}

impl Session {
    async fn sign_in(&mut self) -> anyhow::Result<()> {
        #[derive(serde::Deserialize)]
        struct Token {
            token: String,
        }
        let pair = base64::engine::general_purpose::STANDARD
            .encode(format!("{PUSH_USER}:{PUSH_PASSWORD}"));
        let path = format!(
            "/token?service={HOST}&scope=repository:{}:pull,push",
            self.repository
        );
        let request = Request::get(path).header(AUTHORIZATION, format!("Basic {pair}"));
        let (answer, text) = self.send(request, Bytes::new()).await?;
        expect(&answer, &[StatusCode::OK], "a token", &text)?;
        self.token = serde_json::from_slice::<Token>(&text)?.token;
        Ok(())
    }

    /// Pushes a blob unless it is there. `from`: another repository that may have it already.
    /// Says whether its bytes had to be sent.
    pub async fn push_blob(&mut self, blob: &Blob, from: Option<&str>) -> anyhow::Result<bool> {
        let digest = blob.digest();
        let head = self.request(Method::HEAD, &format!("blobs/{digest}"));
        let (answer, text) = self.send(head, Bytes::new()).await?;
        expect(
            &answer,
            &[StatusCode::OK, StatusCode::NOT_FOUND],
            "a look for a blob",
            &text,
        )?;
        if answer.status() == StatusCode::OK {
            return Ok(false);
        }
        let mount = from
            .map(|from| format!("?mount={digest}&from={from}"))
            .unwrap_or_default();
        let start = self.request(Method::POST, &format!("blobs/uploads/{mount}"));
        let (answer, text) = self.send(start, Bytes::new()).await?;
        expect(
            &answer,
            &[StatusCode::CREATED, StatusCode::ACCEPTED],
            "the start of an upload",
            &text,
        )?;
        if answer.status() == StatusCode::CREATED {
            return Ok(false);
        }
        let location = answer
            .headers()
            .get(LOCATION)
            .and_then(|location| location.to_str().ok());
        let location = location.context("the start of an upload came without a location")?;
        let location = location.trim_start_matches(&format!("https://{HOST}"));
        let sign = if location.contains('?') { '&' } else { '?' };
        let put = Request::put(format!("{location}{sign}digest={digest}"))
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .header(CONTENT_TYPE, "application/octet-stream");
        let (answer, text) = self.send(put, blob.bytes.clone()).await?;
        expect(
            &answer,
            &[StatusCode::CREATED],
            "the upload of a blob",
            &text,
        )?;
        Ok(true)
    }

    /// Pushes a manifest under a tag or its own digest.
    pub async fn push_manifest(
        &mut self,
        manifest: &Manifest,
        reference: &str,
    ) -> anyhow::Result<()> {
        let put = self.request(Method::PUT, &format!("manifests/{reference}"));
        let put = put.header(CONTENT_TYPE, manifest.media_type);
        let (answer, text) = self.send(put, manifest.blob.bytes.clone()).await?;
        expect(
            &answer,
            &[StatusCode::CREATED],
            "the push of a manifest",
            &text,
        )
    }

    fn request(&self, method: Method, path: &str) -> hyper::http::request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("/v2/{}/{path}", self.repository))
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
    }

    async fn send(
        &mut self,
        request: hyper::http::request::Builder,
        body: Bytes,
    ) -> anyhow::Result<(Response<()>, Bytes)> {
        let request = request.header(HOST_HEADER, HOST).body(Full::new(body))?;
        self.sender.ready().await?;
        let (parts, body) = self.sender.send_request(request).await?.into_parts();
        let text = body.collect().await?.to_bytes();
        Ok((Response::from_parts(parts, ()), text))
    }
}

fn expect<T>(
    answer: &Response<T>,
    expected: &[StatusCode],
    what: &str,
    text: &[u8],
) -> anyhow::Result<()> {
    let status = answer.status();
    let text = String::from_utf8_lossy(text);
    ensure!(
        expected.contains(&status),
        "{what} at ghcr.io was answered with {status}: {}",
        text.trim()
    );
    Ok(())
}
