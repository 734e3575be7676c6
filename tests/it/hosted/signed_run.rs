//! A signed signal from a workflow to the pods, run by `act`: the job that signs asks
//! the tests' own issuer, and the node's job hands signal and token to a receiver.

use serde_json::json;

use super::act::Repository;
use crate::receive;
use crate::receive::issuer::{Issuer, REQUEST_TOKEN};

/// A caller whose images are there already.
const CALLER: &str = r#"name: deploy
on: push
permissions: {}
jobs:
  shop:
    permissions:
      contents: read
      id-token: write
    uses: ORG/deploy/.github/workflows/deploy-signed.yml@v0.1.0
    with:
      app: shop
      chart: oci://ghcr.io/OF-CHART/charts/shop
      chart-version: 0.1.0
      images: '{"api":"ghcr.io/OF-API/shop/api:t1","web":"ghcr.io/OF-WEB/shop/web:t1"}'
"#;

#[test]
fn a_signed_signal_goes_from_the_workflow_to_the_pods() {
    let mut repository = Repository::with_caller("signed", CALLER);
    let issuer = Issuer::start();
    let asks = [
        (
            "ACTIONS_ID_TOKEN_REQUEST_URL",
            format!("{}/token?api-version=2.0", issuer.url),
        ),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", REQUEST_TOKEN.to_owned()),
    ];
    let node = &mut repository.node;
    node.env
        .extend(asks.map(|(name, value)| (name.to_owned(), value)));
    issuer.is_trusted_on(&node.home);
    let workflow = "acme/deploy/.github/workflows/deploy-signed.yml@refs/tags/v1";
    let callers = format!(
        "callers = [{{ repository_id = \"74\", ref = \"refs/heads/main\", called = \"{workflow}\" }}]\n\
         token_issuer = \"{}\"",
        issuer.url
    );
    let namespace = format!("namespace = \"{}\"\n", node.name);
    receive::furnish(node, "shop", &callers, &namespace);
    node.shop("0.1.0");
    let images = ["api", "web"].map(|key| node.image(key, "t1").by_tag());
    let _receiver = receive::start(node);
    let owner = repository.stage.owner.clone();
    for of in ["OF-CHART", "OF-API", "OF-WEB"] {
        repository
            .stage
            .edit(".github/workflows/deploy.yml", of, &owner);
    }
    repository.stage.commit("whose they are");

    let push = json!({ "ref": "refs/heads/main", "repository": { "private": false } });
    repository
        .act("push", &push)
        .jobs(&[("sign", "success"), ("deploy", "success")])
        .says("signed deploy:")
        .says("GitHub signed it for acme/shop at refs/heads/main");
    repository.node.runs(&images);
    let journal = receive::journal(&repository.node);
    assert_eq!(journal.len(), 1);
    assert_eq!(journal[0]["exit"], 0);
    assert_eq!(journal[0]["who"]["proven"]["runner"], "github-hosted");
    assert!(repository.node.journal().last().unwrap()["forward"].is_string());
}
