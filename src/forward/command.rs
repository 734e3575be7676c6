//! Starts a program for a signal: the signal on its standard input, its
//! standard output passed on as progress, its exit status the result.
//!
//! It gets the environment that helm would get and nothing besides, ends with
//! `deploy`, and is always waited for. Everything it says is bounded.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal as Kill, kill_process, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::answer::{Answer, AnswerFormat};
use super::call::{ForwardCall, HURRY, LINGER, LastActivity, SETTLE, StopCause};
use super::verdict::{ForwardOutcome, ProgramExit};
use crate::error::{Error, Kind, Result};
use crate::process::{self, shim};
use crate::text;

/// The most that is kept of its standard error, in bytes: the end.
const WORDS: usize = 32 << 10;

/// How many lines of it are shown.
const LINES: usize = 20;

pub(super) async fn send(
    call: &ForwardCall<'_>,
    program: &Path,
    args: &[String],
) -> Result<ForwardOutcome> {
    let mut child = spawn(call, program, args)?;
    let gone = || Error::new(Kind::Internal, "a stream of the command is missing");
    let mut input = child.stdin.take().ok_or_else(gone)?;
    let stdout = child.stdout.take().ok_or_else(gone)?;
    let stderr = child.stderr.take().ok_or_else(gone)?;
    let document = format!("{}\n", call.document);
    // A program need not read it.
    let writing = tokio::spawn(async move {
        let _ = input.write_all(document.as_bytes()).await;
    });
    let words = tokio::spawn(end_of(stderr));
    let mut answer = Answer::new(call.deploy.clone(), AnswerFormat::Output);
    let heard = LastActivity::default();
    let (status, stop, ended) = follow(call, &mut child, stdout, &mut answer, &heard).await;
    writing.abort();
    let words = said(words).await;
    let status = status.map_err(|error| {
        Error::new(Kind::Internal, "the command's exit status is not known").with_source(error)
    })?;
    let who = call.who();
    let done = match (ended, answer.fault()) {
        (_, Some(fault)) => Err(who.fault(fault)),
        (false, None) => Err(who.unknown(
            "ended, but something that it started still holds its output: was all of it said?",
        )),
        (true, None) => match answer.end() {
            Ok(last) => who.exited(how(status), last, words),
            Err(fault) => Err(who.fault(&fault)),
        },
    };
    match stop {
        Some((stop, quiet)) => Err(call.stopped(stop, quiet, Some(done))),
        None => done,
    }
}

/// Why it was stopped, and how long it had been quiet then.
type StopRecord = Option<(StopCause, Option<std::time::Duration>)>;

/// Follows the program to its end and the end of its output. The last value is
/// whether the output ended too.
async fn follow(
    call: &ForwardCall<'_>,
    child: &mut Child,
    mut stdout: impl AsyncRead + Unpin,
    answer: &mut Answer,
    heard: &LastActivity,
) -> (std::io::Result<ExitStatus>, StopRecord, bool) {
    let pid = child
        .id()
        .and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    let mut stop: StopRecord = None;
    let mut told = false;
    let mut until = call.deadline;
    let mut status = None;
    let mut reading = pin!(read(call, &mut stdout, answer, heard));
    let mut ended = false;
    while status.is_none() || !ended {
        tokio::select! {
            biased;
            faulty = &mut reading, if !ended => {
                ended = true;
                if faulty && status.is_none() {
                    signal(pid, Kill::TERM);
                    (told, until) = (true, Instant::now() + SETTLE);
                }
            }
            exit = child.wait(), if status.is_none() => {
                status = Some(exit);
                until = Instant::now() + LINGER;
            }
            signal = call.cancel.cancelled(), if stop.is_none() && !told && status.is_none() => {
                stop = Some((StopCause::Cancelled(signal), heard.ago()));
                until = ask(pid, &mut told);
            }
            _ = call.cancel.hurried(), if told && until > Instant::now() + HURRY => {
                until = Instant::now() + HURRY;
            }
            () = sleep_until(until) => match (&status, told) {
                (Some(_), _) => break,
                (None, true) => {
                    group(pid);
                    until = Instant::now() + SETTLE;
                }
                (None, false) => {
                    stop = Some((StopCause::Late, heard.ago()));
                    until = ask(pid, &mut told);
                }
            }
        }
    }
    let gone = || Err(std::io::ErrorKind::NotFound.into());
    (status.unwrap_or_else(gone), stop, ended)
}

