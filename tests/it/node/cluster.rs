//! Where the cluster's address and credentials come from.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use testbed::pki::Pki;

use super::Shop;
use crate::harness::{Helm, on_both_helms};

const HOME: &str = "/home/github-runner";

/// The cluster's kubeconfig as data.
fn admin(shop: &Shop) -> Value {
    let config = shop
        .node
        .kubectl(&["config", "view", "--raw", "--output=json"]);
    serde_json::from_str(&config).unwrap()
}

/// A kubeconfig for the cluster with another user.
fn with_user(shop: &Shop, user: &Value) -> Value {
    let admin = admin(shop);
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "node",
        "clusters": [{ "name": "node", "cluster": admin["clusters"][0]["cluster"] }],
        "users": [{ "name": "runner", "user": user }],
        "contexts": [{ "name": "node", "context": { "cluster": "node", "user": "runner" } }],
    })
}

on_both_helms! {
    /// Every place that a kubeconfig may come from, and which one wins.
    fn each_place_of_a_kubeconfig(node) {
        let shop = Shop::new("places", node.helm);
        let home = &shop.node.home;
        let good = admin(&shop).to_string();
        // ~/.kube/config is there from the start.
        shop.dry().run().exits(0);
        fs::remove_file(home.inside(".kube/config")).unwrap();
        shop.dry().run().exits(3).says("no cluster is known").says("/etc/rancher/k3s/k3s.yaml");

        // k3s's own file, which only root may read until somebody says otherwise.
        home.write_etc("rancher/k3s/k3s.yaml", &good, 0o600);
        shop.dry().run().exits(3).says("/etc/rancher/k3s/k3s.yaml");
        home.write_etc("rancher/k3s/k3s.yaml", &good, 0o644);
        shop.dry().run().exits(0);
        fs::remove_file(home.etc("rancher/k3s/k3s.yaml")).unwrap();

        // KUBECONFIG: relative to the caller's directory, and a list of which
        // one file may be missing.
        home.write("work/cluster.yaml", &good, 0o600);
        let work = format!("{HOME}/work");
        shop.dry().env("KUBECONFIG", "cluster.yaml").within(&work).run().exits(0);
        shop.dry().env("KUBECONFIG", "cluster.yaml").run().exits(3).says("/home/github-runner/cluster.yaml");
        shop.dry().env("KUBECONFIG", "none.yaml:work/cluster.yaml").run().exits(0);

        // deploy.toml outranks what the workflow says, and is relative to itself.
        home.write_etc("deploy/cluster.yaml", &good, 0o644);
        shop.settings("[defaults]\nkubeconfig = \"cluster.yaml\"\n");
        shop.dry().env("GITHUB_ACTIONS", "").env("KUBECONFIG", "/nowhere").run().exits(0);
    }
}

on_both_helms! {
    /// One file holds the cluster, the other the user.
    fn a_kubeconfig_in_two_files(node) {
        let shop = Shop::new("two-files", node.helm);
        let whole = admin(&shop);
        let mut cluster = whole.clone();
        cluster["users"] = json!([]);
        let users = json!({ "apiVersion": "v1", "kind": "Config", "users": whole["users"] });
        shop.node.home.write("cluster.yaml", &cluster.to_string(), 0o600);
        shop.node.home.write("users.yaml", &users.to_string(), 0o600);
        fs::remove_file(shop.node.home.inside(".kube/config")).unwrap();
        shop.dry().env("KUBECONFIG", "cluster.yaml:users.yaml").run().exits(0);
        shop.dry().env("KUBECONFIG", "cluster.yaml").run().exits(3);
    }
}

