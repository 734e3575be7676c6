//! What tests and people hold a testbed with. Starts one where none is there.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::build::{self, Cache};
use crate::image::AppBinaries;
use crate::program;
use crate::progress::Progress;
use crate::supervisor::{Ask, Instance, JANITOR, Reply, Status, Told, sweep};

/// Where everything is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Info {
    /// The kubeconfig of the cluster's administrator. It holds its keys and leads to a port of
    /// the host's loopback.
    pub kubeconfig: PathBuf,
    /// The testbed's certificate authority, PEM.
    pub ca: PathBuf,
    /// `http://127.0.0.1:PORT`: a proxy whose CONNECT leads to ghcr.io:443 and nowhere else. The
    /// same port takes plain HTTP requests that steer the front behind it.
    pub proxy: String,
    /// The program of Helm 3.
    pub helm3: PathBuf,
    /// The program of Helm 4.
    pub helm4: PathBuf,
    /// kubectl.
    pub kubectl: PathBuf,
    /// The programs that images of the test application are made of.
    pub app: AppBinaries,
    /// Argo CD and the clusters that it knows, where it has them.
    #[serde(default)]
    pub fleet: Option<FleetInfo>,
    /// The run folder; `logs/` in it has a log for each program.
    pub run: PathBuf,
    /// The cache folder.
    pub cache: PathBuf,
    /// The supervisor's process id on the host.
    pub supervisor_pid: u32,
}

/// What a testbed of more than one cluster has beside the rest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FleetInfo {
    /// Its clusters. The first is the one that every testbed has, with Argo CD's objects.
    pub clusters: Vec<Member>,
    /// Argo CD's own command line.
    pub argocd: PathBuf,
}

/// One of several clusters.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Member {
    /// What Argo CD calls it.
    pub name: String,
    /// The kubeconfig of its administrator, as [`Info::kubeconfig`].
    pub kubeconfig: PathBuf,
}

impl Info {
    /// The variables with which a program finds the cluster and ghcr.io.
    pub fn variables(&self) -> [(&'static str, OsString); 4] {
        [
            ("KUBECONFIG", self.kubeconfig.clone().into()),
            ("HTTPS_PROXY", self.proxy.clone().into()),
            ("NO_PROXY", "127.0.0.1,localhost".into()),
            ("SSL_CERT_FILE", self.ca.clone().into()),
        ]
    }
}

/// Which testbed, and how it shall be.
#[derive(Debug, Clone)]
pub struct Options {
    /// Testbeds of different names are different ones.
    pub name: String,
    /// How long it stays when nobody uses it, in seconds.
    pub idle_seconds: u64,
    /// Whether it shall have two clusters more, and Argo CD in the first.
    pub fleet: bool,
}

impl Options {
    /// The testbed of more than one cluster that this user's processes share. It goes soon: it
    /// has three control planes.
    pub fn fleet() -> Self {
        Self {
            name: "fleet".to_owned(),
            idle_seconds: 5,
            fleet: true,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "shared".to_owned(),
            idle_seconds: 60,
            fleet: false,
        }
    }
}

/// A testbed that stays up at least as long as this value lives.
#[derive(Debug)]
pub struct Testbed {
    /// Where everything is.
    pub info: Info,
    _connection: UnixStream,
}

impl Testbed {
    /// Joins the testbed that this user's processes share, or starts it. Blocks until it is
    /// ready: some ten seconds, and some ten minutes the first time, when its programs are
    /// built. Says on stderr what it waits for.
    pub fn join_or_start() -> Result<Self> {
        Self::join_or_start_with(&Options::default())
    }

    /// As [`Testbed::join_or_start`], with options. They count for a testbed that is started.
    pub fn join_or_start_with(options: &Options) -> Result<Self> {
        let progress = Progress::stderr();
        require_root()?;
        let cache = Cache::open()?;
        let program = program::find()?;
        let key = program::key(&program, &options.name)?;
        let _lock = cache.lock(
            &format!("start-{}", options.name),
            "starting the testbed",
            progress,
        )?;
        if let Some(testbed) = join(&cache, &key)? {
            return Ok(testbed);
        }
        let mut artefacts = build::all(&cache, progress)?;
        if options.fleet {
            artefacts.fleet = Some(build::fleet(&cache, progress)?);
        }
        sweep(&cache, progress)?;
        let (instance, alive) = Instance::create(&cache, &key, artefacts, options.idle_seconds)?;
        progress.during("starting the cluster", || start(&instance, alive, &program))?;
        hold(&instance)?.context("the testbed came up and was gone at once")
    }

