//! Tells people what takes its time. Must never carry results: those go through return values.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Where lines about progress go.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    sink: Sink,
}

#[derive(Debug, Clone, Copy)]
enum Sink {
    Silent,
    Stderr { terminal: bool },
}

impl Progress {
    /// Lines on stderr. They are written directly, so that libtest does not keep them back:
    /// whoever waits seven minutes for a build wants to know why.
    pub fn stderr() -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self {
            sink: Sink::Stderr { terminal },
        }
    }

    /// Says nothing.
    pub fn silent() -> Self {
        Self { sink: Sink::Silent }
    }

    /// One line.
    pub fn say(&self, text: &str) {
        if let Sink::Stderr { .. } = self.sink {
            write_stderr(&format!("testbed: {text}\n"));
        }
    }

    /// Runs `work`, and tells how long it has been at it: every second on a terminal, every
    /// 30 seconds elsewhere. Nothing is said of work that takes less than a second.
    pub fn during<T>(&self, what: &str, work: impl FnOnce() -> T) -> T {
        let Sink::Stderr { terminal } = self.sink else {
            return work();
        };
        let start = Instant::now();
        std::thread::scope(|scope| {
            let (done, wait) = mpsc::channel::<()>();
            scope.spawn(move || tick(what, terminal, start, &wait));
            let result = work();
            drop(done);
            result
        })
    }
}

fn tick(what: &str, terminal: bool, start: Instant, wait: &mpsc::Receiver<()>) {
    let every = Duration::from_secs(if terminal { 1 } else { 30 });
    let mut pause = Duration::from_secs(1);
    let mut said = false;
    while wait.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        let elapsed = elapsed(start.elapsed());
        let (back, end) = if terminal {
            ("\r\x1b[K", "")
        } else {
            ("", "\n")
        };
        write_stderr(&format!("{back}testbed: {what} … {elapsed}{end}"));
        said = true;
        pause = every;
    }
    if said {
        let elapsed = elapsed(start.elapsed());
        let back = if terminal { "\r\x1b[K" } else { "" };
        write_stderr(&format!("{back}testbed: {what}: {elapsed}\n"));
    }
}

/// A closed stderr is no reason to stop.
fn write_stderr(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes());
    let _ = stderr.flush();
}

/// `1m20s`, or `3.4s` below a minute.
fn elapsed(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 {
        format!("{:.1}s", time.as_secs_f64())
    } else {
        format!("{}m{:02}s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        assert_eq!(elapsed(Duration::from_millis(3449)), "3.4s");
        assert_eq!(elapsed(Duration::from_secs(80)), "1m20s");
        assert_eq!(elapsed(Duration::from_secs(3601)), "60m01s");
    }

    #[test]
    fn work_gives_its_result() {
        assert_eq!(Progress::silent().during("nothing", || 7), 7);
    }
}