on_both_helms! {
    /// Credentials that a plugin of the kubeconfig brings, for us and for helm.
    fn a_plugin_for_credentials(node) {
        let shop = Shop::new("plugin", node.helm);
        let home = &shop.node.home;
        shop.node.kubectl(&["create", "namespace", &shop.node.name]);
        shop.node.kubectl(&["create", "serviceaccount", "runner"]);
        shop.node.kubectl(&[
            "create", "rolebinding", "runner", "--clusterrole=admin",
            &format!("--serviceaccount={}:runner", shop.node.name),
        ]);
        let token = shop.node.kubectl(&["create", "token", "runner"]);
        let credential = json!({
            "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
            "status": { "token": token.trim() },
        });
        home.write("credential.json", &credential.to_string(), 0o600);
        let script = "#!/bin/sh\nset -eu\n[ -z \"${GITHUB_TOKEN:-}\" ]\ncat \"$HOME/credential.json\"\n";
        home.write("plugin", script, 0o755);
        let exec = |command: &str| json!({ "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": command, "interactiveMode": "Never",
        }});
        let config = |command: &str| with_user(&shop, &exec(command)).to_string();
        home.write(".kube/config", &config("/home/github-runner/plugin"), 0o600);
        shop.signal().run().exits(0).says("revision 1");

        home.write("plugin", "#!/bin/sh\necho no session >&2\nexit 1\n", 0o755);
        shop.dry().run().exits(3).says("its exec plugin failed: exit status: 1").never_says("HTTPS_PROXY");
        home.write(".kube/config", &config("/home/github-runner/none"), 0o600);
        shop.dry().run().exits(3).says("credentials cannot be used");
    }
}

/// The keys of another cluster, which knows the same names.
struct Strange {
    pki: Pki,
    _folder: tempfile::TempDir,
}

impl Strange {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::create(folder.path()).unwrap();
        Self {
            pki,
            _folder: folder,
        }
    }

    /// A file as a kubeconfig holds it.
    fn encoded(path: &Path) -> Value {
        let encoded = Command::new("base64")
            .arg("-w0")
            .arg(path)
            .output()
            .unwrap();
        String::from_utf8(encoded.stdout).unwrap().into()
    }
}

/// A cluster that is not there is told of within seconds.
#[test]
fn a_cluster_that_cannot_be_reached() {
    let shop = Shop::new("unreachable", Helm::V4);
    let mut config = admin(&shop);
    // A port that was free a moment ago, and that nobody listens on.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    config["clusters"][0]["cluster"]["server"] = format!("https://{address}").into();
    let write = |config: &str| shop.node.home.write(".kube/config", config, 0o600);
    write(&config.to_string());
    let ran = shop.signal().run();
    ran.exits(3).says("nothing listens at its address");
    assert!(ran.took < Duration::from_secs(10), "{:?}", ran.took);

    config["clusters"][0]["cluster"]["server"] = "https://cluster.invalid:6443".into();
    write(&config.to_string());
    shop.signal().run().exits(3).says("cannot be reached");

    let strange = Strange::new();
    let mut config = admin(&shop);
    let cluster = config["clusters"][0]["cluster"].as_object_mut().unwrap();
    cluster.remove("certificate-authority");
    cluster.insert(
        "certificate-authority-data".into(),
        Strange::encoded(&strange.pki.cert("ca")),
    );
    write(&config.to_string());
    shop.signal()
        .run()
        .exits(3)
        .says("its certificate is not trusted");
}

/// Credentials that the cluster does not take, or that cannot be read.
#[test]
fn credentials_that_are_no_good() {
    let shop = Shop::new("bad-credentials", Helm::V4);
    let write = |config: &str| shop.node.home.write(".kube/config", config, 0o600);
    let secret = "eyJhbGciOi.not-a-token.of-anybody";
    write(&with_user(&shop, &json!({ "token": secret })).to_string());
    shop.signal()
        .run()
        .exits(3)
        .says("401")
        .says("renew")
        .never_says(secret);

    // A certificate that is none, and one of another authority's key.
    let user = json!({ "client-certificate-data": "bm9uZQ==", "client-key-data": "bm9uZQ==" });
    write(&with_user(&shop, &user).to_string());
    shop.signal()
        .run()
        .exits(3)
        .says("credentials cannot be used");
    let strange = Strange::new();
    let user = json!({
        "client-certificate-data": Strange::encoded(&strange.pki.cert("admin")),
        "client-key-data": Strange::encoded(&strange.pki.key("admin")),
    });
    write(&with_user(&shop, &user).to_string());
    shop.signal().run().exits(3).says("401");
    let user = json!({ "client-certificate": "/none.crt", "client-key": "/none.key" });
    write(&with_user(&shop, &user).to_string());
    shop.signal()
        .run()
        .exits(3)
        .says("credentials cannot be used")
        .says("/none");

    for (broken, said) in [
        ("", "no current context"),
        ("a: [", "cannot be read"),
        (
            "{\"kind\": \"Config\", \"current-context\": \"none\"}",
            "no context",
        ),
    ] {
        write(broken);
        shop.signal().run().exits(3).says(said);
    }
}
