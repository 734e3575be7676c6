//! Events as a controller sends them to its client: docs/forward-protocol.md.
//!
//! What they quote is cut, so that no line is longer than the client takes; it
//! escapes them itself, since it trusts no controller.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::error::Error;
use crate::event::{Event, Report, Reporter, RunFacts};
use crate::text;

/// The longest message, in characters.
const MESSAGE: usize = 4000;

/// How many lines of evidence are sent.
const DETAILS: usize = 100;

/// The longest of them, in characters.
const DETAIL: usize = 300;

/// How much of them is sent, in bytes: escaped, it fits in one line of 64 KiB.
const DETAILS_MAX: usize = 24 << 10;

/// The deploy that the events are about.
#[derive(Clone, Debug)]
pub struct DeployName {
    /// The run's id.
    pub id: String,
    /// The application, as the client named it.
    pub app: String,
    /// The chart's version, as the client named it.
    pub chart_version: String,
}

/// Writes each event as one line of JSON.
pub struct EventLines<W> {
    deploy: DeployName,
    out: W,
    facts: RunFacts,
}

impl<W: Write> EventLines<W> {
    /// Events about this deploy.
    pub fn new(deploy: DeployName, out: W) -> Self {
        Self {
            deploy,
            out,
            facts: RunFacts::default(),
        }
    }

    fn write(&mut self, event: &Event<'_>) -> io::Result<()> {
        match event {
            Event::Started(phase) => self.line(&json!({ "event": "phase", "phase": phase.name() })),
            Event::Progress(text) => self.say("progress", text),
            Event::Workloads { news, .. } => news
                .iter()
                .try_for_each(|line| self.say("progress", &line.to_string())),
            Event::Wave(news) => self.say("progress", &news.to_string()),
            Event::Note(text) => self.say("note", text),
            Event::Warning(text) => self.say("warning", text),
            Event::RunFacts(facts) => {
                self.facts = (*facts).clone();
                Ok(())
            }
            Event::Finished(report) => self.finished(report),
            Event::Failed(error) => self.failed(error),
            Event::Planned(_)
            | Event::Done(..)
            | Event::Preview(_)
            | Event::Suspended
            | Event::Continued(_) => Ok(()),
        }
    }

    fn say(&mut self, event: &str, message: &str) -> io::Result<()> {
        self.line(&json!({ "event": event, "message": cut(message, MESSAGE) }))
    }

    /// What became of each target: the last event has no field for it.
    fn targets(&mut self) -> io::Result<()> {
        for target in std::mem::take(&mut self.facts.targets) {
            let line = match &target.cause {
                Some(cause) => format!("{}: {cause}", target.line()),
                None => target.line(),
            };
            self.say("note", &line)?;
        }
        Ok(())
    }

    fn finished(&mut self, report: &Report) -> io::Result<()> {
        self.targets()?;
        let mut line = self.last("success", 0);
        line["release"] = "serves".into();
        line["revision"] = json!(report.revision.or(self.facts.revision));
        line["previous_revision"] = json!(report.before.or(self.facts.before));
        self.line(&line)
    }

    fn failed(&mut self, error: &Error) -> io::Result<()> {
        self.targets()?;
        // What to do next is for everybody; evidence may be for few.
        for hint in error.hints() {
            self.say("note", hint)?;
        }
        let mut line = self.last("failure", error.kind().code());
        line["message"] = cut(&error.to_string(), MESSAGE).into();
        let details = error.evidence();
        let details: Vec<_> = details
            .iter()
            .take(DETAILS)
            .map(|line| cut(line, DETAIL))
            .scan(0, |bytes, line| {
                *bytes += line.len();
                (*bytes <= DETAILS_MAX).then_some(line)
            })
            .collect();
        line["details"] = json!(details);
        line["revision"] = json!(self.facts.revision);
        line["previous_revision"] = json!(self.facts.before);
        self.line(&line)
    }

    fn last(&self, outcome: &str, code: u8) -> Value {
        let digests: serde_json::Map<String, Value> = self
            .facts
            .digests
            .iter()
            .map(|(key, digest)| (key.to_string(), digest.to_string().into()))
            .collect();
        let mut line = finished(&self.deploy, outcome, code);
        line["image_digests"] = digests.into();
        if let Some(digest) = &self.facts.chart_digest {
            line["chart_digest"] = digest.to_string().into();
        }
        line
    }

    fn line(&mut self, line: &Value) -> io::Result<()> {
        self.out.write_all(format!("{line}\n").as_bytes())?;
        self.out.flush()
    }
}

/// The last event of a deploy, without what it may hold besides.
pub fn finished(deploy: &DeployName, outcome: &str, code: u8) -> Value {
    json!({
        "event": "finished", "id": deploy.id, "app": deploy.app,
        "chart_version": deploy.chart_version, "outcome": outcome, "exit_code": code,
    })
}

fn cut(text: &str, max: usize) -> String {
    text::line(text, max).into_owned()
}

impl<W: Write + Send> Reporter for EventLines<W> {
    fn event(&mut self, event: &Event<'_>) {
        // Whoever read them may be gone; the deploy goes on.
        let _ = self.write(event);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::Value;

    use super::{DeployName, EventLines};
    use crate::error::{Error, Kind};
    use crate::event::{Event, Reporter as _};

    /// The client takes no line above 64 KiB, and none that is no event.
    #[test]
    fn every_line_is_an_event_that_the_client_takes() {
        let mut out = Vec::new();
        let deploy = DeployName {
            id: "20261124T175106Z-1a2b3c".to_owned(),
            app: "shop".to_owned(),
            chart_version: "1.0.0".to_owned(),
        };
        let long = "\u{1f600}\"\\\n".repeat(100_000);
        let error = Error::new(Kind::RolledBack, &*long)
            .details((0..1000).map(|_| long.clone()))
            .hint("look there");
        {
            let mut lines = EventLines::new(deploy, &mut out);
            lines.event(&Event::Progress(&long));
            lines.event(&Event::Failed(&error));
        }
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| {
                assert!(line.len() < 64 << 10, "{}", line.len());
                serde_json::from_str(line).unwrap()
            })
            .collect();
        let events: Vec<_> = lines.iter().map(|line| &line["event"]).collect();
        assert_eq!(events, ["progress", "note", "finished"]);
        assert_eq!(lines[2]["exit_code"], 7);
        assert_eq!(lines[2]["app"], "shop");
    }
}
