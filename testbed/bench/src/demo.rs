//! `demo`: a deploy as a workflow makes it, on a real cluster, told command by command.
//!
//! What it shows is what a person would type and see; nothing is acted. `deploy` gets an
//! environment of its own in which no configuration of this machine counts: it must never reach
//! another cluster than the testbed's.

mod fleet;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::program;
use testbed::build::{self, Cache};
use testbed::chart::Chart;
use testbed::client::{Info, Testbed};
use testbed::image::Spec;
use testbed::progress::Progress;
use testbed::push::Pusher;

const OWNER: &str = "acme";
const APP: &str = "shop";
/// The keys of a signal's images, which are the names of the shop's programs too.
const KEYS: [&str; 3] = ["api", "web", "worker"];
/// `deploy`'s exit codes: a request that breaks the contract, an image that is not there, and a
/// rollout that failed and was taken back.
const INVALID: i32 = 2;
const MISSING: i32 = 5;
const ROLLED_BACK: i32 = 7;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to show; the first deploys of a node where nothing is named
    what: Option<What>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum What {
    /// Argo CD deploys to three clusters, in waves
    Fleet,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let deploy = program::deploy(testbed::program::is_release()?, Progress::stderr())?;
    match args.what {
        Some(What::Fleet) => fleet::run(&deploy),
        None => node(&deploy),
    }
}