/// Reads the output to its end, or until it is wrong: then true.
async fn read(
    call: &ForwardCall<'_>,
    stdout: &mut (impl AsyncRead + Unpin),
    answer: &mut Answer,
    heard: &LastActivity,
) -> bool {
    let mut some = vec![0; 16 << 10];
    loop {
        match stdout.read(&mut some).await {
            Ok(0) | Err(_) => return false,
            Ok(length) => {
                heard.now();
                call.tell(answer.take(&some[..length]));
                if answer.fault().is_some() {
                    return true;
                }
            }
        }
    }
}

/// Tells the program to stop; says until when it may take.
fn ask(pid: Option<Pid>, told: &mut bool) -> Instant {
    signal(pid, Kill::TERM);
    *told = true;
    Instant::now() + SETTLE
}

/// Only to the program: it settles what it began.
fn signal(pid: Option<Pid>, kill: Kill) {
    if let Some(pid) = pid {
        let _ = kill_process(pid, kill);
    }
}

/// Ends the program and what it started.
fn group(pid: Option<Pid>) {
    if let Some(pid) = pid {
        let _ = kill_process_group(pid, Kill::KILL);
    }
}

fn how(status: ExitStatus) -> ProgramExit {
    status.code().map_or_else(
        || ProgramExit::Killed(status.signal().unwrap_or_default()),
        ProgramExit::Code,
    )
}

fn spawn(call: &ForwardCall<'_>, program: &Path, args: &[String]) -> Result<Child> {
    let found = locate(call, program)?;
    // Through the shim, so that it ends with `deploy`.
    Command::new("/proc/self/exe")
        .arg(shim::PROGRAM)
        .arg(std::process::id().to_string())
        .arg(found)
        .args(args)
        .env_clear()
        .envs(call.environment)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A terminal's Ctrl-C goes to its foreground group; `deploy` passes it on.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| {
            call.who()
                .error(Kind::Node, "cannot be started")
                .with_source(error)
        })
}

/// The program, as it stands or in the environment's `PATH`; none where it is
/// not there or not executable.
pub(crate) fn found(program: &Path, environment: &BTreeMap<OsString, OsString>) -> Option<PathBuf> {
    if program.is_absolute() {
        which::which_in(program, None::<&str>, "/").ok()
    } else {
        process::in_path(program.as_os_str(), environment)
    }
}

fn locate(call: &ForwardCall<'_>, program: &Path) -> Result<PathBuf> {
    found(program, call.environment).ok_or_else(|| {
        let place = if program.is_absolute() {
            "there"
        } else {
            "in PATH"
        };
        call.who()
            .error(
                Kind::Node,
                &format!("cannot be run: it is not {place}, or not executable"),
            )
            .hint("install it, or correct forward in deploy.toml")
            .outcome("nothing was sent")
    })
}

/// The end of what comes, as much as is kept.
async fn end_of(mut from: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut kept = VecDeque::new();
    let mut some = [0; 4096];
    while let Ok(length) = from.read(&mut some).await {
        if length == 0 {
            break;
        }
        kept.extend(&some[..length]);
        let over = kept.len().saturating_sub(WORDS);
        kept.drain(..over);
    }
    kept.into()
}

/// What it said on standard error, where that ends.
async fn said(mut words: JoinHandle<Vec<u8>>) -> Vec<String> {
    let Ok(Ok(words)) = timeout(HURRY, &mut words).await else {
        words.abort();
        return Vec::new();
    };
    text::tail(&String::from_utf8_lossy(&words), LINES)
}
