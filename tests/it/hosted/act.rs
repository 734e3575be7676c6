//! The whole way, run by `act`: the example's own workflow calls ours, `BuildKit`
//! builds the images, and the job on the node calls the script in the runner's
//! home. What stands in for what is not here: GitHub's actions copy folders
//! (`actions/`), its API answers from the repository, `docker` only knows `buildx`,
//! and every job runs on this machine.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use testbed::ghcr::{Kind, PUSH_PASSWORD, PUSH_USER};

use super::builder::{Builder, DOCKER, PROGRAMS};
use super::github::{Github, former_run};
use super::stage::Stage;
use crate::harness::{Helm, Node, RUNNER, Ran, Running, asked_of, deploy_binary, root};

const HOME: &str = "/home/github-runner";

/// A node whose runner works for a repository that only it serves.
pub struct Repository {
    pub stage: Stage,
    pub node: Node,
    /// What GitHub keeps secret for its workflows, besides the token.
    pub secrets: Vec<(&'static str, String)>,
    github: Github,
}

/// What a workflow of this repository is called by.
const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// The caller's workflow, in its repository.
const CALLER: &str = ".github/workflows/deploy.yml";

/// GitHub's actions, and what stands in for each.
const ACTIONS: [(&str, &str); 4] = [
    (
        "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683",
        "checkout",
    ),
    (
        "actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02",
        "upload",
    ),
    (
        "actions/download-artifact@d3f86a106a0bac45b974a628896c90dbdf5c8093",
        "download",
    ),
    (
        "actions/github-script@60a0d83039c74a4aee543508d2ffcb1c3799cdea",
        "script",
    ),
];

impl Repository {
    pub fn new(name: &str) -> Self {
        let caller = root().join("examples/shop").join(CALLER);
        Self::with_caller(name, &fs::read_to_string(caller).unwrap())
    }

    /// With another workflow than the example's.
    pub fn with_caller(name: &str, caller: &str) -> Self {
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
        // GitHub protects no branch: the caller names `main`. And act says of no
        // workflow where it is from.
        let github = Github::with_runs(node.home.inside("origin"), &[], node.home.inside("runs"));
        let repository = Self {
            stage,
            node,
            secrets: Vec::new(),
            github,
        };
        // And it cannot tell one runner of the node's from another.
        let inputs =
            "components: '[\"api\", \"web\", \"worker\"]'\n      scripts-repository: ORG/deploy";
        let caller = caller
            .replace("components: '[\"api\", \"web\", \"worker\"]'", inputs)
            .replace("\"staging\"]", "\"linux\"]")
            .replace("\"production\"]", "\"linux\"]");
        fs::write(repository.stage.path("workspace").join(CALLER), caller).unwrap();
        repository.stage.commit("for act");
        repository.furnish();
        repository
    }

    /// With another command before the images are built.
    pub fn prepare(&self, command: &str) {
        let block = command.replace('\n', "\n        ");
        let (from, to) = (
            "prepare: ./build.sh",
            format!("prepare: |\n        {block}"),
        );
        self.stage.edit(CALLER, from, to.trim_end());
        self.stage.commit("another preparation");
    }

    /// What the job that builds images needs.
    pub fn builder(&self) -> Builder {
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
            ("tests/it/hosted/actions", "actions"),
            (".github", "github/ORG/deploy/.github"),
            ("hosted", "github/ORG/deploy/hosted"),
        ];
        for (from, to) in copies {
            copy(&root().join(from), &home.inside(to));
        }
        // act looks for `./` in the caller's repository, and does not know a queue.
        let workflows = home.inside("github/ORG/deploy/.github/workflows");
        for entry in fs::read_dir(workflows).unwrap() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let text = text.replace("      queue: max\n", "");
            let lines = text.lines().map(|line| match line.split_once("uses: ./") {
                Some((indent, file)) => format!("{indent}uses: ORG/deploy/{file}@{VERSION}\n"),
                None => format!("{line}\n"),
            });
            fs::write(&path, lines.collect::<String>()).unwrap();
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
    pub fn act(&self, event: &str, payload: &Value) -> Acted {
        self.act_by(CALLER, event, payload)
    }

