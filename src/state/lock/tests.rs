#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::{Lock, LockWait, acquire};
use crate::error::{Error, Kind};
use crate::plan::ReleaseId;
use crate::run::{HelmSpan, LockHolder, RunId, Who, started};

const LONG: Duration = Duration::from_secs(60);

fn holder(user: &str) -> LockHolder {
    let since = "2026-11-24T17:51:06Z".parse().unwrap();
    let pid = std::process::id();
    LockHolder {
        pid,
        started: started(pid).unwrap(),
        user: user.into(),
        run: RunId::new(since),
        url: Some("https://github.com/acme/shop/actions/runs/42".into()),
        since,
        helm_began: None,
        helm_ended: None,
    }
}

async fn take(state: &Path, user: &str, wait: Duration) -> Result<Lock, Error> {
    acquire(
        state,
        &ReleaseId::new("prod", "shop"),
        &holder(user),
        wait,
        |_| {},
    )
    .await
}

/// Takes the lock in a task; `waits` is told when it waits, with what it knows.
fn queue_up(
    state: &Path,
    user: &'static str,
) -> (
    tokio::task::JoinHandle<Result<Lock, Error>>,
    mpsc::UnboundedReceiver<LockWait>,
) {
    let (sender, waits) = mpsc::unbounded_channel();
    let state = state.to_owned();
    let task = tokio::spawn(async move {
        acquire(
            &state,
            &ReleaseId::new("prod", "shop"),
            &holder(user),
            LONG,
            |waiting| {
                let _ = sender.send(waiting.clone());
            },
        )
        .await
    });
    (task, waits)
}

