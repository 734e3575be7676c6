//! Runs of the whole way by `act`: from an event to the pods, or to nothing.

use std::collections::BTreeMap;

use serde_json::json;
use testbed::ghcr::Kind;

use super::act::{Acted, Repository};
use super::workflow::DOCUMENT;
use crate::harness::asked_of;
use crate::readme::block_in;

/// The references that the images were pushed as, from what the step printed.
fn built(acted: &Acted) -> Vec<String> {
    let line = acted
        .told
        .lines()
        .find_map(|line| line.strip_prefix("push: {"))
        .unwrap_or_else(|| panic!("no images in\n{}", acted.told));
    let images: BTreeMap<String, String> = serde_json::from_str(&format!("{{{line}")).unwrap();
    let mut all: Vec<String> = images.into_values().collect();
    all.sort();
    all
}

const ALL: [(&str, &str); 7] = [
    ("checks", "success"),
    ("deploy", "success"),
    ("gate", "success"),
    ("images", "success"),
    ("package", "success"),
    ("push", "success"),
    ("signal", "success"),
];

/// From a commit on `main` to the pods; then the same commit as a tag, and by
/// hand: the images are built again, and a chart that is there is the same. A
/// commit that crashes fails its job, which names the cause, and what ran before
/// runs on. Somebody goes back to the first run: what it built runs again, and
/// nothing is built or pushed.
#[test]
fn a_push_a_tag_and_a_hand_deploy_what_was_built() {
    let repository = Repository::new("act");
    let _builder = repository.builder();
    let push = json!({ "ref": "refs/heads/main", "repository": { "private": false } });
    let acted = repository.act("push", &push);
    let images = built(acted.jobs(&ALL).says("revision 1"));
    let digest = format!("ghcr.io/{}/shop/api@sha256:", repository.node.name);
    assert!(
        images.len() == 3 && images[0].starts_with(&digest),
        "{images:?}"
    );
    let runs = |images: &[String]| {
        let images: Vec<&str> = images.iter().map(String::as_str).collect();
        repository.node.runs(&images);
    };
    runs(&images);
    assert_eq!(
        repository.pushed(),
        ["charts/shop", "shop/api", "shop/web", "shop/worker"]
    );
    let journal = repository.node.journal();
    repository.keep("1");
    let requested = journal[0]["request"].to_string();
    let version = format!("0.1.0-g{}", &repository.stage.head()[..12]);
    assert!(requested.contains(&version), "{requested}");

    repository.stage.git(&["tag", "v1.2.3"]);
    let tag = json!({ "ref": "refs/tags/v1.2.3" });
    let acted = repository.act("push", &tag);
    runs(&built(acted.jobs(&ALL).says("revision 2")));
    assert!(
        repository.node.journal()[1]["request"]
            .to_string()
            .contains("1.2.3")
    );

    let hand = json!({ "ref": "refs/heads/main", "inputs": {} });
    let acted = repository.act("workflow_dispatch", &hand);
    let there = format!("charts/shop {version} is there");
    let last = built(acted.jobs(&ALL).says(&there));
    runs(&last);

    let (good, bad) = ("if err := serve", "os.Exit(3)\n\tif err := serve");
    repository.stage.edit("api/main.go", good, bad);
    repository.stage.commit("an api that ends at once");
    let mut red = ALL;
    red[1] = ("deploy", "failure");
    repository
        .act("push", &push)
        .jobs(&red)
        .says("::error ")
        .says("last with exit code 3")
        .says("rolled back: revision 5 serves, a copy of revision 3")
        .says("Summary - <h3>❌ <code>shop</code>: rollout failed");
    runs(&last);

    let asked = asked_of(&repository.node.name).len();
    repository
        .go_back(&block_in(DOCUMENT, "back"), "1")
        .jobs(&[("former", "success"), ("deploy", "success")])
        .says("revision 6");
    runs(&images);
    let journal = repository.node.journal();
    assert_eq!(journal[4]["request"], journal[0]["request"]);
    let later = asked_of(&repository.node.name).split_off(asked);
    assert!(later.iter().all(|asked| asked.kind != Kind::Push));
}

/// What `prepare` does in the job that builds, to get into another: variables and
/// a path for later steps, with programs that note the job in which they run, and
/// a process that stays for ten seconds and adds to what was built.
const HOSTILE: &str = r#"./build.sh
mkdir -p "$HOME/shims-$TARGETARCH"
for program in bash curl docker git helm jq sha256sum; do
  printf '#!/bin/sh\necho "$GITHUB_JOB" >>"%s/trespass"\nPATH=${PATH#*:}\nexec %s "$@"\n' "$HOME" "$program" >"$HOME/shims-$TARGETARCH/$program"
  chmod +x "$HOME/shims-$TARGETARCH/$program"
