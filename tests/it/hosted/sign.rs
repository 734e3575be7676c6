//! The step that signs: what it writes is what a node asks for.

use rcgen::KeyPair;

use super::made::Made;
use crate::harness::{Helm, Node, SCRIPT};

/// What was pushed is signed by digest, with a key that nobody is shown, and a node
/// that asks for that key takes it, and nothing before; signed again it still does.
#[test]
fn what_was_pushed_is_signed() {
    let mut made = Made::new("signed");
    made.build().push().exits(0);
    let outputs = ["images", "chart", "chart_digest", "chart_version"];
    let [images, chart, digest, version] = outputs.map(|name| made.stage.output(name));
    let pushed = made.pushed();
    let sign = |key: &str| {
        let variables = [
            ("IMAGES", images.clone()),
            ("CHART", chart.clone()),
            ("CHART_DIGEST", digest.clone()),
            ("SIGNING_KEY", key.to_owned()),
        ];
        made.stage.run_env("sign.sh", &variables)
    };
    let key = KeyPair::generate().unwrap();
    let node = Node::new("signed-node", Helm::V4);
    let toml = "[defaults]\nverify = { key = \"deploy.pub\" }\n";
    node.home.write_etc("deploy/deploy.toml", toml, 0o644);
    node.home
        .write_etc("deploy/deploy.pub", &key.public_key_pem(), 0o644);
    let deploy = || {
        let wanted = serde_json::json!({ "api": pushed["api"], "web": pushed["web"] });
        node.shell(&format!(
            "exec {SCRIPT} --app {} --chart {chart} --chart-version {version} --images '{wanted}' --dry-run",
            node.name
        ))
    };

    sign("").exits(0).says("nothing is signed");
    deploy().exits(4).says("it is not signed");
    for wrong in ["x", &key.public_key_pem()] {
        sign(wrong)
            .exits(1)
            .says("is no private key for ECDSA on P-256 in PEM");
    }
    let stranger = KeyPair::generate().unwrap();
    sign(&stranger.serialize_pem()).exits(0);
    deploy()
        .exits(4)
        .says("its signature is not one of the key sha256:");
    let secret = key.serialize_pem();
    let middle = secret.lines().nth(1).unwrap();
    for _ in 0..2 {
        sign(&secret).exits(0).says("is signed").never_says(middle);
        deploy().exits(0).says("origin proven of chart, api, web");
    }
}
