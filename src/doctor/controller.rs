//! The controller that an app's signals go to, instead of helm and the cluster.
//! It is connected to, or looked for in `PATH`; nothing is sent.

use std::io;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};

use super::Finding;
use crate::forward::command;
use crate::plan::Plan;
use crate::plan::forward::{Forward, ForwardTarget};

/// How long connecting can take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether it is there.
pub(super) async fn look(plan: &Plan, forward: &Forward) -> Finding {
    let target = &forward.target;
    let reached = match target {
        ForwardTarget::Unix(path) => connected(UnixStream::connect(path)).await,
        ForwardTarget::Http(endpoint) => {
            connected(TcpStream::connect((endpoint.host.as_str(), endpoint.port))).await
        }
        ForwardTarget::Command { program, .. } => command::found(program, &plan.environment)
            .map(|_| ())
            .ok_or_else(|| "no such program".to_owned()),
    };
    match reached {
        Ok(()) => Finding::ok("controller", format!("{target} is there")),
        Err(why) => Finding::fail("controller", format!("{target}: {why}"))
            .fix("start or install it, or see forward in deploy.toml"),
    }
}

async fn connected<T>(connecting: impl Future<Output = io::Result<T>>) -> Result<(), String> {
    match tokio::time::timeout(PATIENCE, connecting).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}
