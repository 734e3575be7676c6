//! Case F1: what was not sent before the deadline is not sent after it.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

use super::answer::DeployIdentity;
use super::{ForwardCall, send};
use crate::error::{Error, Kind};
use crate::event::Events;
use crate::plan::forward::Forward;
use crate::process::Cancel;

/// Sends a signal there, with so much time left.
async fn sent(target: &str, left: Duration) -> Error {
    let (cancel, _trigger) = Cancel::manual();
    let events = Events::default();
    let forward = Forward {
        target: target.parse().unwrap(),
        token: None,
    };
    let call = ForwardCall {
        forward: &forward,
        document: "{}".to_owned(),
        deploy: DeployIdentity {
            id: "1".to_owned(),
            app: "shop".to_owned(),
            chart_version: "1.0.0".to_owned(),
        },
        budget: Duration::from_secs(90),
        deadline: Instant::now() + left,
        environment: &BTreeMap::new(),
        events: &events,
        cancel: &cancel,
    };
    send(&call).await.unwrap_err()
}

fn is_told(error: &Error) {
    assert_eq!(error.kind(), Kind::Node);
    let said = error.to_string();
    assert!(
        said.ends_with("was not reached within 1m30s, the timeout"),
        "{said}"
    );
    assert_eq!(error.hints()[0], "nothing was sent");
}

#[tokio::test]
async fn nobody_connects_after_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}", listener.local_addr().unwrap());
    is_told(&sent(&target, Duration::ZERO).await);
    let connected = timeout(Duration::from_millis(20), listener.accept()).await;
    assert!(connected.is_err(), "{connected:?}");
}

/// The connection is not ready before the deadline, and would be after it.
#[tokio::test]
async fn a_connection_that_comes_too_late_carries_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("https://{}", listener.local_addr().unwrap());
    let begun = Instant::now();
    let (error, near) = tokio::join!(sent(&target, Duration::from_millis(50)), listener.accept());
    is_told(&error);
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    let (mut near, _): (TcpStream, _) = near.unwrap();
    let mut read = Vec::new();
    near.read_to_end(&mut read).await.unwrap();
    // A handshake of TLS, and the end.
    assert_eq!(read.first(), Some(&0x16), "{read:?}");
}