    /// Keeps what the last run has left, as GitHub does, and what it says of it.
    pub fn keep(&self, id: &str) {
        let home = &self.node.home;
        copy(
            &home.inside("artifacts"),
            &home.inside(&format!("artifacts-{id}")),
        );
        let run = json!({
            "path": CALLER,
            "event": "push",
            "conclusion": "success",
            "head_sha": self.stage.head(),
            "head_repository": { "full_name": format!("{}/Shop", self.stage.owner) },
            "run_attempt": 1,
        });
        let artifact = json!({ "name": "deploy-signal-shop-signal-1", "expired": false });
        former_run(&home.inside("runs"), id, &run, &artifact);
    }

    /// Another workflow of the caller's, by hand: it names a run.
    pub fn go_back(&self, caller: &str, id: &str) -> Acted {
        let (from, path) = ("run: ${{ inputs.run }}", ".github/workflows/back.yml");
        let caller = caller.replace(
            from,
            &format!("{from}\n      scripts-repository: ORG/deploy"),
        );
        fs::write(self.stage.path("workspace").join(path), caller).unwrap();
        self.stage.commit("a way back");
        let hand = json!({ "ref": "refs/heads/main", "inputs": { "run": id } });
        self.act_by(path, "workflow_dispatch", &hand)
    }

    fn act_by(&self, caller: &str, event: &str, payload: &Value) -> Acted {
        let home = &self.node.home;
        for place in ["work", "origin", "artifacts"] {
            let _ = fs::remove_dir_all(home.inside(place));
        }
        fs::create_dir(home.inside("artifacts")).unwrap();
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
        command
            .args([
                "act",
                event,
                "--workflows",
                caller,
                "--json",
                "--actor",
                PUSH_USER,
            ])
            .arg("--eventpath")
            .arg(format!("{HOME}/event.json"))
            .args(
                ["ubuntu-24.04", "ubuntu-24.04-arm", "self-hosted", "linux"]
                    .iter()
                    .flat_map(|label| ["--platform".to_owned(), format!("{label}=-self-hosted")]),
            )
            .args(ACTIONS.map(|(action, folder)| {
                format!("--local-repository={action}={HOME}/actions/{folder}")
            }))
            .arg(format!(
                "--local-repository=ORG/deploy@{VERSION}={HOME}/github/ORG/deploy"
            ))
            .args(["--secret", "GITHUB_TOKEN"]);
        for (name, value) in &self.secrets {
            command.args(["--secret", name]).env(name, value);
        }
        let path = format!("{HOME}/bin:{HOME}/toolchain/bin:/usr/local/bin:/usr/bin:/bin");
        let jobs = [
            ("CHECKOUTS", format!("{HOME}/github")),
            ("ORIGIN", format!("{HOME}/origin")),
            ("ARTIFACTS", format!("{HOME}/artifacts")),
            ("GITHUB_API_URL", self.github.url.clone()),
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
    pub fn pushed(&self) -> Vec<String> {
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
pub struct Acted {
    ran: Ran,
    /// Each job that started, and how it ended.
    jobs: BTreeMap<String, String>,
    /// What the steps printed, and what act said of it.
    pub told: String,
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
        // A caller's job is all of those that it calls.
        for caller in ["shop", "build", "staging", "production", "back"] {
            jobs.remove(caller);
        }
        Self { ran, jobs, told }
    }

    #[track_caller]
    pub fn jobs(&self, expected: &[(&str, &str)]) -> &Self {
        let expected: BTreeMap<String, String> = expected
            .iter()
            .map(|(job, result)| ((*job).to_owned(), (*result).to_owned()))
            .collect();
        assert_eq!(self.jobs, expected, "{}\n{}", self.told, self.ran.stderr);
        self
    }

    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
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
