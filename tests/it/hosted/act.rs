//! The whole way, run by `act`: the example's own workflow calls ours, `BuildKit`
//! builds the images, and the job on the node calls the script in the runner's
//! home. Three things stand in for what is not here: `actions/checkout` copies a
//! folder, `docker` only knows `buildx`, and every job runs on this machine.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use testbed::ghcr::{Kind, PUSH_PASSWORD, PUSH_USER};

use super::builder::{Builder, DOCKER, PROGRAMS};
use super::stage::Stage;
use crate::harness::{Helm, Node, RUNNER, Ran, Running, asked_of, deploy_binary, root};

const HOME: &str = "/home/github-runner";

/// A node whose runner works for a repository that only it serves.
struct Repository {
    stage: Stage,
    node: Node,
}

impl Repository {
    fn new(name: &str) -> Self {
        let mut node = Node::new(name, Helm::V4);
        let stage = Stage::new(name);
        // Like the owner's login, in a case that the registry does not know.
        node.name = stage.lower();
        stage.git(&[
            "remote",
            "add",
            "origin",
            &format!("https://github.com/{}/Shop", stage.owner),
        ]);
        // The node says where: each of these scenarios has a namespace of its own.
        let place = format!("[apps.shop]\nnamespace = \"{}\"\n", node.name);
        node.home.write_etc("deploy/deploy.toml", &place, 0o644);
        let repository = Self { stage, node };
        repository.furnish();
        repository
    }

    /// What the job that builds images needs.
    fn builder(&self) -> Builder {
        let home = &self.node.home;
        Builder::start(
            &home.shared("buildkit"),
            &home.inside("buildkit.sock"),
            RUNNER,
        )
    }

    /// The programs of a hosted runner, and the folders in place of GitHub.
    fn furnish(&self) {
        let home = &self.node.home;
        home.write("bin/docker", DOCKER, 0o755);
        let builder = Builder::instance(&format!("{HOME}/buildkit.sock"));
        home.write(".buildx/instances/testbed", &builder, 0o644);
        for (program, name) in [(&PROGRAMS.act, "act"), (&PROGRAMS.buildx, "docker-buildx")] {
            fs::copy(program, home.inside("bin").join(name)).unwrap();
        }
        let copies = [
            ("tests/it/hosted/checkout", "checkout"),
            (".github", "github/ORG/deploy/.github"),
            ("hosted", "github/ORG/deploy/hosted"),
        ];
        for (from, to) in copies {
            copy(&root().join(from), &home.inside(to));
        }
        for folder in ["toolchain", "cache/go", "tmp"] {
            fs::create_dir_all(home.inside(folder)).unwrap();
        }
        let config = fs::read_to_string(self.stage.path("home/.gitconfig")).unwrap();
        let git = self.stage.path("workspace/.git").display().to_string();
        home.write(
            ".gitconfig",
            &config.replace(&git, &format!("{HOME}/origin")),
            0o644,
        );
    }

    /// The repository as it is now goes to the runner, and an event with it.
    fn act(&self, event: &str, payload: &Value) -> Acted {
        let home = &self.node.home;
        for place in ["work", "origin"] {
            let _ = fs::remove_dir_all(home.inside(place));
        }
        copy(&self.stage.path("workspace"), &home.inside("work"));
        copy(&self.stage.path("workspace/.git"), &home.inside("origin"));
        home.write("event.json", &payload.to_string(), 0o644);
        give(&home.inside(""));
        let kept = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("hosted-go");
        fs::create_dir_all(&kept).unwrap();
        chown(&kept, Some(RUNNER), Some(RUNNER)).unwrap();

        let work = format!("{HOME}/work");
        let mut command = home.command(deploy_binary(), Some(self.node.helm.path()), RUNNER, &work);
        // Where act can have a terminal for a step it does not wait for the last
        // lines of one that fails (`exec` in its `host_environment.go`). GitHub's
        // runner reads pipes.
        command.env(
            "BINDS",
            format!(
                "/dev/null /dev/ptmx\n{} {HOME}/toolchain\n{} {HOME}/cache/go",
                PROGRAMS.go.display(),
                kept.display()
            ),
        );
        let checkout = "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683";
        let version = concat!("v", env!("CARGO_PKG_VERSION"));
        command
            .args(["act", event, "--json", "--actor", PUSH_USER, "--eventpath"])
            .arg(format!("{HOME}/event.json"))
            .args(
                ["ubuntu-24.04", "self-hosted", "linux"]
                    .iter()
                    .flat_map(|label| ["--platform".to_owned(), format!("{label}=-self-hosted")]),
            )
            .arg(format!("--local-repository={checkout}={HOME}/checkout"))
            .arg(format!(
                "--local-repository=ORG/deploy@{version}={HOME}/github/ORG/deploy"
            ))
            .args(["--secret", "GITHUB_TOKEN"]);
        let path = format!("{HOME}/bin:{HOME}/toolchain/bin:/usr/local/bin:/usr/bin:/bin");
        let jobs = [
            ("CHECKOUTS", format!("{HOME}/github")),
            ("GOCACHE", format!("{HOME}/cache/go")),
            ("GOTOOLCHAIN", "local".to_owned()),
            ("BUILDX_BUILDER", "testbed".to_owned()),
            ("BUILDX_CONFIG", format!("{HOME}/.buildx")),
            ("RUNNER_TEMP", format!("{HOME}/tmp")),
            ("HOME", HOME.to_owned()),
            ("PATH", path.clone()),
        ];
        command
            .envs(&self.node.env)
            .env("GITHUB_TOKEN", PUSH_PASSWORD)
            .env("PATH", path);
        let known = self
            .node
            .env
            .iter()
            .filter(|(key, _)| !["HOME", "PATH"].contains(&key.as_str()));
        let known = known.map(|(key, value)| (key.as_str(), value.clone()));
        for (key, value) in jobs.into_iter().chain(known) {
            command.arg("--env").arg(format!("{key}={value}"));
        }
        Acted::of(Running::spawn(command).wait())
    }

