//! What a scenario is made of: a node of its own on the shared testbed, with
//! its own namespace, GHCR owner and runner's home.

mod bed;
mod home;
pub mod kinds;
mod pods;
pub mod process;
mod records;
mod registry;
pub mod relay;
mod run;
mod schema;
pub mod soak;
pub mod through;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};

use testbed::Testbed;
use testbed::client::Info;
use testbed::progress::Progress;
use testbed::supervisor::Ask;

pub use bed::Bed;
pub use home::{Home, RUNNER, SCRIPT};
pub use registry::{Image, PUSHER, asked_of, policy_of, push_chart, push_image};
pub use run::{Ran, Running, Signal, until};

/// The cluster and registry that all scenarios of this process share.
static BED: LazyLock<Testbed> = LazyLock::new(|| {
    assert!(
        rustix::process::geteuid().is_root(),
        "tests/it needs root: it boots a cluster in namespaces of its own"
    );
    Testbed::join_or_start().unwrap_or_else(|error| panic!("no testbed: {error:#}"))
});

/// The shared cluster and registry.
pub fn bed() -> &'static Testbed {
    &BED
}

/// The `deploy` under test.
static DEPLOY: LazyLock<PathBuf> = LazyLock::new(|| {
    testbed::program::deploy(Progress::stderr()).unwrap_or_else(|error| panic!("{error:#}"))
});

/// The `deploy` under test.
pub fn deploy_binary() -> &'static Path {
    &DEPLOY
}

/// The sources' root.
pub fn root() -> &'static Path {
    // These tests are the testbed's, whose folder lies in it.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Which Helm a scenario runs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Helm {
    V3,
    V4,
}

impl Helm {
    /// The binary that a testbed has.
    pub fn of(self, info: &Info) -> &Path {
        match self {
            Self::V3 => &info.helm3,
            Self::V4 => &info.helm4,
        }
    }

    /// The binary.
    pub fn path(self) -> &'static Path {
        self.of(&bed().info)
    }
}

