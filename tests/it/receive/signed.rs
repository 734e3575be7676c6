//! Signed signals through the receiver, with an issuer of the test's own.

use serde_json::json;

use super::issuer::Issuer;
use super::{Running, Site};

/// With `callers`, a signal is taken only with a token for this very signal, once,
/// also after a restart; root by hand needs none.
#[test]
fn only_a_signed_signal_is_taken() {
    let issuer = Issuer::start();
    let callers = format!(
        "callers = [{{ repository_id = \"74\" }}]\ntoken_issuer = \"{}\"",
        issuer.url
    );
    let site = Site::new("signed", &callers);
    let node = &site.node;
    issuer.is_trusted_on(&node.home);
    node.shop("0.1.0");
    let (api, web) = (node.image("api", "t1"), node.image("web", "t1"));
    let with = |api: &str, token: Option<&str>| {
        let signal = node
            .signal("0.1.0")
            .image("api", api)
            .image("web", web.by_tag());
        match token {
            Some(token) => signal.env("DEPLOY_TOKEN", token),
            None => signal,
        }
    };
    let images = json!({ "api": api.by_tag(), "web": web.by_tag() }).to_string();
    let chart = format!("oci://ghcr.io/{}/charts/shop", node.name);
    let audience = site.audience("t1");

    let receiver = site.receiver();
    with(&api.by_tag(), None)
        .run()
        .exits(4)
        .says("came without a token");
    let good = issuer.token(&audience, "one");
    // One character of another tag.
    let other = node.image("api", "t2").by_tag();
    with(&other, Some(&good))
        .run()
        .exits(4)
        .says("it is for 'deploy:");
    with(&api.by_tag(), Some(&good))
        .run()
        .exits(0)
        .says("GitHub signed it for acme/shop at refs/heads/main")
        .never_says(&good);
    assert_eq!(issuer.keys_asked(), 1, "the keys are kept");
    drop(receiver);

    let _receiver = site.receiver();
    with(&api.by_tag(), Some(&good))
        .run()
        .exits(4)
        .says("it was used before");
    let lines = site.journal();
    let exits: Vec<_> = lines.iter().map(|line| line["exit"].as_u64()).collect();
    assert_eq!(exits, [Some(4), Some(4), Some(0), Some(4)]);
    assert_eq!(lines[2]["who"]["proven"]["repository"], "acme/shop");
    assert!(!lines.iter().any(|line| line.to_string().contains(&good)));

    // As root at the node, through the same socket.
    let words = [
        "/usr/local/bin/deploy",
        "--app",
        &node.name,
        "--chart",
        &chart,
    ];
    let more = ["--chart-version", "0.1.0", "--images", &images];
    let by_root = site.command(0, &[&words[..], &more[..]].concat());
    Running::spawn(by_root)
        .wait()
        .exits(0)
        .says("root by hand needs none");
    assert_eq!(issuer.keys_asked(), 1);
    // Root looks at what the receiver did, though its own deploy.toml forwards.
    let by_root = site.command(0, &["/usr/local/bin/deploy", "status", &node.name]);
    Running::spawn(by_root).wait().exits(0).says("revision");
}
