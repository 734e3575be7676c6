//! Connections without end, from the runner's user.

use std::collections::VecDeque;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_res_gid, set_thread_res_uid};

use super::RUNNER;

/// Does something as the runner's user, as the kernel tells it of this thread.
pub fn as_runner<T>(does: impl FnOnce() -> T) -> T {
    let (user, group) = (Uid::from_raw(RUNNER), Gid::from_raw(RUNNER));
    set_thread_res_gid(group, group, group).unwrap();
    set_thread_res_uid(user, user, user).unwrap();
    does()
}

/// Connects again and again until it is told to stop; tells how often.
pub fn flood(how: &str, socket: &Path, stop: &AtomicBool) -> u32 {
    const HEAD: &[u8] = b"POST /v1/deploys HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n{";
    let mut all: VecDeque<UnixStream> = VecDeque::new();
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        if let Ok(mut stream) = UnixStream::connect(socket) {
            count += 1;
            stream.set_nonblocking(true).unwrap();
            let _ = match how {
                "half-open" => stream.write(HEAD),
                "slow" => stream.write(b"P"),
                _ => stream.write(&[HEAD, &vec![b' '; 150_000]].concat()),
            };
            all.push_back(stream);
        }
        if how == "slow" {
            for stream in &mut all {
                let _ = stream.write(b"O");
            }
        }
        if all.len() > 40 {
            all.pop_front();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    count
}