#[tokio::test]
async fn one_at_a_time_and_the_holder_is_told() {
    let state = tempfile::tempdir().unwrap();
    let lock = take(state.path(), "first", Duration::ZERO).await.unwrap();
    assert_eq!(lock.warning(), None);
    let error = take(state.path(), "second", Duration::ZERO)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Locked);
    assert!(
        error
            .to_string()
            .starts_with("another deploy of prod/shop holds its lock; lock_timeout is 0"),
        "{error}"
    );
    let evidence = error.evidence().join("\n");
    assert!(
        evidence.contains("by first (pid")
            && evidence.contains("since 2026-11-24 17:51:06Z, https://github.com/"),
        "{evidence}"
    );
    assert!(!evidence.contains("gone"), "{evidence}");
    let error = take(state.path(), "third", Duration::from_millis(30))
        .await
        .unwrap_err();
    assert!(error.to_string().ends_with("waited 30ms"), "{error}");
    // Another release, and one whose names only look alike, are free.
    for (namespace, release) in [("prod", "shop2"), ("prod2", "shop"), ("prod", "s.hop")] {
        acquire(
            state.path(),
            &ReleaseId::new(namespace, release),
            &holder("x"),
            Duration::ZERO,
            |_| {},
        )
        .await
        .unwrap();
    }
    drop(lock);
    take(state.path(), "fourth", LONG).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiters_are_served_in_the_order_they_came() {
    let state = tempfile::tempdir().unwrap();
    let lock = take(state.path(), "holder", Duration::ZERO).await.unwrap();
    let mut waiters = Vec::new();
    for user in ["a", "b", "c", "d"] {
        let (task, mut waits) = queue_up(state.path(), user);
        let told = waits.recv().await.unwrap();
        assert_eq!(told.holder.as_ref().unwrap().user, "holder");
        assert_eq!(told.ahead, waiters.len());
        waiters.push((user, task, waits));
    }
    // One gives up: those behind it move on when its turn comes.
    waiters[1].1.abort();
    drop(lock);
    for (user, task, _) in waiters {
        if user == "b" {
            assert!(task.await.unwrap_err().is_cancelled());
            continue;
        }
        let lock = tokio::time::timeout(LONG, task)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        let file = state.path().join("locks/prod.shop.lock");
        let written: LockHolder = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        assert_eq!(written.user, user);
        drop(lock);
    }
    let left = fs::read_dir(state.path().join("locks/prod.shop.queue"))
        .unwrap()
        .count();
    assert_eq!(left, 0, "tickets are removed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiter_that_gives_up_never_keeps_the_lock() {
    let state = tempfile::tempdir().unwrap();
    let lock = take(state.path(), "holder", Duration::ZERO).await.unwrap();
    for _ in 0..5 {
        let (task, mut waits) = queue_up(state.path(), "quitter");
        waits.recv().await.unwrap();
        task.abort();
    }
    drop(lock);
    take(state.path(), "next", LONG).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_exclude_each_other() {
    let state: Arc<PathBuf> = Arc::new(tempfile::tempdir().unwrap().keep());
    let inside = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..30)
        .map(|_| {
            let (state, inside) = (Arc::clone(&state), Arc::clone(&inside));
            tokio::spawn(async move {
                let lock = take(&state, "x", LONG).await.unwrap();
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                tokio::task::yield_now().await;
                inside.fetch_sub(1, Ordering::SeqCst);
                drop(lock);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    fs::remove_dir_all(&*state).unwrap();
}

/// A child that holds the lock's descriptor as helm does: its standard input.
fn heir(lock: &Lock) -> Child {
    let inherited = lock.as_fd().try_clone_to_owned().unwrap();
    Command::new("sh")
        .args(["-c", "echo ready; exec tail -f /dev/null"])
        .stdin(Stdio::from(inherited))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_inherits_it_holds_it() {
    let state = tempfile::tempdir().unwrap();
    let lock = take(state.path(), "parent", Duration::ZERO).await.unwrap();
    let mut child = heir(&lock);
    drop(lock);
    let error = take(state.path(), "next", Duration::ZERO)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Locked);
    let (task, mut waits) = queue_up(state.path(), "next");
    waits.recv().await.unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    tokio::time::timeout(LONG, task)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_holder_that_is_gone_is_said_to_be() {
    let state = tempfile::tempdir().unwrap();
    let mut me = holder("ghost");
    me.started += 1;
    let _lock = acquire(
        state.path(),
        &ReleaseId::new("prod", "shop"),
        &me,
        Duration::ZERO,
        |_| {},
    )
    .await
    .unwrap();
    let error = take(state.path(), "next", Duration::ZERO)
        .await
        .unwrap_err();
    assert!(
        error.evidence()[1].contains("that process is gone; a helm that it started still runs"),
        "{:?}",
        error.evidence()
    );
}

#[tokio::test]
async fn the_runtime_ends_though_somebody_waits() {
    let state = tempfile::tempdir().unwrap();
    let _lock = take(state.path(), "holder", Duration::ZERO).await.unwrap();
    let path = state.path().to_owned();
    let (ended, end) = oneshot::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let refused = runtime.block_on(take(&path, "waiter", Duration::from_millis(20)));
        drop(runtime);
        let _ = ended.send(refused.is_err());
    });
    assert!(tokio::time::timeout(LONG, end).await.unwrap().unwrap());
}

#[tokio::test]
async fn without_a_file_the_directory_is_locked() {
    let state = tempfile::tempdir().unwrap();
    // What stands in the way of the directory of locks stands for a disk that
    // takes no new file.
    fs::write(state.path().join("locks"), "").unwrap();
    let lock = take(state.path(), "first", Duration::ZERO).await.unwrap();
    assert!(
        lock.warning()
            .unwrap()
            .contains("deploys of all releases wait for each other")
    );
    assert_eq!(
        take(state.path(), "second", Duration::ZERO)
            .await
            .unwrap_err()
            .kind(),
        Kind::Locked
    );
    let nowhere = state.path().join("locks/below");
    let error = take(&nowhere, "x", Duration::ZERO).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Node);
    assert!(error.to_string().contains("cannot hold a lock"), "{error}");
}

/// Case E4: a file that another user holds shut excludes that user's deploys from
/// nothing, and the warning says so.
#[test]
fn the_warning_says_who_is_excluded() {
    use std::io::{Error, ErrorKind};
    let place = super::LockPaths::new(
        Path::new("/var/lib/deploy"),
        &(&ReleaseId::new("prod", "shop")).into(),
    );
    for (kind, said) in [
        (
            ErrorKind::PermissionDenied,
            "other users of this node are not excluded by it; as root: chown -R --reference=/var/lib/deploy /var/lib/deploy/locks",
        ),
        (
            ErrorKind::StorageFull,
            "deploys of all releases wait for each other",
        ),
        (
            ErrorKind::ReadOnlyFilesystem,
            "deploys of all releases wait for each other",
        ),
    ] {
        let warning = place.warning(&Error::from(kind));
        assert!(warning.contains(said), "{warning}");
    }
}

#[test]
fn what_was_written_by_others_is_read_with_care() {
    let state = tempfile::tempdir().unwrap();
    let place = super::LockPaths::new(state.path(), &(&ReleaseId::new("prod", "shop")).into());
    fs::create_dir(&place.directory).unwrap();
    for text in [
        &b""[..],
        b"{",
        b"null",
        b"\xff",
        b"{\"pid\":1}",
        &vec![b'['; 100_000],
    ] {
        fs::write(&place.file, text).unwrap();
        assert_eq!(place.holder(), None);
    }
    let mut hostile = holder("\u{1b}[2J\n::error::x");
    hostile.url = Some("\u{202e}x".into());
    let line = LockWait {
        holder: Some(hostile),
        ahead: 1,
    }
    .line();
    assert!(
        line.contains("\\x1b[2J\\n::error::x") && line.contains("\\u{202e}x"),
        "{line}"
    );
    assert!(line.ends_with("one other waits before this one"), "{line}");
    assert!(
        LockWait {
            holder: None,
            ahead: 0
        }
        .line()
        .contains("did not say who it is")
    );
}

#[tokio::test]
async fn what_a_killed_waiter_left_holds_nobody_up() {
    let state = tempfile::tempdir().unwrap();
    let who = Who {
        user: "runner".into(),
        ..Who::default()
    };
    let me = LockHolder::this_process(&holder("x").run, &who);
    assert_eq!(me.started, started(std::process::id()).unwrap());
    drop(take(state.path(), "first", Duration::ZERO).await.unwrap());
    let queue = state.path().join("locks/prod.shop.queue");
    for ticket in ["1", "7", "18446744073709551614", "no ticket"] {
        fs::write(queue.join(ticket), "").unwrap();
    }
    let lock = acquire(
        state.path(),
        &ReleaseId::new("prod", "shop"),
        &me,
        Duration::ZERO,
        |_| {},
    )
    .await;
    drop(lock.unwrap());
    assert_eq!(
        fs::read_dir(&queue).unwrap().count(),
        1,
        "tickets are removed, nothing else"
    );
}

#[tokio::test]
async fn when_a_helm_worked_is_handed_on_to_the_next_holder() {
    let state = tempfile::tempdir().unwrap();
    let first = take(state.path(), "a-user-with-a-long-name", LONG)
        .await
        .unwrap();
    assert_eq!(super::last_helm(first.as_fd()), None);
    let helm = HelmSpan::begin();
    super::note_helm(first.as_fd(), helm).unwrap();
    assert_eq!(super::last_helm(first.as_fd()), Some(helm));
    let helm = helm.end();
    super::note_helm(first.as_fd(), helm).unwrap();
    drop(first);
    for user in ["b", "somebody-else"] {
        let next = take(state.path(), user, LONG).await.unwrap();
        assert_eq!(super::last_helm(next.as_fd()), Some(helm));
    }
}
