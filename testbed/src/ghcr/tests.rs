//! The front over real sockets and TLS, before a small registry in memory, with the push client,
//! the admin client and oci-client as the users.
#![allow(clippy::unwrap_used)]

mod memory;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HOST as HOST_HEADER, WWW_AUTHENTICATE};
use hyper_util::rt::TokioIo;
use oci_client::client::{Certificate, CertificateEncoding, ClientConfig};
use oci_client::secrets::RegistryAuth;

use super::*;
use crate::chart::Shop;
use crate::image::{self, AppBinaries, Base, Spec};

struct Bed {
    proxy: String,
    certificate: String,
    admin: Admin,
    client: Client,
}

async fn bed() -> Bed {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let registry = memory::start().await;
    let signed = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
    let certificate = signed.cert.pem();
    let config = Config {
        cert_pem: certificate.clone(),
        key_pem: signed.signing_key.serialize_pem(),
        registry,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(serve(vec![listener], config));
    let admin = Admin::new(&proxy);
    let client = Client::new(&proxy, &certificate).unwrap();
    Bed {
        proxy,
        certificate,
        admin,
        client,
    }
}

/// What came back.
struct Answer {
    status: u16,
    challenge: Option<String>,
    body: String,
}

impl Bed {
    async fn get(&self, path: &str, authorization: Option<&str>) -> anyhow::Result<Answer> {
        let mut sender = self.client.connect().await?;
        let mut request = Request::get(path).header(HOST_HEADER, HOST);
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let answer = sender.send_request(request.body(Full::default())?).await?;
        let status = answer.status().as_u16();
        let challenge = answer
            .headers()
            .get(WWW_AUTHENTICATE)
            .map(|value| value.to_str().unwrap().to_owned());
        let body = String::from_utf8(answer.into_body().collect().await?.to_bytes().to_vec())?;
        Ok(Answer {
            status,
            challenge,
            body,
        })
    }

    /// A bearer token, or the refusal; `user`: name and password.
    async fn token(&self, repository: &str, user: Option<(&str, &str)>) -> Result<String, Answer> {
        use base64::Engine as _;
        let basic = user.map(|(name, password)| {
            let pair =
                base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
            format!("Basic {pair}")
        });
        let path = format!("/token?service=ghcr.io&scope=repository:{repository}:pull");
        let answer = self.get(&path, basic.as_deref()).await.unwrap();
        if answer.status != 200 {
            return Err(answer);
        }
        let token: BTreeMap<String, String> = serde_json::from_str(&answer.body).unwrap();
        Ok(format!("Bearer {}", token["token"]))
    }

    /// Token, then the path below the repository; the first refusal is the answer.
    async fn fetch(
        &self,
        repository: &str,
        below: &str,
        user: Option<(&str, &str)>,
    ) -> (u16, String) {
        let answer = match self.token(repository, user).await {
            Ok(token) => self
                .get(&format!("/v2/{repository}/{below}"), Some(&token))
                .await
                .unwrap(),
            Err(refused) => refused,
        };
        (answer.status, answer.body)
    }

    fn oci(&self) -> oci_client::Client {
        let certificate = Certificate {
            encoding: CertificateEncoding::Pem,
            data: self.certificate.clone().into_bytes(),
        };
        let https_proxy = Some(self.proxy.clone());
        let extra_root_certificates = vec![certificate];
        oci_client::Client::new(ClientConfig {
            https_proxy,
            extra_root_certificates,
            ..Default::default()
        })
    }
}

/// Any file serves as a binary where nothing is run.
fn base() -> Base {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let (amd64, arm64) = (file.into(), file.into());
    Base::new(AppBinaries { amd64, arm64 })
}

fn json_error(code: &str, message: &str) -> String {
    format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#)
}

#[tokio::test]
async fn what_is_pushed_is_pulled_by_the_client_of_the_deploy() {
    let bed = bed().await;
    let both = Spec::default().index(&[image::Platform::Amd64, image::Platform::Arm64]);
    let digest = image::push(&bed.client, &base(), "acme/shop/api", "1.0", &both)
        .await
        .unwrap();
    let chart = Shop::new("shop", "0.1.0+b")
        .chart()
        .push(&bed.client, "acme")
        .await
        .unwrap();
    let oci = bed.oci();
    for (reference, expected) in [
        ("acme/shop/api:1.0", &digest),
        ("acme/charts/shop:0.1.0_b", &chart),
    ] {
        let reference = format!("ghcr.io/{reference}").parse().unwrap();
        let found = oci
            .fetch_manifest_digest(&reference, &RegistryAuth::Anonymous)
            .await
            .unwrap();
        assert_eq!(&found, expected);
        let (manifest, _) = oci
            .pull_manifest_raw(&reference, &RegistryAuth::Anonymous, &["*/*"])
            .await
            .unwrap();
        assert_eq!(&super::digest(&manifest), expected);
    }
}

#[tokio::test]
async fn a_blob_travels_once() {
    let bed = bed().await;
    let base = base();
    let uploads = async |owner: &str| {
        let asked = bed.admin.requests(owner).await.unwrap();
        asked
            .iter()
            .filter(|one| one.method == "PUT" && one.path.contains("/blobs/"))
            .count()
    };
    let push = async |owner: &str, tag| {
        image::push(
            &bed.client,
            &base,
            &format!("{owner}/app"),
            tag,
            &Spec::default(),
        )
        .await
    };
    let first = push("one", "1").await.unwrap();
    assert_eq!(uploads("one").await, 3);
    assert_eq!(push("one", "1").await.unwrap(), first);
    assert_eq!(uploads("one").await, 3, "the same again sends nothing");
    push("two", "1").await.unwrap();
    assert_eq!(uploads("two").await, 2, "the binary is mounted");
}

#[tokio::test]
async fn challenges_name_the_scope() {
    let bed = bed().await;
    for (path, scope) in [
        ("/v2/", "user/image"),
        ("/v2/acme/shop/manifests/1", "acme/shop"),
    ] {
        let answer = bed.get(path, None).await.unwrap();
        let challenge = format!(
            r#"Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:{scope}:pull""#
        );
        assert_eq!((answer.status, answer.challenge), (401, Some(challenge)));
        assert_eq!(
            answer.body,
            json_error("UNAUTHORIZED", "authentication required")
        );
    }
    let invented = bed.get("/v2/", Some("Bearer x")).await.unwrap();
    assert_eq!((invented.status, invented.challenge), (403, None));
}

#[tokio::test]
async fn refusals_over_the_wire() {
    let bed = bed().await;
    let base = base();
    image::push(&bed.client, &base, "acme/api", "1", &Spec::default())
        .await
        .unwrap();
    let (manifest, missing) = ("manifests/1", "manifests/nope");
    let unauthorized = (401, json_error("UNAUTHORIZED", "authentication required"));
    let denied = (403, json_error("DENIED", "denied"));
    let unknown = (404, json_error("MANIFEST_UNKNOWN", "manifest unknown"));
    let no_read = (403, json_error("DENIED", "permission_denied: read_package"));

    assert_eq!(bed.fetch("acme/api", manifest, None).await.0, 200);
    assert_eq!(bed.fetch("acme/api", missing, None).await, unknown);
    assert_eq!(bed.fetch("acme/never", manifest, None).await, unauthorized);
    assert_eq!(
        bed.fetch("acme/api", manifest, Some(("bot", "dead"))).await,
        denied,
        "unknown credentials"
    );

    let private =
        Policy::private()
            .user("bot", "x", Access::Read)
            .user("nobody", "x", Access::None);
    bed.admin.set_policy("acme", &private).await.unwrap();
    assert_eq!(bed.fetch("acme/api", manifest, None).await, unauthorized);
    assert_eq!(
        bed.fetch("acme/api", manifest, Some(("bot", "x"))).await.0,
        200
    );
    assert_eq!(
        bed.fetch("acme/api", missing, Some(("bot", "x"))).await,
        unknown
    );
    assert_eq!(
        bed.fetch("acme/api", manifest, Some(("nobody", "x"))).await,
        no_read
    );
    let late = private.refuse_anonymous_at(AnonymousRefusal::Manifest);
    bed.admin.set_policy("acme", &late).await.unwrap();
    assert_eq!(bed.fetch("acme/api", manifest, None).await, denied);

    let expired = Policy::public().user("bot", "x", Access::Expired);
    bed.admin.set_policy("acme", &expired).await.unwrap();
    assert_eq!(
        bed.fetch("acme/api", manifest, Some(("bot", "x"))).await,
        denied
    );
    assert_eq!(
        bed.fetch("acme/api", manifest, None).await.0,
        200,
        "and without them it works"
    );
}

#[tokio::test]
async fn faults_over_the_wire() {
    let bed = bed().await;
    image::push(&bed.client, &base(), "acme/api", "1", &Spec::default())
        .await
        .unwrap();
    let fault = async |fault| {
        bed.admin
            .set_policy("acme", &Policy::public().fault(fault))
            .await
            .unwrap();
    };

    fault(Fault::status(Kind::Token, 503).times(1)).await;
    assert_eq!(bed.fetch("acme/api", "manifests/1", None).await.0, 503);
    assert_eq!(bed.fetch("acme/api", "manifests/1", None).await.0, 200);

    let slow = Duration::from_millis(150);
    fault(Fault::delay(Kind::Manifest, slow)).await;
    let start = Instant::now();
    assert_eq!(bed.fetch("acme/api", "manifests/1", None).await.0, 200);
    assert!(start.elapsed() >= slow);

    for after in [0, 7, 1 << 30] {
        fault(Fault::cut_off(Kind::Manifest, after)).await;
        let token = bed.token("acme/api", None).await.ok().unwrap();
        assert!(
            bed.get("/v2/acme/api/manifests/1", Some(&token))
                .await
                .is_err(),
            "cut after {after}"
        );
    }
    let asked = bed.admin.requests("acme").await.unwrap();
    assert_eq!(asked.last().unwrap().kind, Kind::Manifest);

    let bad = Policy::public().fault(Fault::status(Kind::Token, 200));
    assert!(bed.admin.set_policy("acme", &bad).await.is_err());
    assert!(
        bed.admin
            .set_policy("ACME", &Policy::public())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn half_an_answer_arrives_before_the_cut() {
    let bed = bed().await;
    image::push(&bed.client, &base(), "acme/api", "1", &Spec::default())
        .await
        .unwrap();
    let policy = Policy::public().fault(Fault::cut_off(Kind::Manifest, 7));
    bed.admin.set_policy("acme", &policy).await.unwrap();
    let token = bed.token("acme/api", None).await.ok().unwrap();
    let mut sender = bed.client.connect().await.unwrap();
    let request = Request::get("/v2/acme/api/manifests/1")
        .header(HOST_HEADER, HOST)
        .header(AUTHORIZATION, token);
    let answer = sender
        .send_request(request.body(Full::default()).unwrap())
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let mut body = answer.into_body();
    let mut arrived = 0;
    let end = loop {
        match body.frame().await.unwrap() {
            Ok(frame) => arrived += frame.data_ref().unwrap().len(),
            Err(error) => break error,
        }
    };
    assert_eq!(arrived, 7, "{end}");
}

#[tokio::test]
async fn the_proxy_leads_to_ghcr_only() {
    let bed = bed().await;
    let address = bed.proxy.trim_start_matches("http://");
    let mut refused = Vec::new();
    for target in [
        "example.com:443",
        "ghcr.io:80",
        "ghcr.io.example.com:443",
        "127.0.0.1:443",
    ] {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        let request = Request::connect(target)
            .header(HOST_HEADER, target)
            .body(Full::<Bytes>::default())
            .unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), 403);
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&text).contains("ghcr.io:443 only"));
        refused.push(target.to_owned());
    }
    assert_eq!(bed.admin.refused().await.unwrap(), refused);
    bed.admin.health().await.unwrap();
}
