//! The ends of containers' logs, bounded, and hooks' logs followed while they run:
//! helm may delete a hook's pod before anybody can ask for its log.
//!
//! Log lines are hostile and may hold secrets: they are escaped here, and whoever
//! prints them decides whether they may be seen.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{AsyncRead, AsyncReadExt as _};
use k8s_openapi::api::core::v1 as core;
use kube::api::LogParams;
use kube::{Api, Client};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::cache::ReleaseCache;
use super::model::State;
use super::workload_ref::NamespacedName;
use crate::text;

/// How much of one log is kept, in bytes.
const BYTES: usize = 64 * 1024;

/// How many lines of one log are kept.
pub(super) const LINES: usize = 30;

/// How many hook containers are followed.
const FOLLOWED: usize = 32;

/// How long one log may take to come.
const FETCH: Duration = Duration::from_secs(2);

/// What the kubelet writes in place of a log whose container it has removed
/// (`pkg/kubelet/kuberuntime/kuberuntime_container.go`), or whose file it has
/// (`pkg/kubelet/kuberuntime/logs/logs.go` of `k8s.io/cri-client`).
const GONE: [&str; 2] = [
    "unable to retrieve container logs for ",
    "failed to try resolving symlinks in path ",
];

/// The end of one container's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The pod.
    pub pod: NamespacedName,
    /// The container.
    pub container: String,
    /// Whether it is of the container's run before the last restart.
    pub previous: bool,
    /// The last lines, escaped.
    pub lines: Vec<String>,
}

/// One run of a container, from a start to its end.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct ContainerRun {
    pod: NamespacedName,
    pod_uid: String,
    container: String,
    restarts: u32,
}

/// The logs of hooks, followed while they run.
pub struct Logs {
    client: Client,
    tails: Arc<Mutex<BTreeMap<ContainerRun, VecDeque<u8>>>>,
    tasks: JoinSet<()>,
}

impl Logs {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            tails: Arc::default(),
            tasks: JoinSet::new(),
        }
    }

    /// Follows the containers of hooks' pods that have begun to run.
    pub(super) fn follow_hooks(&mut self, cache: &ReleaseCache) {
        for target in cache.targets().filter(|target| target.hook) {
            for pod in cache.pods_of(&target.id) {
                for container in pod
                    .containers
                    .iter()
                    .filter(|container| !matches!(container.state, State::Waiting { .. }))
                {
                    self.follow(ContainerRun {
                        pod: pod.key.clone(),
                        pod_uid: pod.uid.clone(),
                        container: container.name.clone(),
                        restarts: container.restarts,
                    });
                }
            }
        }
    }

    fn follow(&mut self, run: ContainerRun) {
        {
            let mut tails = self.tails.lock().unwrap_or_else(PoisonError::into_inner);
            if tails.contains_key(&run) || tails.len() >= FOLLOWED {
                return;
            }
            tails.insert(run.clone(), VecDeque::new());
        }
        let (pods, tails) = (
            Api::<core::Pod>::namespaced(self.client.clone(), &run.pod.namespace),
            Arc::clone(&self.tails),
        );
        self.tasks.spawn(async move {
            let params = LogParams {
                container: Some(run.container.clone()),
                follow: true,
                ..LogParams::default()
            };
            match pods.log_stream(&run.pod.name, &params).await {
                Ok(stream) => {
                    keep_end(stream, |bytes| {
                        if let Some(tail) = tails
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .get_mut(&run)
                        {
                            push(tail, bytes);
                        }
                    })
                    .await;
                }
                Err(error) => {
                    tracing::debug!(pod = %run.pod.name, %error, "a hook's log cannot be followed");
                }
            }
        });
    }

    /// What was kept of a pod's containers.
    pub(super) fn of(&self, pod: &NamespacedName) -> Vec<Log> {
        let tails = self.tails.lock().unwrap_or_else(PoisonError::into_inner);
        let latest: BTreeMap<&String, u32> = tails
            .keys()
            .filter(|run| run.pod == *pod)
            .map(|run| (&run.container, run.restarts))
            .collect();
        let of_pod = tails
            .iter()
            .filter(|(run, tail)| run.pod == *pod && !tail.is_empty());
        of_pod
            .map(|(run, tail)| Log {
                pod: pod.clone(),
                container: run.container.clone(),
                previous: latest
                    .get(&run.container)
                    .is_some_and(|last| *last > run.restarts),
                lines: lines(&tail.iter().copied().collect::<Vec<u8>>()),
            })
            .collect()
    }
}

/// Reads a stream to its end.
async fn keep_end(stream: impl AsyncRead, mut keep: impl FnMut(&[u8])) {
    let mut stream = std::pin::pin!(stream);
    let mut buffer = vec![0; 8 * 1024];
    while let Ok(count) = stream.read(&mut buffer).await {
        if count == 0 {
            break;
        }
        keep(&buffer[..count]);
    }
}

fn push(tail: &mut VecDeque<u8>, bytes: &[u8]) {
    tail.extend(bytes);
    let over = tail.len().saturating_sub(BYTES);
    tail.drain(..over);
}

fn lines(bytes: &[u8]) -> Vec<String> {
    text::tail(&String::from_utf8_lossy(bytes), LINES)
}

/// The end of a container's log as it is now; none where there is none.
pub(super) async fn fetch(
    client: &Client,
    pod: &NamespacedName,
    container: &str,
    previous: bool,
) -> Option<Log> {
    let pods = Api::<core::Pod>::namespaced(client.clone(), &pod.namespace);
    let params = LogParams {
        container: Some(container.to_owned()),
        previous,
        tail_lines: i64::try_from(LINES).ok(),
        ..LogParams::default()
    };
    let mut tail = VecDeque::new();
    let reading = async {
        match pods.log_stream(&pod.name, &params).await {
            Ok(stream) => keep_end(stream, |bytes| push(&mut tail, bytes)).await,
            Err(error) => tracing::debug!(pod = %pod.name, %error, "no log"),
        }
    };
    // What has come until then is evidence, too.
    let _ = timeout(FETCH, reading).await;
    let mut lines = lines(tail.make_contiguous());
    lines.retain(|line| !GONE.iter().any(|gone| line.starts_with(gone)));
    (!lines.is_empty()).then(|| Log {
        pod: pod.clone(),
        container: container.to_owned(),
        previous,
        lines,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::{BYTES, LINES, lines, push};

    #[test]
    fn the_end_of_a_log_is_kept_and_escaped() {
        let mut tail = VecDeque::new();
        for line in 0..100_000 {
            push(&mut tail, format!("line {line}\n").as_bytes());
        }
        push(&mut tail, b"::error::\x1b[31m\xff last\n");
        assert!(tail.len() <= BYTES);
        let kept = lines(tail.make_contiguous());
        assert_eq!(kept.len(), LINES);
        assert_eq!(kept[LINES - 1], "::error::\\x1b[31m\u{fffd} last");
    }
}
