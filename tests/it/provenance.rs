//! Proofs of origin: what is not signed by the node's key touches nothing, and what
//! was proven is what runs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, SigningKey as _};
use serde_json::{Value, json};
use testbed::chart::{Hook, Shop};
use testbed::ghcr::{Access, Blob, Fault, Kind, Manifest, Policy, Visibility};
use testbed::image::{Platform, Spec};

use crate::attested::attach;
use crate::harness::{Helm, Image, Node, PUSHER, SCRIPT, until};

pub const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const SIMPLE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// A key pair, and what it leaves in the registry.
struct Signer(KeyPair);

impl Signer {
    fn new() -> Self {
        Self(KeyPair::generate().unwrap())
    }

    /// The node asks for signatures of this key.
    fn is_asked_for_by(&self, node: &Node) {
        let toml = "[defaults]\nverify = { key = \"deploy.pub\" }\n";
        node.home.write_etc("deploy/deploy.toml", toml, 0o644);
        node.home
            .write_etc("deploy/deploy.pub", &self.0.public_key_pem(), 0o644);
    }

    fn sign(&self, bytes: &[u8]) -> String {
        STANDARD.encode(self.0.sign(bytes).unwrap())
    }

    /// As cosign 2 does: says of `signed` that it is signed, and hangs that beside `beside`.
    fn like_cosign_2(&self, node: &Node, path: &str, signed: &str, beside: &str) {
        let payload = json!({ "critical": {
            "identity": { "docker-reference": format!("ghcr.io/{}/{path}", node.name) },
            "image": { "docker-manifest-digest": signed },
            "type": "cosign container image signature",
        }, "optional": null })
        .to_string();
        let signature = self.sign(payload.as_bytes());
        let payload = Blob::new(payload);
        let mut layer = payload.descriptor(SIMPLE);
        layer["annotations"] = json!({ "dev.cosignproject.cosign/signature": signature });
        let config = Blob::new("{}");
        let manifest = manifest(&config, "application/vnd.oci.image.config.v1+json", &layer);
        let tag = format!("{}.sig", beside.replace(':', "-"));
        push_beside(node, path, Some(&tag), &manifest, &[payload, config]);
    }

    /// As cosign 3 does in a registry without a referrers API.
    fn like_cosign_3(&self, node: &Node, path: &str, digest: &str) {
        let kind = "application/vnd.in-toto+json";
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [ { "digest": { "sha256": digest.trim_start_matches("sha256:") } } ],
            "predicateType": "https://sigstore.dev/cosign/sign/v1",
            "predicate": {},
        })
        .to_string();
        let signed = format!(
            "DSSEv1 {} {kind} {} {statement}",
            kind.len(),
            statement.len()
        );
        let bundle = json!({
            "mediaType": BUNDLE,
            "verificationMaterial": { "publicKey": { "hint": "" } },
            "dsseEnvelope": {
                "payload": STANDARD.encode(&statement),
                "payloadType": kind,
                "signatures": [ { "sig": self.sign(signed.as_bytes()) } ],
            },
        });
        let bundle = Blob::new(bundle.to_string().into_bytes());
        let config = Blob::new("{}");
        let layer = bundle.descriptor(BUNDLE);
        let manifest = manifest(&config, "application/vnd.oci.empty.v1+json", &layer);
        let descriptor = manifest.blob.descriptor(IMAGE);
        push_beside(node, path, None, &manifest, &[bundle, config.clone()]);
        // What hangs there besides, and is no manifest that anybody reads, is in nobody's way.
        let odd = Manifest {
            media_type: IMAGE,
            blob: Blob::new(odd(&config)),
        };
        let odd_one = odd.blob.descriptor(IMAGE);
        push_beside(node, path, None, &odd, &[]);
        let manifests = json!([descriptor, odd_one]);
        let list = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
        let list = Manifest {
            media_type: INDEX,
            blob: Blob::new(list.to_string().into_bytes()),
        };
        push_beside(node, path, Some(&digest.replace(':', "-")), &list, &[]);
    }
}

