//! A key from the workflow's secret to the pods, run by `act`: what the job that pushes
//! signed is proven and deployed, and an image that somebody else put beside it is not.
//! Only in a soak: the steps are shown one by one always (`sign.rs`, `provenance.rs`).

#![expect(clippy::print_stdout, reason = "what is not run is told")]

use std::collections::BTreeMap;
use std::fs;

use rcgen::KeyPair;
use serde_json::json;

use super::act::Repository;
use crate::harness::{SCRIPT, root, soak};

#[test]
fn what_the_workflow_signed_is_deployed_and_nothing_else() {
    if !soak::is_on() {
        println!("not run here: cargo testbed soak hosted::key_run");
        return;
    }
    let caller = root().join("examples/shop/.github/workflows/deploy.yml");
    let caller = fs::read_to_string(caller).unwrap();
    let secrets = "    secrets:\n      signing-key: ${{ secrets.SIGNING_KEY }}\n";
    let mut repository = Repository::with_caller("act-key", &(caller + secrets));
    let key = KeyPair::generate().unwrap();
    repository.secrets = vec![("SIGNING_KEY", key.serialize_pem())];
    let node = &repository.node;
    let toml = format!(
        "[apps.shop]\nnamespace = \"{}\"\nverify = {{ key = \"deploy.pub\" }}\n",
        node.name
    );
    node.home.write_etc("deploy/deploy.toml", &toml, 0o644);
    node.home
        .write_etc("deploy/deploy.pub", &key.public_key_pem(), 0o644);
    let _builder = repository.builder();
    let push = json!({ "ref": "refs/heads/main", "repository": { "private": false } });
    repository
        .act("push", &push)
        .says("origin proven of chart, api, web, worker: signed by the key sha256:")
        .says("revision 1");

    let node = &repository.node;
    let journal = node.journal();
    assert_eq!(journal.len(), 1);
    let request = &journal[0]["request"];
    let images: BTreeMap<String, String> =
        serde_json::from_value(request["images"].clone()).unwrap();
    let deployed: Vec<&str> = images.values().map(String::as_str).collect();
    node.runs(&deployed);
    let mut forged = images.clone();
    let other = node.image("api", "forged");
    forged.insert("api".to_owned(), other.by_digest());
    let [chart, version] = ["chart", "version"].map(|it| request[it].as_str().unwrap());
    node.shell(&format!(
        "exec {SCRIPT} --app shop --chart {chart} --chart-version {version} --images '{}'",
        json!(forged)
    ))
    .exits(4)
    .says("it is not signed, and deploy.toml asks for it (verify)");
    node.runs(&deployed);
    let revisions = [
        "get",
        "secrets",
        "--selector",
        "owner=helm",
        "--output",
        "name",
    ];
    assert_eq!(node.kubectl(&revisions).lines().count(), 1);
}
