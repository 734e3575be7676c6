//! The reporter for GitHub Actions: groups and annotations in the log, the job
//! summary, and the step's outputs.
//!
//! All of the log leaves through one writer: the runner reads stdout and stderr
//! as two pipes, one after the other. No word from outside can become a command
//! ([`command`]), an element or a mention ([`summary`]). A file that cannot be
//! written is a note, never a failed deploy.

mod command;
mod files;
mod markup;
mod summary;

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

use self::command::{AnnotationLevel, Log, first};
use self::summary::{RunEnd, RunRecord};
use super::{changes, lines, result, targets};
use crate::error::{Error, Exit, Kind};
use crate::event::{Event, Phase, Report, Reporter, RunFacts};
use crate::host::Environment;

/// How many warnings become annotations: GitHub shows ten of a step.
const WARNINGS: usize = 9;

/// How many lines of detail an annotation shows.
const DETAILS: usize = 30;

/// The files that the runner gives to the step, as far as it does.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// The job summary (`GITHUB_STEP_SUMMARY`).
    pub summary: Option<PathBuf>,
    /// The step's outputs (`GITHUB_OUTPUT`).
    pub output: Option<PathBuf>,
}

impl Files {
    /// Those that the environment names.
    pub fn of(environment: &Environment) -> Self {
        let path = |name| environment.get(name).map(PathBuf::from);
        Self {
            summary: path("GITHUB_STEP_SUMMARY"),
            output: path("GITHUB_OUTPUT"),
        }
    }
}

/// Writes lines to a step's log, none of which can be a command.
pub(super) fn harmless(out: impl Write, lines: &str) -> io::Result<()> {
    Log::new(out).lines(lines)
}

/// Writes events as a step of a workflow shows them.
pub struct GitHub<W: Write> {
    log: Log<W>,
    files: Files,
    /// Whether the log only gets the result.
    quiet: bool,
    record: RunRecord,
    phase: Option<(Phase, Instant)>,
    warnings: usize,
}

impl<W: Write> GitHub<W> {
    /// A reporter whose log goes to `out`, one line in each write.
    pub fn new(out: W, files: Files, quiet: bool) -> Self {
        Self {
            log: Log::new(out),
            files,
            quiet,
            record: RunRecord {
                plan: None,
                facts: RunFacts::default(),
                timings: Vec::new(),
                remarks: Vec::new(),
                preview: None,
                begun: Instant::now(),
            },
            phase: None,
            warnings: 0,
        }
    }
}

impl<W: Write + Send> Reporter for GitHub<W> {
    fn event(&mut self, event: &Event<'_>) {
        // A closed pipe or a full disk behind it never changes a deploy.
        let _ = self.write(event);
        match event {
            Event::Finished(report) => self.leave(RunEnd::Finished(report)),
            // A bad request writes no file.
            Event::Failed(error) if error.kind() != Kind::Request => {
                self.leave(RunEnd::Failed(error));
            }
            _ => {}
        }
    }
}

impl<W: Write> GitHub<W> {
    fn write(&mut self, event: &Event<'_>) -> io::Result<()> {
        match event {
            Event::Planned(plan) => {
                self.record.begun = Instant::now();
                self.record.plan = Some((*plan).clone());
                self.tell(false, |out| lines::plan(out, plan))
            }
            Event::Started(phase) => self.started(*phase),
            Event::Done(phase, took) => {
                self.phase = None;
                self.record.timings.push((*phase, *took, true));
                self.log.end_group()?;
                self.tell(false, |out| lines::phase(out, *phase, *took))
            }
            Event::Progress(text) => self.inside(|out| lines::progress(out, text)),
            Event::Workloads { news: [], .. } => Ok(()),
            Event::Workloads { news, .. } => self.inside(|out| {
                news.iter()
                    .try_for_each(|line| lines::progress(out, &line.to_string()))
            }),
            Event::Wave(news) => self.inside(|out| lines::progress(out, &news.to_string())),
            Event::Preview(preview) => {
                self.record.preview = Some((*preview).clone());
                self.inside(|out| changes::preview(out, preview))
            }
            Event::Note(text) => {
                self.record.remarks.push((*text).to_owned());
                self.inside(|out| lines::note(out, text))
            }
            Event::Suspended => self.inside(|out| lines::note(out, lines::SUSPENDED)),
            Event::Continued(passed) => {
                self.inside(|out| lines::note(out, &lines::continued(*passed)))
            }
            Event::Warning(text) => self.warn(text),
            Event::RunFacts(facts) => {
                self.record.facts = (*facts).clone();
                Ok(())
            }
            Event::Failed(error) => self.failed(error),
            Event::Finished(report) => {
                self.log.end_group()?;
                let text = text(|out| result::result(out, report))?;
                self.log.lines(&text)
            }
        }
    }