/// Pushes what hangs beside a chart or an image: under a tag, else by its digest.
pub fn push_beside(
    node: &Node,
    path: &str,
    tag: Option<&str>,
    manifest: &Manifest,
    blobs: &[Blob],
) {
    let repository = format!("{}/{path}", node.name);
    PUSHER.artifact(&repository, tag, manifest, blobs).unwrap();
}

/// A manifest whose subject has no media type.
fn odd(config: &Blob) -> String {
    json!({
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": config.descriptor("application/vnd.oci.empty.v1+json"),
        "layers": [],
        "subject": { "mediaType": null, "digest": config.digest(), "size": config.size() },
    })
    .to_string()
}

pub fn manifest(config: &Blob, kind: &str, layer: &Value) -> Manifest {
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": config.descriptor(kind),
        "layers": [layer],
    });
    Manifest {
        media_type: IMAGE,
        blob: Blob::new(manifest.to_string().into_bytes()),
    }
}

/// What the node's key signed is deployed by its digest; what it did not sign stops the
/// deploy before anything is touched, in words of its own.
#[test]
fn only_what_the_key_signed() {
    let node = Node::new("origin", Helm::V4);
    let (key, stranger) = (Signer::new(), Signer::new());
    let doctor = || node.shell(&format!("{SCRIPT} doctor {} || true", node.name));
    doctor().says("whoever can push to the registry decides what a tag means");
    key.is_asked_for_by(&node);
    doctor().says("only what the key sha256:");
    let chart = node.shop("0.1.0");
    let (api, web) = (node.image("api", "t1"), node.image("web", "t1"));
    let signal = |version: &str, api: String, web: String| {
        node.signal(version).image("api", api).image("web", web)
    };
    let deploy = |api: String| signal("0.1.0", api, web.by_tag()).run();

    let refused = deploy(api.by_tag());
    refused
        .exits(4)
        .says("it is not signed, and deploy.toml asks for it (verify)");
    assert_eq!(node.namespaces(), "", "nothing is touched");

    key.like_cosign_2(&node, "charts/shop", &chart, &chart);
    key.like_cosign_2(&node, "shop/web", &web.digest, &web.digest);
    stranger.like_cosign_2(&node, "shop/api", &api.digest, &api.digest);
    let refused = deploy(api.by_tag());
    refused
        .exits(4)
        .says("/shop/api:t1: its signature is not one of the key sha256:");
    assert_eq!(node.namespaces(), "", "nothing is touched");

    // A bundle of the right key beside the stranger's signature suffices. Chart, images
    // and proofs are read with credentials that a helper is asked for once.
    key.like_cosign_3(&node, "shop/api", &api.digest);
    let helper =
        "#!/bin/sh\necho asked >>~/asked\necho '{\"Username\":\"bot\",\"Secret\":\"pa55\"}'\n";
    node.home
        .write("bin/docker-credential-keychain", helper, 0o755);
    let config = json!({ "credHelpers": { "ghcr.io": "keychain" } }).to_string();
    node.home.write(".docker/config.json", &config, 0o600);
    let private = Policy::public().package("charts/shop", Visibility::Private);
    node.registry(&private.user("bot", "pa55", Access::Read));
    let done = signal("0.1.0", api.by_tag(), web.by_tag())
        .env(
            "PATH",
            "/home/github-runner/bin:/usr/local/bin:/usr/bin:/bin",
        )
        .run();
    let asked = std::fs::read_to_string(node.home.inside("asked")).unwrap();
    assert_eq!(asked, "asked\n");
    node.home.write(".docker/config.json", "{}", 0o600);
    node.registry(&Policy::public());
    done.exits(0)
        .says("origin proven of chart, api, web: signed by the key sha256:");
    let by_both = |image: &Image| format!("{}@{}", image.by_tag(), image.digest);
    node.runs(&[&by_both(&api), &by_both(&web)]);
    let line = node.journal().pop().unwrap();
    let proven = &line["proven"];
    assert!(
        proven["chart"].as_str().unwrap().starts_with("key sha256:"),
        "{line}"
    );
    assert_eq!(proven["images"]["api"], proven["chart"], "{line}");

    // A file that others may write, and one that holds the other half of the pair.
    let public = key.0.public_key_pem();
    for (file, mode, told) in [
        (public.clone(), 0o666, "chmod"),
        (
            key.0.serialize_pem(),
            0o644,
            "a private key belongs only where artifacts are signed",
        ),
    ] {
        node.home.write_etc("deploy/deploy.pub", &file, mode);
        let refused = deploy(api.by_tag());
        refused.exits(3).says("the key file").says(told);
    }
    node.home.write_etc("deploy/deploy.pub", &public, 0o644);

    // An old signature beside a new image.
    let new = node.image("api", "t2");
    key.like_cosign_2(&node, "shop/api", &api.digest, &new.digest);
    let refused = deploy(new.by_tag());
    refused.exits(4).says(&format!(
        "its signature belongs to another artifact, {}",
        api.digest
    ));
    node.runs(&[&by_both(&api), &by_both(&web)]);

    // Another chart under the version of a signed one; then a registry that refuses.
    let other = node.push(&Shop::new("shop", "0.1.0").grace(2).chart());
    assert_ne!(other, chart);
    deploy(api.by_tag())
        .exits(4)
        .says("charts/shop 0.1.0: it is not signed");
    node.registry(&Policy::private());
    deploy(api.by_digest()).exits(5);
    node.runs(&[&by_both(&api), &by_both(&web)]);
}

