//! What a hostile job of the runner's user tries, from a uid of its own: none of it
//! succeeds at the receiver, and good signals are served meanwhile; what succeeds
//! against the old script and a direct deploy stands in docs/security.md.

use serde_json::json;

use super::attempts::{Ground, KINDS, Results};
use super::issuer::Issuer;
use super::{LIVES, Running, Site, document, post};
use crate::harness::{Helm, Node, root};
use crate::old_script;

/// Whom the node takes: a hosted runner's token, by the called workflow.
fn callers(issuer: &Issuer) -> String {
    let workflow = "acme/deploy/.github/workflows/deploy-signed.yml@refs/tags/v1";
    format!(
        "callers = [{{ repository_id = \"74\", ref = \"refs/heads/main\", called = \"{workflow}\" }}]\n\
         token_issuer = \"{}\"",
        issuer.url
    )
}

/// A login of another registry's, which is nobody's.
const LOGIN: &str = ".config/helm/registry/config.json";
const LOGIN_TEXT: &str = r#"{"auths":{"registry.invalid":{"auth":"dTpw"}}}"#;

fn script() -> Ground {
    let node = Node::new("hostile-script", Helm::V3);
    old_script::put_old(&node);
    furnish(&node);
    Ground::Script(node)
}

fn direct() -> Ground {
    let node = Node::new("hostile-direct", Helm::V3);
    let issuer = Issuer::start();
    issuer.is_trusted_on(&node.home);
    let toml = format!("[defaults]\n{}\n", callers(&issuer));
    node.home.write_etc("deploy/deploy.toml", &toml, 0o644);
    furnish(&node);
    node.home.write(".local/state/deploy/evidence/x", "", 0o600);
    Ground::Direct(node, issuer)
}

/// What a runner's home has where it deploys itself.
fn furnish(node: &Node) {
    node.home.write(LOGIN, LOGIN_TEXT, 0o600);
    node.home
        .write(&format!("{}.values.yaml", node.name), "{}\n", 0o600);
}

fn receiver() -> Ground {
    let issuer = Issuer::start();
    let site = Site::new("hostile-receiver", &callers(&issuer));
    issuer.is_trusted_on(&site.node.home);
    for folder in [
        ".config",
        ".config/helm",
        ".config/helm/registry",
        "state/evidence",
    ] {
        site.give(folder, None, 0o700);
    }
    site.give(LOGIN, Some(LOGIN_TEXT.as_bytes()), 0o600);
    let values = format!("{}.values.yaml", site.node.name);
    site.give(&values, Some(b"{}\n"), 0o600);
    site.give("state/evidence/x", Some(b""), 0o600);
    let receiver = site.receiver();
    Ground::Receiver(site, issuer, receiver)
}

/// The counts of docs/security.md, by kind: of how many, and how many succeed at each.
fn documented() -> Vec<(String, [usize; 4])> {
    let page = std::fs::read_to_string(root().join("docs/security.md")).unwrap();
    let rows = page
        .lines()
        .skip_while(|line| !line.starts_with("| what a hostile job tries |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let counts = [1, 2, 3, 4].map(|at| cells[at].parse().unwrap());
        (cells[0].to_owned(), counts)
    })
    .collect()
}

fn succeeded(results: &Results) -> Vec<usize> {
    let count =
        |kind: &std::collections::BTreeMap<&str, bool>| kind.values().filter(|x| **x).count();
    results.iter().map(count).collect()
}

#[test]
fn what_a_hostile_job_gets_stands_in_the_docs() {
    let results = std::thread::scope(|scope| {
        let grounds = [script as fn() -> Ground, direct, receiver];
        let tried = grounds.map(|ground| scope.spawn(move || ground().try_all()));
        tried.map(|one| one.join().unwrap())
    });
    let [script, direct, receiver] = &results;
    for kind in receiver {
        assert!(kind.values().all(|success| !success), "{kind:?}");
    }
    let (script_counts, direct_counts) = (succeeded(script), succeeded(direct));
    let found: Vec<_> = KINDS
        .iter()
        .enumerate()
        .map(|(at, kind)| {
            let counts = [receiver[at].len(), script_counts[at], direct_counts[at], 0];
            ((*kind).to_owned(), counts)
        })
        .collect();
    assert_eq!(documented(), found, "{script:?}\n{direct:?}");
    let all: usize = receiver.iter().map(std::collections::BTreeMap::len).sum();
    assert!(all >= 30, "{all}");
}

/// Another user is not even told anything, and what is no signal is never deployed.
#[test]
fn strangers_and_nonsense_get_nothing() {
    let site = Site::new("hostile-stranger", "");
    let _receiver = site.receiver();
    for ask in [
        "-X GET http://x/v1/deploys/20261124T175106Z-1a2b3c",
        "-X DELETE http://x/v1/deploys/20261124T175106Z-1a2b3c",
        "-d '{}' http://x/v1/deploys",
    ] {
        let script = format!("curl -s -m 20 --unix-socket {LIVES}/deploy.sock {ask}");
        let stranger = Running::spawn(site.command(41_003, &["/bin/sh", "-c", &script])).wait();
        stranger.says("may not send signals here");
    }
    let app = &site.node.name;
    let wrong = [
        ("app", json!("../../etc/deploy")),
        ("app", json!("--dry-run")),
        ("app", json!(format!("{app}\u{0}"))),
        ("chart", json!("/etc/shadow")),
        (
            "chart",
            json!(format!("oci://ghcr.io/{app}/charts/../../x")),
        ),
        ("chart_version", json!("0.1.0 --values=/etc/shadow")),
        (
            "images",
            json!({ "api": "/etc/shadow", "web": "file:///etc/shadow" }),
        ),
        ("images", json!({ "api": "x".repeat(200_000) })),
    ];
    for (number, (key, value)) in wrong.into_iter().enumerate() {
        let mut sent = document(app);
        sent["id"] = format!("20261124T175106Z-{number:06x}").into();
        sent[key] = value;
        let said = site.raw(&post(&sent));
        assert!(said.contains("\"exit_code\":2"), "{key}: {said}");
    }
    let mut sent = document(app);
    sent["id"] = "../../../etc/x".into();
    assert!(site.raw(&post(&sent)).starts_with("HTTP/1.1 400 "));
    let huge = site.raw(&post(&json!({ "x": "y".repeat(1 << 20) })));
    assert!(huge.starts_with("HTTP/1.1 413 "), "{huge}");
    assert!(site.journal().is_empty());
}