    /// Asks the supervisor for something. An error says why it was not done.
    pub fn ask(&self, ask: &Ask) -> Result<Status> {
        request(&self.info.run.join("control.sock"), ask).map(|(status, _)| status)
    }
}

/// Every testbed of this cache that lives.
pub fn status(cache: &Cache) -> Result<Vec<Status>> {
    let living = living(cache)?;
    // One that does not answer is at its end.
    let answers = living
        .iter()
        .filter_map(|instance| request(&instance.socket(), &Ask::Status).ok());
    Ok(answers.map(|(status, _)| status).collect())
}

/// Takes down every testbed of this cache, waits until they are gone, and sweeps what others
/// left. Gives their number.
pub fn down(cache: &Cache) -> Result<usize> {
    let living = living(cache)?;
    for instance in &living {
        // One that does not answer is at its end already.
        let _ = request(&instance.socket(), &Ask::Down);
        instance.wait_until_gone()?;
    }
    sweep(cache, Progress::stderr())?;
    Ok(living.len())
}

fn living(cache: &Cache) -> Result<Vec<Instance>> {
    let mut all = Instance::all(cache)?;
    all.retain(Instance::lives);
    Ok(all)
}

fn join(cache: &Cache, key: &str) -> Result<Option<Testbed>> {
    for instance in living(cache)? {
        if instance.settings.key != key {
            continue;
        }
        if let Some(testbed) = hold(&instance)? {
            return Ok(Some(testbed));
        }
    }
    Ok(None)
}

/// Nothing, when the testbed went down meanwhile; then it is gone on return.
fn hold(instance: &Instance) -> Result<Option<Testbed>> {
    if let Ok((status, connection)) = request(&instance.socket(), &Ask::Hold) {
        let info = status.info;
        return Ok(Some(Testbed {
            info,
            _connection: connection,
        }));
    }
    instance.wait_until_gone()?;
    Ok(None)
}

/// A testbed that is still starting answers when it is ready.
const LONGEST_BOOT: Duration = Duration::from_secs(180);

fn request(socket: &Path, ask: &Ask) -> Result<(Status, UnixStream)> {
    let connection = UnixStream::connect(socket)?;
    connection.set_read_timeout(Some(LONGEST_BOOT))?;
    writeln!(&connection, "{}", serde_json::to_string(ask)?)?;
    let mut line = String::new();
    BufReader::new(&connection).read_line(&mut line)?;
    let reply: Reply = serde_json::from_str(&line).context("the testbed gave no answer")?;
    Ok((reply.map_err(anyhow::Error::msg)?, connection))
}

/// Starts the janitor, in a session of its own: it outlives whoever starts it. Waits until the
/// cluster is ready.
fn start(instance: &Instance, alive: std::fs::File, program: &Path) -> Result<()> {
    let mut setsid = Command::new("setsid")
        .arg("--fork")
        .arg(program)
        .arg(JANITOR)
        .arg(instance.dir())
        .stdin(alive)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("`setsid` cannot be run; it is in the package util-linux")?;
    let output = setsid.stdout.take().context("the janitor has no output")?;
    setsid.wait()?;
    for line in BufReader::new(output).lines() {
        match serde_json::from_str(&line?)? {
            Told::Ready(_) => return Ok(()),
            Told::Failed(why) => bail!(why),
            Told::Entered => {}
        }
    }
    bail!("the testbed ended while it was starting, and said nothing");
}

/// Namespaces, mounts and cgroups are root's.
fn require_root() -> Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    bail!(
        "the testbed must be started by root: it makes namespaces, mounts and cgroups. Run it with sudo"
    )
}