/// A node that has another image under a tag runs that: told, and taken back where
/// origins are proven; a hook's, too, whose pod is gone by then. The chart takes no
/// digest, so that the tag is what is deployed.
#[test]
fn a_tag_that_a_node_has_as_another_image() {
    let node = Node::new("moved", Helm::V4);
    let helpers = r#"{{- define "image" }}{{ .repository }}:{{ .tag }}-x{{ end -}}"#;
    let push = |shop: Shop| {
        let chart = shop.grace(1).chart();
        node.push(&chart.with("templates/_helpers.tpl", helpers))
    };
    let plain = push(Shop::new("shop", "0.1.0"));
    let with_hook = push(Shop::new("shop", "0.2.0").hook(Hook {
        delete_policy: "before-hook-creation,hook-succeeded".to_owned(),
        ..Hook::default()
    }));
    let (old, web) = (node.image("api", "t1-x"), node.image("web", "t1-x"));
    let deploy = |version: &str| {
        let signal = node.signal(version).image("api", old.by_tag());
        signal.image("web", web.by_tag()).run()
    };
    deploy("0.1.0").exits(0).never_says("another image runs");
    let line = node.journal().pop().unwrap();
    assert_eq!(line["running"]["api"], json!([old.digest]), "{line}");

    let labels = [("moved".to_owned(), "yes".to_owned())].into();
    let spec = Spec {
        labels,
        ..Spec::default()
    };
    let new = node.image_with("api", "t1-x", spec);
    assert_ne!(new.digest, old.digest);
    let told = format!(
        "another image runs as api: {}, expected {}",
        old.digest, new.digest
    );
    deploy("0.1.0").exits(0).says(&told);

    let key = Signer::new();
    key.is_asked_for_by(&node);
    for chart in [&plain, &with_hook] {
        key.like_cosign_2(&node, "charts/shop", chart, chart);
    }
    key.like_cosign_3(&node, "shop/api", &new.digest);
    key.like_cosign_3(&node, "shop/web", &web.digest);
    let hook = "-migrate (pre-install,pre-upgrade hook), container migrate";
    deploy("0.2.0")
        .exits(7)
        .says("the chart does not take the images by the digests that were proven")
        .says(&format!("{hook}: {told}"))
        .says(&format!("-api, container api: {told}"));

    // A tag that is moved while its image starts: what runs is what was proven, and
    // the next pod would not be.
    let slow = node.image_with("api", "t2-x", Spec::behaving("slow-start 4s"));
    key.like_cosign_3(&node, "shop/api", &slow.digest);
    let signal = node.signal("0.1.0").image("api", slow.by_tag());
    let running = signal.image("web", web.by_tag()).start();
    until("the new image starts", || {
        let ids = "jsonpath={.items[*].status.containerStatuses[*].imageID}";
        let pods = ["--namespace", &node.name, "get", "pods", "--output", ids];
        node.kubectl(&pods).contains(&slow.digest)
    });
    let other = node.image_with("api", "t2-x", Spec::behaving("print moved"));
    running.wait().exits(7).says(&format!(
        "means {} now, and {} was proven",
        other.digest, slow.digest
    ));
}

