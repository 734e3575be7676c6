//! The supervisor's socket: one line of JSON asks, one answers. A connection that holds the
//! testbed keeps it up until it closes.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

use super::children::Children;
use crate::client::Info;

/// What may be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Keep the testbed up while this connection is open.
    Hold,
    /// How it is.
    Status,
    /// Keep it up until it is told to go down.
    Pin,
    /// Take it down.
    Down,
    /// Halt one of its programs in its tracks: it is there, and does not answer.
    Freeze(String),
    /// Let a halted program go on.
    Thaw(String),
    /// Kill one of its programs.
    Stop(String),
    /// Start a killed program again. It is not waited for.
    Start(String),
}

/// The answer: how the testbed is, once it was done, or why it was not done.
pub type Reply = Result<Status, String>;

/// How a testbed is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// Where everything is.
    pub info: Info,
    /// Whether it stays up with nobody using it.
    pub pinned: bool,
    /// How many hold it.
    pub holders: usize,
}

/// Who uses the testbed, and whether it shall end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Use {
    holders: usize,
    pinned: bool,
    down: bool,
}

/// The shared state of all connections.
#[derive(Debug)]
pub(super) struct Control {
    info: Info,
    children: Arc<Children>,
    state: watch::Sender<Use>,
}

impl Control {
    /// Nobody uses it yet.
    pub(super) fn new(info: Info, children: Arc<Children>) -> Arc<Self> {
        let state = watch::Sender::new(Use::default());
        Arc::new(Self {
            info,
            children,
            state,
        })
    }

    /// Answers on the socket. Never returns.
    pub(super) async fn serve(self: Arc<Self>, listener: UnixListener) -> anyhow::Result<()> {
        loop {
            let (connection, _) = listener.accept().await?;
            let control = Arc::clone(&self);
            tokio::spawn(async move {
                // A connection that breaks off has asked for nothing.
                let _ = control.answer(connection).await;
            });
        }
    }

    async fn answer(&self, mut connection: UnixStream) -> anyhow::Result<()> {
        let (reader, mut writer) = connection.split();
        let mut reader = BufReader::new(reader.take(64 * 1024));
        let mut line = String::new();
        reader.read_line(&mut line).await?;
        let ask: Ask = match serde_json::from_str(&line) {
            Ok(ask) => ask,
            Err(error) => {
                let refused = Reply::Err(format!("not a request of this testbed: {error}"));
                return Ok(writer.write_all(&json_line(&refused)?).await?);
            }
        };
        let reply = self.reply(&ask).await;
        let _held = (ask == Ask::Hold).then(|| Held::new(&self.state));
        writer.write_all(&json_line(&reply)?).await?;
        match ask {
            Ask::Hold => {
                // Nothing more is said: what is waited for is the end.
                let mut rest = Vec::new();
                reader.read_to_end(&mut rest).await?;
            }
            Ask::Down => self.state.send_modify(|state| state.down = true),
            _ => {}
        }
        Ok(())
    }

    async fn reply(&self, ask: &Ask) -> Reply {
        let done = match ask {
            Ask::Freeze(name) => self.children.signal(name, Signal::STOP),
            Ask::Thaw(name) => self.children.signal(name, Signal::CONT),
            Ask::Stop(name) => self.children.stop(name).await,
            Ask::Start(name) => self.children.start_again(name),
            Ask::Pin => {
                self.state.send_modify(|state| state.pinned = true);
                Ok(())
            }
            Ask::Hold | Ask::Status | Ask::Down => Ok(()),
        };
        done.map_err(|error| format!("{error:#}"))?;
        let Use {
            pinned, holders, ..
        } = *self.state.borrow();
        Ok(Status {
            info: self.info.clone(),
            pinned,
            holders,
        })
    }

    /// Waits until the testbed shall end: it was told to, or nobody has used it for `idle`.
    pub(super) async fn end(&self, idle: Duration) -> &'static str {
        let mut state_changes = self.state.subscribe();
        loop {
            let state = *state_changes.borrow_and_update();
            if state.down {
                return "it was told to go down";
            }
            let unused = state.holders == 0 && !state.pinned;
            tokio::select! {
                () = tokio::time::sleep(idle), if unused => return "nobody uses it",
                told = state_changes.changed() => {
                    if told.is_err() {
                        return "nobody can use it any more";
                    }
                }
            }
        }
    }
}

/// One that holds the testbed, counted until it is dropped.
struct Held<'a>(&'a watch::Sender<Use>);

impl<'a> Held<'a> {
    fn new(state: &'a watch::Sender<Use>) -> Self {
        state.send_modify(|state| state.holders += 1);
        Self(state)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|state| state.holders -= 1);
    }
}

fn json_line(reply: &Reply) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    Ok(line)
}
