//! The supervisor: process 1 of the namespaces. It furnishes them, boots the cluster, and keeps
//! it until it shall end.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;

use super::children::{self, Children, Ending};
use super::control::Control;
use super::instance::{Instance, Settings};
use super::janitor::{Orders, last_line, last_logs};
use super::namespaces::{self, HostCgroups};
use super::{Told, handover};
use crate::client::{FleetInfo, Info, Member};
use crate::cluster::{self, Cluster, boot};
use crate::ghcr;
use crate::pki::Pki;

/// How the supervisor came to its end.
enum End {
    /// The janitor is there and does the rest.
    Told(&'static str),
    /// The janitor is gone.
    Orphaned,
}

/// Runs until the testbed's end, and then ends the process. Standard input is the socket to the
/// janitor.
pub fn run() -> Result<()> {
    if std::process::id() != 1 {
        bail!(
            "this subcommand is for the testbed's own use: it runs as process 1 of fresh namespaces"
        );
    }
    let janitor = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    tell(&janitor, &Told::Entered)?;
    let files = handover::receive(&janitor)?;
    let mut line = String::new();
    // Byte by byte: nothing of the socket must be left in a buffer.
    BufReader::with_capacity(1, &janitor).read_line(&mut line)?;
    let orders: Orders =
        serde_json::from_str(&line).context("the janitor's orders make no sense")?;
    let instance = Instance::read(&orders.entry)?;

    let host = namespaces::furnish(&instance.settings);
    let result = host.and_then(|host| {
        let end = live(&instance, &orders, &janitor, files);
        children::end_all();
        if let Ok(End::Orphaned) = end {
            log("the janitor is gone: removing all");
            remove_all(&instance, &host)?;
        }
        end
    });
    match result {
        Ok(End::Told(why)) => log(why),
        Ok(End::Orphaned) => {}
        Err(error) => {
            log(&format!("{error:#}"));
            let _ = tell(&janitor, &Told::Failed(format!("{error:#}")));
        }
    }
    std::process::exit(0);
}

fn tell(mut janitor: &UnixStream, told: &Told) -> Result<()> {
    writeln!(janitor, "{}", serde_json::to_string(told)?)?;
    Ok(())
}

/// Standard error is the supervisor's log.
fn log(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The janitor's part, from inside.
fn remove_all(instance: &Instance, host: &HostCgroups) -> Result<()> {
    // What is a mount point cannot be removed, and those under the covered folders, such as the
    // pods' network namespaces, lie in the run folder.
    for folder in cluster::COVERED {
        namespaces::unmount_under(Path::new(folder))?;
    }
    namespaces::unmount_under(&instance.settings.run)?;
    instance.remove_with(&host.leave()?)
}

fn live(
    instance: &Instance,
    orders: &Orders,
    janitor: &UnixStream,
    files: Vec<OwnedFd>,
) -> Result<End> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let watched = janitor.try_clone()?;
    let (gone, orphaned) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // The janitor says nothing more: the end of the file is its end.
        let _ = (&watched).read(&mut [0]);
        let _ = gone.send(());
    });
    let end = runtime.block_on(async {
        tokio::select! {
            end = serve(instance, orders, janitor, files) => end,
            _ = orphaned => Ok(End::Orphaned),
        }
    });
    runtime.shutdown_background();
    end
}

async fn serve(
    instance: &Instance,
    orders: &Orders,
    janitor: &UnixStream,
    files: Vec<OwnedFd>,
) -> Result<End> {
    let mut files = files.into_iter();
    let mut next = || files.next().context("the janitor handed too little over");
    // Held to the end: its lock says that the testbed lives.
    let _alive = next()?;
    let control = std::os::unix::net::UnixListener::from(next()?);
    control.set_nonblocking(true)?;
    let (proxy, proxy_address) = listener(next()?)?;

    let settings = &instance.settings;
    let clusters = prepare(settings)?;
    let cluster = clusters.first().context("a testbed has a cluster")?;
    let (children, mut ended) = Children::new(cluster.clone());
    let children = Arc::new(children);
    let mut tasks = JoinSet::new();
    let reaper = Arc::clone(&children);
    tasks.spawn(async move { reaper.reap().await });
    let mut apiservers = Vec::new();
    for cluster in &clusters {
        let (outside, address) = listener(next()?)?;
        apiservers.push(address);
        tasks.spawn(forward(outside, cluster.place.apiserver()));
    }
    let listeners = vec![proxy, TcpListener::bind(cluster::PROXY).await?];
    let config = ghcr::Config {
        cert_pem: fs::read_to_string(cluster.pki.cert("ghcr"))?,
        key_pem: fs::read_to_string(cluster.pki.key("ghcr"))?,
        registry: cluster::REGISTRY,
    };
    tasks.spawn(ghcr::serve(listeners, config));

    let logs = last_logs(&settings.cache);
    tokio::select! {
        booted = boot::boot(&clusters, &children) => booted,
        ended = unexpected(&children, &mut ended, &mut tasks) => Err(ended),
    }
    .with_context(|| {
        format!(
            "the cluster did not come up; its logs are in {}",
            logs.display()
        )
    })?;

    let info = publish(&clusters, settings, orders, &apiservers, proxy_address)?;
    let control_state = Control::new(info.clone(), Arc::clone(&children));
    tasks.spawn(Arc::clone(&control_state).serve(UnixListener::from_std(control)?));
    tell(janitor, &Told::Ready(Box::new(info)))?;
    tokio::select! {
        why = control_state.end(Duration::from_secs(settings.idle_seconds)) => Ok(End::Told(why)),
        signalled = terminated() => signalled,
        ended = unexpected(&children, &mut ended, &mut tasks) => {
            Err(ended.context(format!("the testbed went down; its logs are in {}", logs.display())))
        }
    }
}