/// What is signed is one digest: an index's signature is none of the manifests that it
/// lists, and one of those none of the index. What a registry alters is not taken for
/// what was signed.
#[test]
fn a_signature_is_of_one_digest_and_its_bytes() {
    let node = Node::new("one-digest", Helm::V4);
    let key = Signer::new();
    key.is_asked_for_by(&node);
    let chart = node.shop("0.1.0");
    key.like_cosign_2(&node, "charts/shop", &chart, &chart);
    let web = node.image("web", "t1");
    key.like_cosign_3(&node, "shop/web", &web.digest);
    let both = [Platform::Amd64, Platform::Arm64];
    // The tag means the platform's manifest first, which the index lists then.
    let single = node.image("api", "t1");
    let index = node.image_with("api", "t1", Spec::default().index(&both));
    let (of_single, of_index) = (single.by_digest(), index.by_digest());
    let deploy = |api: &str, flags: &[&str]| {
        let signal = node.signal("0.1.0").image("api", api);
        let signal = signal.image("web", web.by_digest());
        flags.iter().fold(signal, |it, flag| it.arg(flag)).run()
    };
    let send_the_index = "send the index's: docker buildx imagetools inspect";

    key.like_cosign_3(&node, "shop/api", &single.digest);
    deploy(&index.by_tag(), &[])
        .exits(4)
        .says("it is not signed, and deploy.toml asks for it (verify)")
        .never_says(send_the_index);
    key.like_cosign_2(&node, "shop/api", &single.digest, &index.digest);
    deploy(&of_index, &[]).exits(4).says(&format!(
        "its signature belongs to another artifact, {}",
        single.digest
    ));
    let other = node.image("api", "t2");
    let of_other = node.image_with("api", "t2", Spec::default().index(&both));
    key.like_cosign_3(&node, "shop/api", &of_other.digest);
    deploy(&other.by_digest(), &[])
        .exits(4)
        .says("it is not signed")
        .says(send_the_index);
    let oversize = json!(" ".repeat(5 << 20));
    attach(&node, "shop/api", &other.digest, &[oversize]);
    deploy(&other.by_digest(), &[])
        .exits(4)
        .says("a signature is larger than 4194304 bytes");
    for signed in [of_single, of_other.by_tag()] {
        deploy(&signed, &["--dry-run"])
            .exits(0)
            .says("origin proven");
    }

    // Other bytes under a digest: the chart's layer, and an image's manifest.
    let altered = "what ghcr.io gave is not what its digest says: it was altered";
    let layer = Fault::altered(Kind::Blob).package("charts/shop");
    let manifest = Fault::altered(Kind::Manifest).package("shop/web");
    for (fault, what) in [(layer, "charts/shop 0.1.0"), (manifest, "/shop/web")] {
        node.registry(&Policy::public().fault(fault));
        deploy(&of_other.by_tag(), &[])
            .exits(5)
            .says(what)
            .says(altered);
    }
    assert_eq!(node.namespaces(), "", "nothing is touched");
}
