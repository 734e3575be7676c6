//! Attestations of a workflow: what it built is deployed, by digest and with its
//! commit in the journal; what was built from another ref touches nothing. No host is
//! asked but the registry.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use testbed::ghcr::{Blob, Fault, Kind, Manifest, Policy, Visibility};

use crate::harness::{Helm, Node, SCRIPT};
use crate::provenance::{BUNDLE, IMAGE, INDEX, manifest, push_beside};

#[allow(dead_code, reason = "other tests use the rest of it")]
#[path = "../data/own_sigstore/mod.rs"]
pub mod own_sigstore;

use own_sigstore::{COMMIT, Job, Sigstore, provenance};

/// Hangs bundles beside an artifact, as `actions/attest` does with `push-to-registry`.
pub fn attach(node: &Node, path: &str, digest: &str, bundles: &[Value]) {
    let mut listed = Vec::new();
    for bundle in bundles {
        let bundle = Blob::new(bundle.to_string().into_bytes());
        let config = Blob::new("{}");
        let layer = bundle.descriptor(BUNDLE);
        let manifest = manifest(&config, "application/vnd.oci.empty.v1+json", &layer);
        listed.push(manifest.blob.descriptor(IMAGE));
        push_beside(node, path, None, &manifest, &[bundle, config]);
    }
    let list = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": listed });
    let list = Manifest {
        media_type: INDEX,
        blob: Blob::new(list.to_string().into_bytes()),
    };
    push_beside(node, path, Some(&digest.replace(':', "-")), &list, &[]);
}

/// A proxy before the testbed's that remembers which hosts it was asked for.
struct Witness {
    url: String,
    asked: Arc<Mutex<BTreeSet<String>>>,
}

impl Witness {
    fn before(proxy: &str) -> Self {
        let proxy = proxy.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<BTreeSet<String>>>::default();
        let seen = Arc::clone(&asked);
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let (seen, proxy) = (Arc::clone(&seen), proxy.clone());
                std::thread::spawn(move || tunnel(near, &proxy, &seen));
            }
        });
        Self { url, asked }
    }
}

fn tunnel(mut near: TcpStream, proxy: &str, seen: &Mutex<BTreeSet<String>>) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && near.read(&mut byte)? == 1 {
        head.push(byte[0]);
    }
    let asked = String::from_utf8_lossy(&head).into_owned();
    let first = asked.lines().next().unwrap_or_default();
    seen.lock().unwrap().insert(first.to_owned());
    let mut far = TcpStream::connect(proxy)?;
    far.write_all(&head)?;
    let (mut from, mut into) = (near.try_clone()?, far.try_clone()?);
    let there = std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut into);
        into.shutdown(Shutdown::Write)
    });
    let _ = std::io::copy(&mut far, &mut near);
    let _ = near.shutdown(Shutdown::Write);
    let _ = there.join();
    Ok(())
}

#[test]
fn only_what_the_workflow_built() {
    let node = Node::new("attested", Helm::V4);
    let (public, own) = (Sigstore::public(), Sigstore::github());
    let repository = format!("{}/shop", node.name);
    let toml = format!(
        "[defaults]\nverify = {{ workflow = \"{repository}/.github/workflows/deploy.yml\", refs = [\"refs/heads/main\"] }}\n"
    );
    node.home.write_etc("deploy/deploy.toml", &toml, 0o644);
    let doctor = || node.shell(&format!("{SCRIPT} doctor {} || true", node.name));
    doctor().says("the one that came with deploy, of 20");
    let roots = format!("{}\n{}\n", public.root(), own.root());
    node.home
        .write_etc("deploy/trusted_root.jsonl", &roots, 0o644);
    doctor()
        .says(&format!(
            "only what {repository}/.github/workflows/deploy.yml built from refs/heads/main"
        ))
        .says("/etc/deploy/trusted_root.jsonl, of 20");

    let main = Job::of(&repository, "refs/heads/main");
    let topic = Job::of(&repository, "refs/heads/topic");
    let bundle = |by: &Sigstore, job: &Job, digest: &str| {
        by.attest(job, &provenance(digest.trim_start_matches("sha256:")))
    };
    let chart = node.shop("0.1.0");
    let (api, web) = (node.image("api", "t1"), node.image("web", "t1"));
    attach(
        &node,
        "charts/shop",
        &chart,
        &[bundle(&public, &main, &chart)],
    );
    attach(
        &node,
        "shop/web",
        &web.digest,
        &[bundle(&own, &main, &web.digest)],
    );
    let of_topic = bundle(&public, &topic, &api.digest);
    attach(
        &node,
        "shop/api",
        &api.digest,
        std::slice::from_ref(&of_topic),
    );
    let signal = || {
        let signal = node.signal("0.1.0").image("api", api.by_tag());
        signal.image("web", web.by_tag())
    };
    signal()
        .run()
        .exits(4)
        .says("/shop/api:t1: it was built from 'refs/heads/topic', expected refs/heads/main");
    assert_eq!(node.namespaces(), "", "nothing is touched");

    // A good one beside the other suffices.
    let good = bundle(&public, &main, &api.digest);
    attach(&node, "shop/api", &api.digest, &[good, of_topic]);
    // What cannot be asked is no proof.
    signal()
        .env("HTTPS_PROXY", "http://127.0.0.1:1")
        .run()
        .exits(3);
    let denied = Policy::public().package("shop/api", Visibility::Private);
    node.registry(&denied);
    signal().run().exits(5);
    let unwell = Fault::status(Kind::Manifest, 503).package("shop/api");
    node.registry(&Policy::public().fault(unwell.skip(1)));
    signal().run().exits(5);
    node.registry(&Policy::public());
    assert_eq!(node.namespaces(), "", "nothing is touched");

    let witness = Witness::before(&node.env["HTTPS_PROXY"]);
    let done = signal().env("HTTPS_PROXY", &witness.url).run();
    let by = format!("workflow {repository}/.github/workflows/deploy.yml@refs/heads/main");
    let commit = &main.claims[&COMMIT];
    done.exits(0).says(&format!(
        "origin proven of chart, api, web: built by the {by} from commit {commit}"
    ));
    let asked = witness.asked.lock().unwrap().clone();
    assert_eq!(
        asked,
        BTreeSet::from(["CONNECT ghcr.io:443 HTTP/1.1".to_owned()])
    );
    let both = [&api, &web].map(|image| format!("{}@{}", image.by_tag(), image.digest));
    node.runs(&both);
    let line = node.journal().pop().unwrap();
    let proven = &line["proven"];
    assert_eq!(proven["chart"], json!(by), "{line}");
    assert_eq!(proven["chart_commit"], json!(commit), "{line}");
    assert_eq!(proven["images"], json!({ "api": by, "web": by }), "{line}");
    assert_eq!(
        proven["image_commits"],
        json!({ "api": commit, "web": commit }),
        "{line}"
    );
    let run = line["run"].as_str().unwrap();
    node.subcommand(&["show", run])
        .says(&format!("{by}, commit {commit}"));
}