/// A node with Helm and a cluster of its own.
fn node(deploy: &Path) -> Result<()> {
    let testbed = Testbed::join_or_start()?;
    let registry = Registry::fill(&testbed.info)?;
    let node = Node::new(&testbed.info, deploy)?;

    tell(
        "A cluster and a registry run on this machine. The node's runner calls deploy through a link;\nhere ~ is a scratch folder.",
    );
    echo(&format!("ln -s {} ~/deploy.sh", deploy.display()), &[]);

    tell("A first deploy: the chart and three images, by tag. A migration runs before it.");
    node.signal(&registry.version, &registry.tags, 0)?;

    tell("The next commit was built: new images, by digest.");
    node.signal(&registry.version, &registry.digests, 0)?;

    tell(
        "A build whose web crashes as it starts: the cause is named, and the last good one serves again.",
    );
    node.signal(&registry.version, &registry.crashing, ROLLED_BACK)?;

    tell("A tag that was never pushed. The registry is asked before anything is touched.");
    node.signal(&registry.version, &registry.missing, MISSING)?;

    tell("A request that cannot be right. All that is wrong with it is told, and nothing is run.");
    node.signal(
        "latest",
        &format!(r#"{{"api":"ghcr.io/{OWNER}/{APP}/api","wroker":"x"}}"#),
        INVALID,
    )?;

    tell("What runs in the cluster now:");
    node.workloads()?;

    tell("The cluster goes a minute after this. To have one that stays, and try your own:");
    crate::print(
        "$ cargo testbed up\n\
         $ eval \"$(cargo testbed env)\"     # kubectl, helm and target/debug/deploy then use it\n\
         $ cargo testbed down",
    );
    Ok(())
}

/// What the hosted half of a workflow would have pushed.
struct Registry {
    /// The chart's version.
    version: String,
    /// The first build's images as a signal has them, by tag.
    tags: String,
    /// The second build's, by digest.
    digests: String,
    /// A third build's, whose web crashes.
    crashing: String,
    /// A build's that was never pushed.
    missing: String,
}

impl Registry {
    /// Compiles the example, and pushes its chart and two builds of its images.
    fn fill(info: &Info) -> Result<Self> {
        let pusher = Pusher::new(info)?;
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shop");
        let chart = Chart::from_folder(&example.join("chart"))?;
        pusher.chart(OWNER, &chart)?;
        let built = build::shop(&example, &Cache::open()?, Progress::stderr())?;
        let (mut tags, mut digests, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        for key in KEYS {
            let repository = format!("{OWNER}/{APP}/{key}");
            let binary = fs::read(built.path().join(key).join("bin").join(key))?;
            let push = |tag| pusher.program(&repository, tag, (key, &binary), tag);
            push("1.0.0")?;
            let digest = push("1.1.0")?;
            tags.push((key, format!("ghcr.io/{repository}:1.0.0")));
            digests.push((key, format!("ghcr.io/{repository}@{digest}")));
            missing.push((key, format!("ghcr.io/{repository}:1.2.0")));
        }
        let mut crashing = digests.clone();
        let web = format!("{OWNER}/{APP}/web");
        let digest = pusher.image(
            &web,
            "1.1.1",
            &Spec::behaving("print the shop is not configured;crash-after 1ms"),
        )?;
        crashing[1].1 = format!("ghcr.io/{web}@{digest}");
        Ok(Self {
            version: chart.version().to_owned(),
            tags: images(&tags),
            digests: images(&digests),
            crashing: images(&crashing),
            missing: images(&missing),
        })
    }
}

/// The JSON of `--images`. Keys and references are ours: nothing in them needs an escape.
fn images(all: &[(&str, String)]) -> String {
    let pairs: Vec<String> = all
        .iter()
        .map(|(key, image)| format!("\"{key}\":\"{image}\""))
        .collect();
    format!("{{{}}}", pairs.join(","))
}

/// A node as a runner's job sees it: a home with the link, and a way to the cluster.
struct Node<'a> {
    home: tempfile::TempDir,
    info: &'a Info,
}

impl<'a> Node<'a> {
    fn new(info: &'a Info, deploy: &Path) -> Result<Self> {
        let home = tempfile::Builder::new()
            .prefix("github-runner-")
            .tempdir()?;
        symlink(deploy, home.path().join("deploy.sh"))?;
        // In place of one in /etc: an empty file configures nothing.
        fs::write(home.path().join("deploy.toml"), "")?;
        Ok(Self { home, info })
    }

    /// Sends a signal, and holds its exit code against the one that must come.
    fn signal(&self, version: &str, images: &str, expected: i32) -> Result<()> {
        let chart = format!("oci://ghcr.io/{OWNER}/charts/{APP}");
        let flags = [
            ("--app", APP),
            ("--chart", &chart),
            ("--chart-version", version),
            ("--images", images),
        ];
        echo("~/deploy.sh", &flags);
        let mut deploy = self.command(&self.home.path().join("deploy.sh"));
        let status = deploy
            .args(flags.iter().flat_map(|(flag, value)| [flag, value]))
            .status()?;
        let code = status
            .code()
            .with_context(|| format!("deploy ended by {status}"))?;
        if code != 0 {
            crate::print(&format!("(exit code {code})"));
        }
        ensure!(
            code == expected,
            "deploy ended with exit code {code}, expected {expected}"
        );
        Ok(())
    }

    fn workloads(&self) -> Result<()> {
        let columns = "custom-columns=DEPLOYMENT:.metadata.name,READY:.status.readyReplicas,IMAGE:.spec.template.spec.containers[*].image";
        let arguments = [
            "get",
            "deployments",
            "--namespace",
            APP,
            "--output",
            columns,
        ];
        self.kubectl(&arguments)
    }

    /// A command of kubectl's, shown and run.
    fn kubectl(&self, arguments: &[&str]) -> Result<()> {
        echo(&format!("kubectl {}", arguments.join(" ")), &[]);
        let status = self.command(&self.info.kubectl).args(arguments).status()?;
        ensure!(status.success(), "kubectl ended by {status}");
        Ok(())
    }

    /// A program in the node's environment, and none of this process's but how to draw.
    fn command(&self, program: &Path) -> Command {
        let home = self.home.path();
        let folders = [&self.info.helm4, &self.info.kubectl].map(|program| program.parent());
        let mut path: Vec<&Path> = folders.into_iter().flatten().collect();
        path.extend(["/usr/local/bin", "/usr/bin", "/bin"].map(Path::new));
        let mut command = Command::new(program);
        command.env_clear().stdin(Stdio::null()).current_dir(home);
        command.env("PATH", std::env::join_paths(path).unwrap_or_default());
        command
            .env("HOME", home)
            .env("TMPDIR", std::env::temp_dir());
        command.envs(self.info.variables());
        command.env("DEPLOY_STATE_DIR", home.join("state"));
        command.env("DEPLOY_CONFIG", home.join("deploy.toml"));
        for name in [
            "TERM",
            "COLUMNS",
            "NO_COLOR",
            "CLICOLOR",
            "CLICOLOR_FORCE",
            "LANG",
        ] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }
}

/// What comes next, in words.
fn tell(text: &str) {
    let lines: Vec<String> = text.lines().map(|line| format!("# {line}")).collect();
    crate::print(&format!("\n{}", lines.join("\n")));
}

/// A command as a person would type it, a flag to a line.
fn echo(command: &str, flags: &[(&str, &str)]) {
    crate::print(&typed(command, flags));
}

fn typed(command: &str, flags: &[(&str, &str)]) -> String {
    let mut lines = vec![format!("$ {command}")];
    lines.extend(
        flags
            .iter()
            .map(|(flag, value)| format!("    {flag} {}", word(value))),
    );
    lines.join(" \\\n")
}

/// A value as one word of a shell: in single quotes where a shell would read more into it.
fn word(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@=+,".contains(&byte);
    if !value.is_empty() && value.bytes().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_typed() {
        assert_eq!(
            word("oci://ghcr.io/acme/charts/shop"),
            "oci://ghcr.io/acme/charts/shop"
        );
        assert_eq!(word(r#"{"api":"x"}"#), r#"'{"api":"x"}'"#);
        assert_eq!(word("it's"), r"'it'\''s'");
        assert_eq!(word(""), "''");
        assert_eq!(
            typed("~/deploy.sh", &[("--app", "shop"), ("--images", "{}")]),
            "$ ~/deploy.sh \\\n    --app shop \\\n    --images '{}'"
        );
    }

    #[test]
    fn images_are_json() {
        let text = images(&[
            ("api", "ghcr.io/acme/shop/api:1".to_owned()),
            ("web", "w".to_owned()),
        ]);
        assert_eq!(text, r#"{"api":"ghcr.io/acme/shop/api:1","web":"w"}"#);
        assert_eq!(images(&[]), "{}");
    }
}