    /// What was pushed, by package.
    fn pushed(&self) -> Vec<String> {
        let asked = asked_of(&self.node.name);
        let mut all: Vec<String> = asked
            .into_iter()
            .filter(|asked| asked.kind == Kind::Push)
            .map(|asked| asked.package)
            .collect();
        all.sort();
        all.dedup();
        all
    }
}

/// A run of `act`.
struct Acted {
    ran: Ran,
    /// Each job that started, and how it ended.
    jobs: BTreeMap<String, String>,
    /// What the steps printed, and what act said of it.
    told: String,
}

impl Acted {
    fn of(ran: Ran) -> Self {
        let mut jobs = BTreeMap::new();
        let mut told = String::new();
        for line in ran.stdout.lines().chain(ran.stderr.lines()) {
            let Ok(entry) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            let said = entry["msg"].as_str().unwrap_or_default();
            let job = entry["jobID"].as_str().unwrap_or_default();
            told.extend([job, ": ", said, "\n"]);
            if said.contains("Run Set up job") {
                jobs.entry(job.to_owned())
                    .or_insert_with(|| "started".to_owned());
            }
            if let Some(result) = entry["jobResult"].as_str() {
                jobs.insert(job.to_owned(), result.to_owned());
            }
        }
        // The caller's job is ours as a whole.
        jobs.remove("shop");
        Self { ran, jobs, told }
    }

    #[track_caller]
    fn jobs(&self, expected: &[(&str, &str)]) -> &Self {
        let expected: BTreeMap<String, String> = expected
            .iter()
            .map(|(job, result)| ((*job).to_owned(), (*result).to_owned()))
            .collect();
        assert_eq!(self.jobs, expected, "{}\n{}", self.told, self.ran.stderr);
        self
    }

    #[track_caller]
    fn says(&self, text: &str) -> &Self {
        assert!(
            self.told.contains(text),
            "expected {text:?} in\n{}",
            self.told
        );
        self
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    let mut copy = Command::new("cp");
    assert!(
        copy.args(["-R", "-T"])
            .arg(from)
            .arg(to)
            .status()
            .unwrap()
            .success()
    );
}

/// All of it is the runner's.
fn give(folder: &Path) {
    let owner = format!("{RUNNER}:{RUNNER}");
    let status = Command::new("chown")
        .args(["-R", "-h", &owner])
        .arg(folder)
        .status();
    assert!(status.unwrap().success());
    fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
}

/// The references that the images were pushed as, from what the step printed.
fn built(acted: &Acted) -> Vec<String> {
    let line = acted
        .told
        .lines()
        .find_map(|line| line.strip_prefix("images: {"))
        .unwrap_or_else(|| panic!("no images in\n{}", acted.told));
    let images: BTreeMap<String, String> = serde_json::from_str(&format!("{{{line}")).unwrap();
    let mut all: Vec<String> = images.into_values().collect();
    all.sort();
    all
}

const ALL: [(&str, &str); 6] = [
    ("chart", "success"),
    ("checks", "success"),
    ("deploy", "success"),
    ("gate", "success"),
    ("images", "success"),
    ("signal", "success"),
];

/// From a commit on `main` to the pods; then the same commit as a tag, and by
/// hand: what is built already is taken as it is. A commit that crashes fails
/// its job, which names the cause, and what ran before runs on.
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
    let running: Vec<&str> = images.iter().map(String::as_str).collect();
    repository.node.runs(&running);
    assert_eq!(
        repository.pushed(),
        ["charts/shop", "shop/api", "shop/web", "shop/worker"]
    );
    let journal = repository.node.journal();
    let requested = journal[0]["request"].to_string();
    let version = format!("0.1.0-g{}", &repository.stage.head()[..12]);
    assert!(requested.contains(&version), "{requested}");

    repository.stage.git(&["tag", "v1.2.3"]);
    let tag = json!({ "ref": "refs/tags/v1.2.3" });
    repository
        .act("push", &tag)
        .jobs(&ALL)
        .says("revision 2")
        .says("built of this commit before");
    assert!(
        repository.node.journal()[1]["request"]
            .to_string()
            .contains("1.2.3")
    );
    repository.node.runs(&running);

    let hand = json!({ "ref": "refs/heads/main", "inputs": {} });
    repository
        .act("workflow_dispatch", &hand)
        .jobs(&ALL)
        .says("of the same source");
    repository.node.runs(&running);

    let (good, bad) = ("if err := serve", "os.Exit(3)\n\tif err := serve");
    repository.stage.edit("api/main.go", good, bad);
    repository.stage.commit("an api that ends at once");
    let mut red = ALL;
    red[2] = ("deploy", "failure");
    repository
        .act("push", &push)
        .jobs(&red)
        .says("::error ")
        .says("last with exit code 3")
        .says("rolled back: revision 5 serves, a copy of revision 3")
        .says("Summary - <h3>❌ <code>shop</code>: rollout failed");
    repository.node.runs(&running);
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
