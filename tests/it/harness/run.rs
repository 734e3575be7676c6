//! A signal sent through the script, and what became of it.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Node, RUNNER, SCRIPT, deploy_binary};

/// A signal in the making.
pub struct Signal<'a> {
    node: &'a Node,
    args: Vec<String>,
    images: serde_json::Map<String, serde_json::Value>,
    env: Vec<(String, String)>,
    user: u32,
    cwd: String,
}

impl<'a> Signal<'a> {
    /// A signal for the node's own app and a chart of its owner.
    pub fn new(node: &'a Node, chart: &str, version: &str) -> Self {
        let args = [
            "--app",
            &node.name,
            "--chart",
            &format!("oci://ghcr.io/{}/charts/{chart}", node.name),
            "--chart-version",
            version,
        ];
        Self {
            node,
            args: args.map(str::to_owned).to_vec(),
            images: serde_json::Map::new(),
            env: Vec::new(),
            user: RUNNER,
            cwd: "/home/github-runner".to_owned(),
        }
    }

    /// With an image.
    pub fn image(mut self, key: &str, image: impl Into<String>) -> Self {
        self.images.insert(key.to_owned(), image.into().into());
        self
    }

    /// With a further argument.
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// With a variable of the workflow's.
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.env.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Called in another folder than the runner's home.
    pub fn within(mut self, cwd: &str) -> Self {
        cwd.clone_into(&mut self.cwd);
        self
    }

    /// Called by root.
    pub fn as_root(mut self) -> Self {
        self.user = 0;
        self
    }

    /// Sends it and waits for the end.
    pub fn run(self) -> Ran {
        self.start().wait()
    }

    /// Sends it.
    pub fn start(self) -> Running {
        let Self {
            node,
            mut args,
            images,
            env,
            user,
            cwd,
        } = self;
        if !images.is_empty() {
            args.push("--images".to_owned());
            args.push(serde_json::Value::Object(images).to_string());
        }
        let mut command = node
            .home
            .command(deploy_binary(), Some(node.helm.path()), user, &cwd);
        command.arg(SCRIPT).args(&args).envs(&node.env).envs(env);
        Running::spawn(command)
    }
}

/// A deploy that runs.
pub struct Running {
    child: Child,
    begun: Instant,
    stdout: JoinHandle<String>,
    stderr: JoinHandle<String>,
}

impl Running {
    /// Starts a command whose output is kept.
    pub fn spawn(mut command: Command) -> Self {
        let begun = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Self {
            child,
            begun,
            stdout: collect(stdout),
            stderr: collect(stderr),
        }
    }

    /// The pid of `deploy` itself.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for the end.
    pub fn wait(mut self) -> Ran {
        let status = self.child.wait().unwrap();
        Ran {
            status,
            took: self.begun.elapsed(),
            stdout: self.stdout.join().unwrap(),
            stderr: self.stderr.join().unwrap(),
        }
    }
}

fn collect(mut from: impl std::io::Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// How a deploy ended.
pub struct Ran {
    pub status: ExitStatus,
    pub took: Duration,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// It exits with this code.
    #[track_caller]
    pub fn exits(&self, code: i32) -> &Self {
        assert_eq!(self.status.code(), Some(code), "{}", self.told());
        self
    }

    /// It says this, on whichever stream.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        assert!(
            self.stdout.contains(text) || self.stderr.contains(text),
            "expected {text:?} in\n{}",
            self.told()
        );
        self
    }

    /// It never says this.
    #[track_caller]
    pub fn never_says(&self, text: &str) -> &Self {
        assert!(
            !self.stdout.contains(text) && !self.stderr.contains(text),
            "did not expect {text:?} in\n{}",
            self.told()
        );
        self
    }

    fn told(&self) -> String {
        format!(
            "after {:?}, {}:\n{}\n{}",
            self.took, self.status, self.stderr, self.stdout
        )
    }
}
