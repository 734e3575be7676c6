//! The terminal's reporter: progress and failures on stderr, the result on
//! stdout.
//!
//! Inside Actions both go to stdout through one writer: the runner reads the
//! two as separate pipes and would show them in another order. Outside text
//! never stands first on a line and is always escaped, so no line of it can be
//! a workflow command.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use crate::error::Error;
use crate::event::{Event, Phase, Report, Reporter, Summary};
use crate::text;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const CAUTION: Style = AnsiColor::Yellow.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// Writes events as lines for people.
pub struct Terminal<P, R> {
    progress: P,
    result: Option<R>,
}

impl Terminal<anstream::AutoStream<io::Stderr>, anstream::AutoStream<io::Stdout>> {
    /// On this process's stderr and stdout, coloured by the usual rules.
    pub fn on_stderr_and_stdout() -> Self {
        Self {
            progress: anstream::stderr(),
            result: Some(anstream::stdout()),
        }
    }
}

impl Terminal<anstream::AutoStream<io::Stdout>, anstream::AutoStream<io::Stdout>> {
    /// All through stdout, for a log that mixes both.
    pub fn on_stdout() -> Self {
        Self {
            progress: anstream::stdout(),
            result: None,
        }
    }
}

impl<P: Write + Send, R: Write + Send> Reporter for Terminal<P, R> {
    fn event(&mut self, event: &Event<'_>) {
        // A closed pipe or a full disk behind it never changes a deploy.
        let _ = self.write(event);
    }
}

impl<P: Write, R: Write> Terminal<P, R> {
    fn write(&mut self, event: &Event<'_>) -> io::Result<()> {
        let out = &mut self.progress;
        match event {
            Event::Planned(summary) => plan(out, summary)?,
            Event::Started(_) => return Ok(()),
            Event::Done(phase, took) => {
                let name = phase.name();
                writeln!(
                    out,
                    "  {DIM}{name:<10}{DIM:#}{:>6.1}s  {}",
                    took.as_secs_f32(),
                    done(*phase)
                )?;
            }
            Event::Progress(text) => writeln!(out, "  {DIM}·{DIM:#} {}", shown(text))?,
            Event::Note(text) => writeln!(out, "{BOLD}note:{BOLD:#} {}", shown(text))?,
            Event::Warning(text) => writeln!(out, "{CAUTION}warning:{CAUTION:#} {}", shown(text))?,
            Event::Failed(failure) => error(out, failure)?,
            Event::Finished(report) => {
                return match &mut self.result {
                    Some(result) => finish(result, report),
                    None => finish(out, report),
                };
            }
        }
        out.flush()
    }
}

pub(super) fn shown(text: &str) -> String {
    // The runner looks for its older form of a command anywhere in a line.
    text::line(text, text::LINE).replace("##[", "#\\x23[")
}

fn done(phase: Phase) -> &'static str {
    match phase {
        Phase::Lock => "this release is ours",
        Phase::Preflight => "chart pulled, cluster reached",
        Phase::Prove => "every image stands where it should",
        Phase::Heal => "nothing is left of an interrupted deploy",
        Phase::Rollout => "helm applied it and all is ready",
        Phase::Forward => "the controller says that it is done",
        Phase::Rollback => "the last good revision is restored",
        Phase::Verify => "the cluster holds what was asked",
    }
}

fn plan(out: &mut impl Write, summary: &Summary) -> io::Result<()> {
    writeln!(
        out,
        "{BOLD}{}{BOLD:#} in namespace {} ← {}",
        shown(&summary.release),
        shown(&summary.namespace),
        shown(&summary.chart)
    )?;
    for (key, image) in &summary.images {
        writeln!(out, "  {:<10}{}", shown(key), shown(image))?;
    }
    writeln!(out, "  {DIM}run       {}{DIM:#}", shown(&summary.run))?;
    out.flush()
}

fn finish(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let release = shown(&report.summary.release);
    let seconds = report.took.as_secs_f32();
    if let Some(controller) = &report.forward {
        forwarded(out, report, &shown(controller))?;
    } else if report.dry_run {
        writeln!(
            out,
            "{GOOD}would deploy{GOOD:#} {release}: proven in {seconds:.1}s, nothing was applied"
        )?;
    } else {
        let revision = report.revision.unwrap_or_default();
        write!(
            out,
            "{GOOD}deployed{GOOD:#} {release} revision {revision} in {seconds:.1}s"
        )?;
        match report.before {
            Some(before) => writeln!(out, " (before: {before})")?,
            None => writeln!(out, " (first install)")?,
        }
    }
    if report.unchanged {
        writeln!(out, "  the manifest is the same as before")?;
    }
    for (key, image, places) in &report.placed {
        writeln!(out, "  {:<10}{}", shown(key), shown(image))?;
        for place in places {
            writeln!(out, "  {DIM}{:<10}in {}{DIM:#}", "", shown(place))?;
        }
    }
    out.flush()
}

