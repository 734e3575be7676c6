//! `DEPLOY_LOG`: what `deploy` does, step by step, for diagnosis.
//!
//! Apart from what people read, and nothing is set up where it is not asked
//! for. It must never hold a secret: `deploy` traces no environment, no content
//! of values, manifests or logs, and of kube only the line of each request.
//! Each event is one line, escaped whole, whatever a message quotes.

use std::io::{self, Write};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::host::Environment;
use crate::text;

/// The variable that asks for it: `error`, `warn`, `info`, `debug` or `trace`.
pub(super) const VARIABLE: &str = "DEPLOY_LOG";

/// Where kube tells of requests: method, address and status, no bodies and no
/// headers.
const REQUESTS: &str = "kube_client::client::builder";

/// What is traced at this level: `deploy`, and the requests to the cluster.
fn targets(level: LevelFilter) -> Targets {
    Targets::new()
        .with_target("deploy", level)
        .with_target(REQUESTS, level)
}

/// Begins to trace where the environment asks for it. A workflow may ask too:
/// it changes nothing. A word that is no level traces as `debug` does: whoever
/// sets it wants to see something.
pub fn start(environment: &Environment) {
    let Some(asked) = environment.get(VARIABLE) else {
        return;
    };
    let level = asked.to_str().and_then(|level| level.parse().ok());
    let level = level.unwrap_or(LevelFilter::DEBUG);
    let layer = fmt::layer()
        .with_ansi(false)
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(TraceWriter {
            stdout: environment.inside_actions(),
        })
        .with_filter(targets(level));
    // Only a program that already traces would refuse, and then it does.
    let _ = tracing_subscriber::registry().with(layer).try_init();
}

/// Where the lines go: to stderr, away from the result; inside Actions to
/// stdout as all else, since the runner reads the two as separate pipes.
#[derive(Clone, Copy)]
struct TraceWriter {
    stdout: bool,
}

impl<'a> MakeWriter<'a> for TraceWriter {
    type Writer = TraceLine;

    fn make_writer(&'a self) -> TraceLine {
        TraceLine {
            stdout: self.stdout,
        }
    }
}

/// One event; it comes in one write.
struct TraceLine {
    stdout: bool,
}

impl Write for TraceLine {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = shown(&String::from_utf8_lossy(event));
        // A closed pipe never changes a deploy.
        let _ = if self.stdout {
            io::stdout().lock().write_all(line.as_bytes())
        } else {
            io::stderr().lock().write_all(line.as_bytes())
        };
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An event as one line. It begins with a time, so never as a workflow command
/// does.
fn shown(event: &str) -> String {
    let line = super::lines::shown(event.trim_end_matches('\n'));
    format!("{}\n", text::line(&line, text::LINE))
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn an_event_is_one_harmless_line() {
        let event = "2026-01-01 DEBUG deploy::helm: said \"x\n::error::y\" ##[group] \x1b[31m\n";
        let line = shown(event);
        assert_eq!(line.matches('\n').count(), 1);
        assert!(
            line.ends_with('\n') && line.contains("\\n::error::y"),
            "{line}"
        );
        assert!(!line.contains("##[") && !line.contains('\x1b'), "{line}");
        assert!(shown(&"x".repeat(100_000)).len() < 3 * text::LINE);
    }

    #[test]
    fn only_what_holds_no_secret_is_traced() {
        let targets = targets(LevelFilter::TRACE);
        for (target, traced) in [
            ("deploy::helm::process", true),
            (REQUESTS, true),
            ("kube_client::client::auth", false),
            ("hyper_util::client", false),
            ("rustls::client", false),
            ("oci_client", false),
        ] {
            assert_eq!(
                targets.would_enable(target, &Level::TRACE),
                traced,
                "{target}"
            );
        }
    }
}
