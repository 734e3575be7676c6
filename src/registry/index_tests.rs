#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use oci_client::Reference;
use oci_client::client::{Client, ClientConfig, ClientProtocol};
use oci_client::manifest::OciImageIndex;
use oci_client::secrets::RegistryAuth;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{deleted, platforms};

fn index(entries: &[(&str, &str, &str)]) -> OciImageIndex {
    let entries: Vec<_> = entries
        .iter()
        .map(|(os, architecture, digest)| {
            json!({ "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest,
                "size": 1, "platform": { "os": os, "architecture": architecture } })
        })
        .collect();
    let index = json!({ "schemaVersion": 2, "manifests": entries,
        "mediaType": "application/vnd.oci.image.index.v1+json" });
    serde_json::from_value(index).unwrap()
}

fn digest(of: char) -> String {
    format!("sha256:{}", of.to_string().repeat(64))
}

#[test]
fn platforms_of_an_index_are_told_without_attestations() {
    let index = index(&[
        ("linux", "amd64", "sha256:0"),
        ("linux", "arm64", "sha256:1"),
        ("unknown", "unknown", "sha256:2"),
    ]);
    assert_eq!(
        platforms(&index),
        BTreeSet::from(["linux/amd64".into(), "linux/arm64".into()])
    );
}

/// A registry that has every manifest but those of `a` (deleted), `b` (deleted)
/// and `c` (a failure): a request at a time.
async fn registry() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = vec![0; 4096];
            let read = stream.read(&mut asked).await.unwrap_or(0);
            let asked = String::from_utf8_lossy(&asked[..read]).into_owned();
            let head = asked.starts_with("HEAD ");
            let has = |of: char| asked.contains(&digest(of));
            let (status, body) = if has('a') || has('b') {
                let unknown = "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"manifest unknown\"}]}";
                ("404 Not Found", unknown)
            } else if has('c') {
                ("404 Not Found", "<html>a proxy's own</html>")
            } else {
                ("200 OK", "{}")
            };
            let there = asked.split_whitespace().nth(1).unwrap_or_default();
            let there = there.rsplit('/').next().unwrap_or_default();
            let named = if status == "200 OK" && there.starts_with("sha256:") {
                format!("docker-content-digest: {there}\r\n")
            } else {
                String::new()
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\n{named}content-length: {}\r\nconnection: close\r\n\r\n{}",
                body.len(),
                if head { "" } else { body }
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    address
}

/// Case D1: what the index lists is asked for, and only the registry's own word
/// counts.
#[tokio::test]
async fn deleted_manifests_are_found() {
    crate::net::tls::install();
    let client = Client::new(ClientConfig {
        protocol: ClientProtocol::Http,
        ..ClientConfig::default()
    });
    let image = Reference::with_tag(registry().await, "acme/api".into(), "1".into());
    let index = index(&[
        ("linux", "amd64", &digest('a')),
        ("linux", "arm64", &digest('d')),
        ("linux", "s390x", &digest('c')),
        ("linux", "arm", &digest('b')),
        ("linux", "arm", &digest('e')),
        ("unknown", "unknown", &digest('b')),
    ]);
    let found = deleted(&client, &image, &RegistryAuth::Anonymous, &index).await;
    assert_eq!(found, BTreeMap::from([("linux/amd64".into(), digest('a'))]));
}