/// What is known of a deploy that a controller did.
fn forwarded(out: &mut impl Write, report: &Report, controller: &str) -> io::Result<()> {
    let release = shown(&report.summary.release);
    let seconds = report.took.as_secs_f32();
    if report.dry_run {
        return writeln!(
            out,
            "{GOOD}would forward{GOOD:#} {release} to {controller}: nothing was sent, so nothing is proven"
        );
    }
    write!(out, "{GOOD}deployed{GOOD:#} {release}")?;
    if let Some(revision) = report.revision {
        write!(out, " revision {revision}")?;
    }
    write!(out, " in {seconds:.1}s by {controller}")?;
    match report.before {
        Some(before) => writeln!(out, " (before: {before})"),
        None => writeln!(out),
    }
}

/// Writes an error as people see it: the cause first, then the evidence, then
/// what to do.
pub fn error(out: &mut impl Write, error: &Error) -> io::Result<()> {
    writeln!(out, "{BAD}error:{BAD:#} {}", shown(&error.to_string()))?;
    for line in error.evidence() {
        writeln!(out, "  {DIM}|{DIM:#} {}", shown(&line))?;
    }
    for hint in error.hints() {
        writeln!(out, "  {BOLD}→{BOLD:#} {}", shown(hint))?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use anstream::StripStream;
    use snapbox::{IntoData as _, assert_data_eq, str};

    use super::Terminal;
    use crate::error::{Error, Kind};
    use crate::event::{Event, Phase, Report, Reporter as _, Summary};

    fn shown(events: &[Event<'_>]) -> String {
        let mut written = Vec::new();
        let mut terminal = Terminal::<_, Vec<u8>> {
            progress: StripStream::new(&mut written),
            result: None,
        };
        for event in events {
            terminal.event(event);
        }
        String::from_utf8(written).unwrap()
    }

    fn summary() -> Summary {
        Summary {
            run: "20261124T175106Z-a1b2c3".to_owned(),
            release: "pytoya".to_owned(),
            namespace: "prod".to_owned(),
            chart: "oci://ghcr.io/acme/charts/pytoya 0.1.0".to_owned(),
            images: vec![("api".to_owned(), "ghcr.io/acme/api:1".to_owned())],
        }
    }

    #[test]
    fn a_good_deploy_reads_well() {
        let report = Report {
            summary: summary(),
            before: Some(3),
            revision: Some(4),
            unchanged: false,
            forward: None,
            dry_run: false,
            placed: vec![(
                "api".to_owned(),
                "ghcr.io/acme/api:1".to_owned(),
                vec!["Deployment/pytoya-api container api".to_owned()],
            )],
            took: Duration::from_millis(5230),
        };
        assert_data_eq!(
            shown(&[
                Event::Planned(&report.summary),
                Event::Note("the owner 'Acme' is written 'acme' in a registry"),
                Event::Done(Phase::Preflight, Duration::from_millis(340)),
                Event::Finished(&report),
            ]),
            str![[r"
pytoya in namespace prod ← oci://ghcr.io/acme/charts/pytoya 0.1.0
  api       ghcr.io/acme/api:1
  run       20261124T175106Z-a1b2c3
note: the owner 'Acme' is written 'acme' in a registry
  preflight    0.3s  chart pulled, cluster reached
deployed pytoya revision 4 in 5.2s (before: 3)
  api       ghcr.io/acme/api:1
            in Deployment/pytoya-api container api

"]]
        );
    }

    #[test]
    fn a_failure_tells_cause_evidence_and_cure_and_nothing_steers_the_runner() {
        let error = Error::new(Kind::Broken, "helm said:\n::error::mine ##[group]x")
            .detail("Error: UPGRADE FAILED\u{1b}[0m")
            .hint("look at the pods");
        assert_data_eq!(
            shown(&[Event::Failed(&error)]).raw(),
            str![[r"
error: helm said:\n::error::mine #\x23[group]x
  | Error: UPGRADE FAILED\x1b[0m
  → look at the pods

"]]
            .raw()
        );
    }
}