/// Makes two tests of a scenario, one with Helm 3 and one with Helm 4.
macro_rules! on_both_helms {
    ($(#[doc = $doc:literal])* fn $name:ident($node:ident) $body:block) => {
        $(#[doc = $doc])*
        mod $name {
            #[allow(unused_imports, reason = "a body may need nothing from around it")]
            use super::*;

            fn scenario($node: $crate::harness::Node) $body

            #[test]
            fn helm3() {
                scenario($crate::harness::Node::new(stringify!($name), $crate::harness::Helm::V3));
            }

            #[test]
            fn helm4() {
                scenario($crate::harness::Node::new(stringify!($name), $crate::harness::Helm::V4));
            }
        }
    };
}
pub(crate) use on_both_helms;

/// A node: its name is the app, the namespace, the release and the GHCR owner.
pub struct Node {
    pub name: String,
    pub home: Home,
    pub helm: Helm,
    pub env: BTreeMap<String, String>,
    /// Its cluster and registry, where they are not those that all scenarios share.
    own: Option<Arc<Bed>>,
}

impl Node {
    /// A node that is ready: helm, kubeconfig, the way to ghcr.io.
    pub fn new(scenario: &str, helm: Helm) -> Self {
        Self::named(unique(scenario), helm, None)
    }

    /// As [`Node::new`], on another testbed.
    pub fn on(bed: Arc<Bed>, scenario: &str, helm: Helm) -> Self {
        Self::named(unique(scenario), helm, Some(bed))
    }

    /// Another home for the same app: another user of this machine.
    pub fn beside(&self) -> Self {
        Self::named(self.name.clone(), self.helm, self.own.clone())
    }

    /// Another machine for the same app.
    pub fn elsewhere(&self, host: &str) -> Self {
        let mut other = self.beside();
        other.env.insert("ANOTHER_HOST".to_owned(), host.to_owned());
        other
    }

    fn named(name: String, helm: Helm, own: Option<Arc<Bed>>) -> Self {
        let home = Home::new();
        let info = own
            .as_ref()
            .map_or_else(|| &bed().info, |own| &own.testbed.info);
        let kubeconfig = std::fs::read_to_string(&info.kubeconfig).unwrap();
        home.write(".kube/config", &kubeconfig, 0o600);
        home.write_etc(
            "ghcr-ca.pem",
            &std::fs::read_to_string(&info.ca).unwrap(),
            0o644,
        );
        let env = [
            ("HOME", "/home/github-runner"),
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("HTTPS_PROXY", &info.proxy),
            ("NO_PROXY", "127.0.0.1,localhost"),
            ("SSL_CERT_FILE", "/etc/ghcr-ca.pem"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        Self {
            name,
            home,
            helm,
            env,
            own,
        }
    }

    /// Where everything is.
    pub fn info(&self) -> &Info {
        self.own
            .as_ref()
            .map_or_else(|| &bed().info, |own| &own.testbed.info)
    }

    /// Asks the testbed of its own for something.
    pub fn ask(&self, ask: &Ask) {
        self.own.as_ref().unwrap().testbed.ask(ask).unwrap();
    }

    /// Runs a script of the shell's on the node, as the runner's user.
    pub fn shell(&self, script: &str) -> Ran {
        let cwd = "/home/github-runner";
        let mut command = self.home.command(
            deploy_binary(),
            Some(self.helm.of(self.info())),
            RUNNER,
            cwd,
        );
        command.args(["/bin/sh", "-euc", script]).envs(&self.env);
        Running::spawn(command).wait()
    }

    /// The scenario's namespace where it is there, else nothing.
    pub fn namespaces(&self) -> String {
        self.kubectl(&[
            "get",
            "namespace",
            &self.name,
            "--ignore-not-found",
            "-o",
            "name",
        ])
    }

    /// A signal for the example's chart.
    pub fn signal(&self, version: &str) -> Signal<'_> {
        Signal::new(self, "shop", version)
    }

    /// Runs a subcommand as the runner's user, by hand.
    pub fn subcommand(&self, args: &[&str]) -> Ran {
        let mut command = self
            .home
            .command(deploy_binary(), None, RUNNER, "/home/github-runner");
        command.arg(SCRIPT).args(args).envs(&self.env);
        run::Running::spawn(command).wait()
    }

    /// Begins a subcommand that runs helm, as this user, by hand.
    pub fn by_hand(&self, user: u32, args: &[&str]) -> Running {
        let helm = Some(self.helm.of(self.info()));
        let mut command = self
            .home
            .command(deploy_binary(), helm, user, "/home/github-runner");
        command.arg(SCRIPT).args(args).envs(&self.env);
        Running::spawn(command)
    }

    /// A signal for another chart of the owner's.
    pub fn chart_signal(&self, chart: &str, version: &str) -> Signal<'_> {
        Signal::new(self, chart, version)
    }

    /// What kubectl says in the scenario's namespace.
    pub fn kubectl(&self, args: &[&str]) -> String {
        let info = self.info();
        kubectl(info, &info.kubeconfig, &self.name, args)
    }

    /// Deletes what a scenario leaves, if it can: nothing is claimed of it.
    pub fn clear(&self, object: &str) {
        let _ = Command::new(&self.info().kubectl)
            .arg("--kubeconfig")
            .arg(&self.info().kubeconfig)
            .args(["--namespace", &self.name, "delete", object])
            .args(["--wait=false", "--ignore-not-found"])
            .output();
    }

    /// The journal's lines.
    pub fn journal(&self) -> Vec<serde_json::Value> {
        let path: PathBuf = self.home.inside(".local/state/deploy/journal.jsonl");
        std::fs::read_to_string(path)
            .unwrap_or_default()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// A name that no other scenario has.
fn unique(scenario: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let short: String = scenario.replace('_', "-").chars().take(20).collect();
    // A GitHub login has at most 39 characters.
    format!(
        "{}-{}-{count}",
        short.trim_end_matches('-'),
        std::process::id()
    )
}

/// What kubectl says in a namespace of the shared cluster.
pub fn kubectl_in(namespace: &str, args: &[&str]) -> String {
    let info = &bed().info;
    kubectl(info, &info.kubeconfig, namespace, args)
}

/// What kubectl says in a namespace of a cluster.
#[track_caller]
pub fn kubectl(info: &Info, kubeconfig: &Path, namespace: &str, args: &[&str]) -> String {
    let output = Command::new(&info.kubectl)
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .args(["--namespace", namespace])
        .args(args)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "kubectl {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

impl Drop for Node {
    fn drop(&mut self) {
        // The cluster ends with the run; this only keeps its one node small.
        self.clear(&format!("namespace/{}", self.name));
    }
}