done
echo 'echo "$GITHUB_JOB" >>"$HOME/trespass"' >"$HOME/env-$TARGETARCH"
echo "$HOME/shims-$TARGETARCH" >>"$GITHUB_PATH"
echo "BASH_ENV=$HOME/env-$TARGETARCH" >>"$GITHUB_ENV"
echo 'digests={"api":"sha256:0"}' >>"$GITHUB_OUTPUT"
(for _ in $(seq 100); do sleep 0.1; for layout in "$RUNNER_TEMP"/layouts/*/blobs; do echo x >"$layout/sha256/foreign"; done; done) >/dev/null 2>&1 &
"#;

/// Built once, for two platforms, by a commit whose `prepare` is hostile: staging
/// and production get the same digests, which are those of what was built.
#[test]
fn staging_then_production() {
    let repository = Repository::with_caller("act-both", &block_in(DOCUMENT, "staging"));
    let _builder = repository.builder();
    repository.prepare(HOSTILE);
    let push = json!({ "ref": "refs/heads/main", "repository": { "private": false } });
    let acted = repository.act("push", &push);
    let images = built(acted.jobs(&ALL).says("revision 1").says("revision 2"));
    let journal = repository.node.journal();
    assert_eq!(journal.len(), 2);
    assert_eq!(journal[0]["request"], journal[1]["request"]);
    for image in &images {
        let requested = journal[0]["request"].to_string();
        assert!(requested.contains(image.as_str()), "{requested}");
        let (repository_name, digest) = image.split_once('@').unwrap();
        let path = repository_name.trim_start_matches("ghcr.io/");
        let body = repository.stage.registry(path, digest);
        let index: serde_json::Value = serde_json::from_str(&body).unwrap();
        let children = index["manifests"].as_array().unwrap().iter();
        let mut platforms: Vec<&str> = children
            .map(|child| child["platform"]["architecture"].as_str().unwrap())
            .collect();
        platforms.sort_unstable();
        assert_eq!(platforms, ["amd64", "arm64"]);
    }
    let images: Vec<&str> = images.iter().map(String::as_str).collect();
    repository.node.runs(&images);

    // It reached the jobs in which it ran, and no other.
    let trespass = std::fs::read_to_string(repository.node.home.inside("trespass")).unwrap();
    let mut jobs: Vec<&str> = trespass.lines().collect();
    jobs.sort_unstable();
    jobs.dedup();
    assert_eq!(jobs, ["images"]);
}

/// Only the checks run, nothing is pushed, and the script itself refuses.
#[test]
fn a_pull_request_deploys_nothing() {
    let repository = Repository::new("act-pr");
    let payload = json!({
        "action": "opened",
        "pull_request": { "number": 1, "head": { "ref": "topic" }, "base": { "ref": "main" } },
    });
    repository
        .act("pull_request", &payload)
        .jobs(&[("checks", "success")]);
    assert!(
        asked_of(&repository.node.name).is_empty(),
        "GHCR was not even asked"
    );
    assert!(repository.node.journal().is_empty());

    repository
        .node
        .signal("0.1.0")
        .image("api", "ghcr.io/acme/shop/api:1")
        .image("web", "ghcr.io/acme/shop/web:1")
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_EVENT_NAME", "pull_request")
        .env("GITHUB_REF", "refs/pull/1/merge")
        .run()
        .exits(4);
}

/// A check that fails stops the build; a branch that may not deploy fails the
/// gate; neither touches the node.
#[test]
fn what_fails_before_the_build_pushes_nothing() {
    let repository = Repository::new("act-red");
    repository.stage.edit(
        "internal/serve/serve_test.go",
        "\"/else\": 404",
        "\"/else\": 200",
    );
    repository.stage.commit("a test that fails");
    repository
        .stage
        .git(&["checkout", "--quiet", "-b", "topic"]);
    let push = json!({ "ref": "refs/heads/topic" });
    // `on:` of the example does not name it: by hand, anybody can try.
    repository
        .act("workflow_dispatch", &push)
        .jobs(&[("checks", "failure"), ("gate", "failure")])
        .says("the branch topic is not protected");
    assert!(asked_of(&repository.node.name).is_empty());
    assert!(repository.node.journal().is_empty());
}