/// Waits for SIGTERM. Process 1 does not die of it by itself.
async fn terminated() -> Result<End> {
    signal(SignalKind::terminate())?.recv().await;
    Ok(End::Told("it got SIGTERM"))
}

/// How long a program that returns stays away, so that it does not spin.
const PAUSE: Duration = Duration::from_millis(500);

/// Waits for what should not happen: a program or a task that ends.
async fn unexpected(
    children: &Children,
    ended: &mut UnboundedReceiver<(String, Ending)>,
    tasks: &mut JoinSet<Result<()>>,
) -> anyhow::Error {
    loop {
        let (name, ending) = tokio::select! {
            Some(ended) = ended.recv() => ended,
            Some(task) = tasks.join_next() => return match task {
                Ok(Ok(())) => anyhow::anyhow!("a part of the supervisor ended"),
                Ok(Err(error)) => error,
                Err(error) => error.into(),
            },
        };
        if !children.returns(&name) {
            let last = last_line(&children.log_of(&name));
            return anyhow::anyhow!("{name} ended with {ending}, and said last: {last}");
        }
        log(&format!("{name} ended with {ending}, and is started again"));
        tokio::time::sleep(PAUSE).await;
        // One that was started meanwhile needs nothing.
        let _ = children.start_again(&name);
    }
}

/// A listener that the janitor made, and its address.
fn listener(file: OwnedFd) -> Result<(TcpListener, SocketAddr)> {
    let listener = std::net::TcpListener::from(file);
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    Ok((TcpListener::from_std(listener)?, address))
}

/// The testbed's clusters, with all files that their programs read.
fn prepare(settings: &Settings) -> Result<Vec<Cluster>> {
    let mut clusters = Vec::new();
    for place in cluster::places(&settings.artefacts) {
        let run = place.folder(&settings.run);
        let pki = run.join("pki");
        fs::create_dir_all(&pki)?;
        let cluster = Cluster {
            place,
            pki: Pki::create(&pki)?,
            registry_authority: settings.run.join("pki/ca.crt"),
            artefacts: settings.artefacts.clone(),
            run,
        };
        cluster.write_files()?;
        clusters.push(cluster);
    }
    Ok(clusters)
}

/// What the host's side needs to know.
fn publish(
    clusters: &[Cluster],
    settings: &Settings,
    orders: &Orders,
    apiservers: &[SocketAddr],
    proxy: SocketAddr,
) -> Result<Info> {
    let cluster = clusters.first().context("a testbed has a cluster")?;
    let mut members = Vec::new();
    for (cluster, apiserver) in clusters.iter().zip(apiservers) {
        let kubeconfig = cluster.run.join("kubeconfig");
        cluster::config::write_private(&kubeconfig, &cluster.kubeconfig(*apiserver, "admin")?)?;
        members.push(Member {
            name: cluster.place.name().to_owned(),
            kubeconfig,
        });
    }
    Ok(Info {
        kubeconfig: cluster.run.join("kubeconfig"),
        fleet: settings.artefacts.fleet.as_ref().map(|fleet| FleetInfo {
            clusters: members,
            argocd: fleet.argocd.join("argocd"),
        }),
        ca: cluster.pki.cert("ca"),
        proxy: format!("http://{proxy}"),
        helm3: settings.artefacts.helm3.clone(),
        helm4: settings.artefacts.helm4.clone(),
        kubectl: settings.artefacts.kubectl(),
        app: settings.artefacts.app.clone(),
        run: cluster.run.clone(),
        cache: settings.cache.clone(),
        supervisor_pid: orders.supervisor_pid,
    })
}

/// Joins the host's side of the apiserver to the one inside.
async fn forward(listener: TcpListener, target: SocketAddr) -> Result<()> {
    loop {
        let (mut outside, _) = listener.accept().await?;
        tokio::spawn(async move {
            // Where the apiserver is away, the connection closes, as it would without us.
            if let Ok(mut inside) = TcpStream::connect(target).await {
                // Or small packets wait for one another, and figures tell of us.
                let _ = outside.set_nodelay(true);
                let _ = inside.set_nodelay(true);
                let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
            }
        });
    }
}
