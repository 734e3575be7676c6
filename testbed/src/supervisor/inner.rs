//! The supervisor: process 1 of the namespaces. It furnishes them, boots the cluster, and keeps
//! it until it shall end.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
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
use super::janitor::{Orders, last_logs};
use super::namespaces::{self, HostCgroups};
use super::{Told, handover};
use crate::client::Info;
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
    files: [std::os::fd::OwnedFd; handover::FILES],
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
    files: [std::os::fd::OwnedFd; handover::FILES],
) -> Result<End> {
    let [apiserver, proxy, control, _alive] = files;
    let apiserver = std::net::TcpListener::from(apiserver);
    let proxy = std::net::TcpListener::from(proxy);
    let control = std::os::unix::net::UnixListener::from(control);
    let (apiserver_address, proxy_address) = (apiserver.local_addr()?, proxy.local_addr()?);
    apiserver.set_nonblocking(true)?;
    proxy.set_nonblocking(true)?;
    control.set_nonblocking(true)?;

    let settings = &instance.settings;
    let cluster = prepare(settings)?;
    let (children, mut ended) = Children::new(cluster.clone());
    let children = Arc::new(children);
    let mut tasks = JoinSet::new();
    let reaper = Arc::clone(&children);
    tasks.spawn(async move { reaper.reap().await });
    tasks.spawn(forward(
        TcpListener::from_std(apiserver)?,
        cluster::APISERVER,
    ));
    let listeners = vec![
        TcpListener::from_std(proxy)?,
        TcpListener::bind(cluster::PROXY).await?,
    ];
    let config = ghcr::Config {
        cert_pem: fs::read_to_string(cluster.pki.cert("ghcr"))?,
        key_pem: fs::read_to_string(cluster.pki.key("ghcr"))?,
        registry: cluster::REGISTRY,
    };
    tasks.spawn(ghcr::serve(listeners, config));

    let logs = last_logs(&settings.cache);
    tokio::select! {
        booted = boot::boot(&cluster, &children) => booted,
        ended = unexpected(&children, &mut ended, &mut tasks) => Err(ended),
    }
    .with_context(|| {
        format!(
            "the cluster did not come up; its logs are in {}",
            logs.display()
        )
    })?;

    let info = publish(&cluster, settings, orders, apiserver_address, proxy_address)?;
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
            return anyhow::anyhow!("{name} ended with {ending}");
        }
        log(&format!("{name} ended with {ending}, and is started again"));
        tokio::time::sleep(PAUSE).await;
        // One that was started meanwhile needs nothing.
        let _ = children.start_again(&name);
    }
}

fn prepare(settings: &Settings) -> Result<Cluster> {
    let pki = settings.run.join("pki");
    fs::create_dir(&pki)?;
    let cluster = Cluster {
        run: settings.run.clone(),
        pki: Pki::create(&pki)?,
        artefacts: settings.artefacts.clone(),
    };
    cluster.write_files()?;
    Ok(cluster)
}

/// What the host's side needs to know.
fn publish(
    cluster: &Cluster,
    settings: &Settings,
    orders: &Orders,
    apiserver: SocketAddr,
    proxy: SocketAddr,
) -> Result<Info> {
    let kubeconfig = cluster.run.join("kubeconfig");
    cluster::config::write_private(&kubeconfig, &cluster.kubeconfig(apiserver, "admin")?)?;
    Ok(Info {
        kubeconfig,
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
