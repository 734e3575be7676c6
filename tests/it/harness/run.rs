//! A signal sent through the script, and what became of it.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Node, RUNNER, SCRIPT, deploy_binary, through};

/// How long a scenario waits for a condition. Six scenarios share one small
/// cluster.
const PATIENCE: Duration = Duration::from_secs(120);

/// A signal in the making.
pub struct Signal<'a> {
    node: &'a Node,
    args: Vec<String>,
    images: serde_json::Map<String, serde_json::Value>,
    env: Vec<(String, String)>,
    user: u32,
    cwd: String,
    in_step: bool,
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
            in_step: false,
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
    pub fn by_root(mut self) -> Self {
        self.user = 0;
        self
    }

    /// Called by a step of a workflow: in Actions, with a shell in between that
    /// the runner signals in its stead.
    pub fn in_step(mut self) -> Self {
        self.in_step = true;
        let payload = "/home/github-runner/work/event.json";
        self.node.home.write("work/event.json", "{}", 0o644);
        let push = [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_EVENT_NAME", "push"),
            ("GITHUB_EVENT_PATH", payload),
            ("GITHUB_REF", "refs/heads/main"),
        ];
        push.into_iter()
            .fold(self, |signal, (key, value)| signal.env(key, value))
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
            in_step,
        } = self;
        if !images.is_empty() {
            args.push("--images".to_owned());
            args.push(serde_json::Value::Object(images).to_string());
        }
        let mut command =
            node.home
                .command(deploy_binary(), Some(node.helm.of(node.info())), user, &cwd);
        if in_step {
            // The second command keeps the shell from becoming the first.
            command.args(["bash", "-ec", "\"$@\"; true", "step"]);
        }
        let call = through::Call {
            node,
            user,
            cwd: &cwd,
            args: &args,
            env: &env,
            in_step,
        };
        let receiver = call.receiver();
        command.arg(SCRIPT).args(&args).envs(&node.env);
        match &receiver {
            Some(receiver) => {
                let own = |(name, _): &&(String, String)| !through::is_budget(name);
                command.envs(env.iter().filter(own).map(|(key, value)| (key, value)));
                through::bind(&mut command, receiver, &env);
            }
            None => drop(command.envs(env)),
        }
        Running {
            receiver,
            ..Running::spawn(command)
        }
    }
}

/// A deploy that runs.
pub struct Running {
    child: Child,
    begun: Instant,
    stdout: Stream,
    stderr: Stream,
    /// The receiver that its signal went to.
    receiver: Option<through::Receiver>,
}

/// What a deploy said on one stream so far.
struct Stream {
    said: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
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
            stdout: Stream::of(stdout),
            stderr: Stream::of(stderr),
            receiver: None,
        }
    }

    /// The pid of `deploy` itself, or of the shell that a step has in between; where a
    /// receiver began it, that is in the shell's place.
    pub fn pid(&self) -> u32 {
        let receiver = self.receiver.as_ref().map(through::Receiver::pid);
        receiver.unwrap_or_else(|| self.child.id())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits until it says this, on whichever stream.
    #[track_caller]
    pub fn until_says(&self, text: &str) {
        until(&format!("says {text:?}"), || {
            self.stdout.so_far().contains(text) || self.stderr.so_far().contains(text)
        });
    }

    /// Whether it ends within this time.
    pub fn ends_within(&mut self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        while self.child.try_wait().unwrap().is_none() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        true
    }

    /// Waits for the end, also of what it left behind.
    pub fn wait(mut self) -> Ran {
        let status = self.child.wait().unwrap();
        let stdout = self.stdout.whole();
        let took = self.begun.elapsed();
        if let Some(receiver) = self.receiver.take() {
            receiver.stop();
        }
        Ran {
            status,
            took,
            stdout,
            stderr: self.stderr.whole(),
        }
    }
}

impl Stream {
    fn of(mut from: impl std::io::Read + Send + 'static) -> Self {
        let said = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&said);
        let reader = std::thread::spawn(move || {
            let mut some = [0; 4096];
            loop {
                match from.read(&mut some).unwrap() {
                    0 => return,
                    length => into.lock().unwrap().extend_from_slice(&some[..length]),
                }
            }
        });
        Self { said, reader }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().unwrap()).into_owned()
    }

    fn whole(self) -> String {
        self.reader.join().unwrap();
        String::from_utf8_lossy(&self.said.lock().unwrap()).into_owned()
    }
}

/// Waits until something is so, which must not take long.
#[track_caller]
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
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

    /// All of it, for a failed assertion.
    pub fn told(&self) -> String {
        format!(
            "after {:?}, {}:\n{}\n{}",
            self.took, self.status, self.stderr, self.stdout
        )
    }
}
