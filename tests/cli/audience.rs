//! `deploy audience`: the test vectors, on a machine without any configuration.

use predicates::str::contains;

use crate::Node;

#[derive(serde::Deserialize)]
struct Vector {
    arguments: Vec<String>,
    audience: String,
}

#[test]
fn it_prints_the_audience_of_the_signal_as_it_is_read() {
    let vectors: Vec<Vector> =
        serde_json::from_str(include_str!("../data/signals.json")).expect("vectors");
    let node = Node::new();
    // Another node's configuration, or a broken one, does not matter.
    node.write("deploy.toml", "[");
    for vector in vectors {
        node.deploy()
            .arg("audience")
            .args(&vector.arguments)
            .assert()
            .code(0)
            .stderr("")
            .stdout(format!("{}\n", vector.audience));
    }
}

#[test]
fn what_is_no_signal_has_none() {
    let node = Node::new();
    node.deploy()
        .args(["audience", "--app", "Shop"])
        .assert()
        .code(2)
        .stdout("")
        .stderr(contains("--chart-version"));
}