    /// A phase that ends where another begins did not end well.
    fn started(&mut self, phase: Phase) -> io::Result<()> {
        self.interrupted();
        self.phase = Some((phase, Instant::now()));
        self.log.end_group()?;
        // The long ones are seen from the start; a group of its own for a
        // phase without a word in it would only be in the way.
        if matches!(phase, Phase::Rollout | Phase::Waves | Phase::Rollback) && !self.quiet {
            self.open(phase)?;
        }
        Ok(())
    }

    fn interrupted(&mut self) {
        if let Some((phase, since)) = self.phase.take() {
            self.record.timings.push((phase, since.elapsed(), false));
        }
    }

    fn open(&mut self, phase: Phase) -> io::Result<()> {
        self.log
            .group(&format!("{}: {}", phase.name(), lines::doing(phase)))
    }

    /// Lines inside the phase's group.
    fn inside(&mut self, write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> io::Result<()> {
        let Some((phase, _)) = self.phase else {
            return self.tell(false, write);
        };
        if !self.quiet && !self.log.in_group() {
            self.open(phase)?;
        }
        self.tell(true, write)
    }

    /// Lines that a quiet run leaves out; `outside` where they quote much.
    fn tell(
        &mut self,
        outside: bool,
        write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<()> {
        if self.quiet {
            return Ok(());
        }
        let text = text(write)?;
        if outside {
            self.log.outside(&text)
        } else {
            self.log.lines(&text)
        }
    }

    fn warn(&mut self, text: &str) -> io::Result<()> {
        self.record.remarks.push(text.to_owned());
        self.warnings += 1;
        if self.quiet {
            return Ok(());
        }
        if self.warnings > WARNINGS {
            return self.tell(true, |out| lines::warning(out, text));
        }
        self.log
            .annotate(AnnotationLevel::Warning, "deploy", &[text.to_owned()])
    }

    /// The one annotation of an error: the cause, and what to do.
    fn failed(&mut self, error: &Error) -> io::Result<()> {
        self.interrupted();
        self.log.end_group()?;
        let exit = error.exit();
        let title = match &self.record.plan {
            Some(plan) => format!("{}: {}", plan.release, exit.meaning()),
            None => format!("deploy: {}", exit.meaning()),
        };
        let mut message = vec![error.to_string()];
        if exit == Exit::Failed(Kind::Request) {
            // All of it is what the workflow's author has to see.
            message.extend(first(error.evidence(), DETAILS));
        }
        message.extend(error.hints().iter().map(|hint| format!("→ {hint}")));
        if let Some(plan) = &self.record.plan
            && !message.iter().any(|line| line.contains(&plan.run))
        {
            message.push(format!("→ more on the node: deploy show {}", plan.run));
        }
        self.log
            .annotate(AnnotationLevel::Error, &title, &message)?;
        let evidence = text(|out| {
            targets::table(out, &self.record.facts.targets)?;
            lines::evidence(out, error)
        })?;
        if !evidence.is_empty() {
            self.log.outside(&evidence)?;
        }
        self.log.resume()
    }

    /// Writes the summary and the outputs.
    fn leave(&mut self, end: RunEnd<'_>) {
        let Files { summary, output } = self.files.clone();
        let written = summary.map(|path| {
            let record = &self.record;
            files::summary(&path, |room| summary::render(record, end, room))
        });
        self.unless_written("GITHUB_STEP_SUMMARY", written);
        let outputs = outputs(&self.record, end);
        let written = output.map(|path| files::outputs(&path, &outputs));
        self.unless_written("GITHUB_OUTPUT", written);
    }

    fn unless_written(&mut self, name: &str, written: Option<io::Result<()>>) {
        if let Some(Err(error)) = written {
            let told = format!("the file of {name} was not written: {error}");
            let _ = text(|out| lines::note(out, &told)).and_then(|text| self.log.lines(&text));
        }
    }
}

impl<W: Write> Drop for GitHub<W> {
    fn drop(&mut self) {
        // What a later command of the step says is its own.
        let _ = self.log.end_group().and_then(|()| self.log.resume());
    }
}

fn outputs(record: &RunRecord, end: RunEnd<'_>) -> Vec<(&'static str, String)> {
    let (outcome, revision) = match end {
        RunEnd::Finished(Report { dry_run: true, .. }) => ("dry-run", None),
        RunEnd::Finished(report) => (Exit::Deployed.outcome(), report.revision),
        RunEnd::Failed(error) => (error.exit().outcome(), record.facts.revision),
    };
    let mut outputs = vec![("outcome", outcome.to_owned())];
    outputs.extend(revision.map(|revision| ("revision", revision.to_string())));
    outputs.extend(record.plan.iter().map(|plan| ("run-id", plan.run.clone())));
    outputs
}

/// Lines without colours: the log of a workflow is read in a browser.
fn text(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> io::Result<String> {
    let mut written = Vec::new();
    write(&mut written)?;
    let text = String::from_utf8_lossy(&written);
    Ok(anstream::adapter::strip_str(&text).to_string())
}
