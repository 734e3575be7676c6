//! The terminal's reporter: progress and failures on stderr, the result on
//! stdout.
//!
//! On a terminal what goes on now stands in one block that is redrawn
//! ([`live`]); everywhere else a line is written for each change. Either way
//! the same lines are left at the end.

mod live;

use std::io::{self, IsTerminal as _, Write};

use anstream::{AutoStream, ColorChoice};

use self::live::LiveBlock;
pub use self::live::Size;
use super::wrap::wrapped;
use super::{changes, lines, result, targets, trace};
use crate::error::Error;
use crate::event::waves::{TargetReport, WaveNews};
use crate::event::{Event, Reporter};
use crate::host::Environment;

/// Writes events as lines for people.
pub struct Terminal<P, R> {
    progress: Channel<P>,
    result: Channel<R>,
    /// Whether only the result is printed.
    quiet: bool,
    block: Option<LiveBlock>,
    /// What became of each target, for a run that failed.
    targets: Vec<TargetReport>,
}

/// Where lines go.
pub struct Channel<W> {
    out: W,
    colours: bool,
    /// How wide the terminal is now, where it leads to one.
    width: Option<Box<dyn Fn() -> usize + Send>>,
}

impl<W: Write> Channel<W> {
    /// A channel that keeps colours, or leaves them out.
    pub const fn new(out: W, colours: bool) -> Self {
        Self {
            out,
            colours,
            width: None,
        }
    }

    /// Lines are broken between words to this width.
    #[must_use]
    pub fn wrapped(mut self, width: impl Fn() -> usize + Send + 'static) -> Self {
        self.width = Some(Box::new(width));
        self
    }

    /// Text with styles, between control sequences that are written as they
    /// are, in one write.
    fn write(&mut self, before: &str, text: &[u8], after: &str) -> io::Result<()> {
        let plain = |text: &str| anstream::adapter::strip_str(text).to_string();
        let mut text = String::from_utf8_lossy(text);
        if let Some(width) = &self.width {
            text = wrapped(&text, width()).into();
        }
        let all = if self.colours {
            format!("{before}{text}{after}")
        } else {
            format!("{before}{}{after}", plain(&text))
        };
        self.out.write_all(all.as_bytes())?;
        self.out.flush()
    }
}

impl Terminal<io::Stderr, io::Stdout> {
    /// On this process's stderr and stdout, coloured by the usual rules.
    pub fn of_process(environment: &Environment, quiet: bool) -> Self {
        let (stderr, stdout) = (io::stderr(), io::stdout());
        // A dumb terminal cannot go up, and traces would be written over.
        let redraws = stderr.is_terminal()
            && !quiet
            && environment.text("TERM").is_some_and(|term| term != "dumb")
            && environment.get(trace::VARIABLE).is_none();
        let colours = |choice: ColorChoice| choice != ColorChoice::Never;
        let mut progress = Channel::new(io::stderr(), colours(AutoStream::choice(&stderr)));
        if stderr.is_terminal() {
            progress = progress.wrapped(|| Size::of(io::stderr()).width);
        }
        let mut result = Channel::new(io::stdout(), colours(AutoStream::choice(&stdout)));
        if stdout.is_terminal() {
            result = result.wrapped(|| Size::of(io::stdout()).width);
        }
        Self {
            progress,
            result,
            quiet,
            block: redraws.then(|| {
                let colours = colours(AutoStream::choice(&stderr));
                LiveBlock::new(Box::new(|| Size::of(io::stderr())), colours)
            }),
            targets: Vec::new(),
        }
    }
}

impl<P: Write + Send, R: Write + Send> Terminal<P, R> {
    /// On these two; `size` tells how large the terminal is now, where
    /// progress goes to one.
    pub fn new(
        progress: Channel<P>,
        result: Channel<R>,
        quiet: bool,
        size: Option<Box<dyn Fn() -> Size + Send>>,
    ) -> Self {
        let colours = progress.colours;
        Self {
            progress,
            result,
            quiet,
            block: size.map(|size| LiveBlock::new(size, colours)),
            targets: Vec::new(),
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
        let mut stays = Vec::new();
        if let Event::RunFacts(facts) = event {
            self.targets.clone_from(&facts.targets);
        }
        if let Some(block) = &mut self.block {
            for line in block.settle(event) {
                lines::progress(&mut stays, &line)?;
            }
        }
        if !self.quiet || matches!(event, Event::Failed(_)) {
            self.lasting(&mut stays, event)?;
        }
        let (before, after) = match &mut self.block {
            Some(block) => block.around(event, !stays.is_empty()),
            None => (String::new(), String::new()),
        };
        if !stays.is_empty() || !before.is_empty() || !after.is_empty() {
            self.progress.write(&before, &stays, &after)?;
        }
        if let Event::Finished(report) = event {
            let mut result = Vec::new();
            result::result(&mut result, report)?;
            self.result.write("", &result, "")?;
        }
        Ok(())
    }

    /// The lines of an event that stay.
    fn lasting(&self, out: &mut Vec<u8>, event: &Event<'_>) -> io::Result<()> {
        match event {
            Event::Planned(summary) => lines::plan(out, summary),
            Event::Done(phase, took) => lines::phase(out, *phase, *took),
            Event::Progress(text) => lines::progress(out, text),
            Event::Workloads { news, .. } if self.block.is_none() => news
                .iter()
                .try_for_each(|line| lines::progress(out, &line.to_string())),
            Event::Wave(WaveNews::Target(_)) if self.block.is_some() => Ok(()),
            Event::Wave(news) => lines::progress(out, &news.to_string()),
            Event::Preview(preview) => changes::preview(out, preview),
            Event::Note(text) => lines::note(out, text),
            Event::Warning(text) => lines::warning(out, text),
            Event::Suspended => lines::note(out, lines::SUSPENDED),
            Event::Continued(passed) => lines::note(out, &lines::continued(*passed)),
            Event::Failed(failure) => {
                if !self.quiet {
                    targets::table(out, &self.targets)?;
                }
                lines::error(out, failure)
            }
            Event::Started(_)
            | Event::Workloads { .. }
            | Event::RunFacts(_)
            | Event::Finished(_) => Ok(()),
        }
    }
}

/// Writes an error as people see it: the cause first, then the evidence, then
/// what to do.
pub fn error(out: &mut impl Write, error: &Error) -> io::Result<()> {
    lines::error(out, error)?;
    out.flush()
}

/// The same on this process's stderr.
pub fn error_of_process(error: &Error) -> io::Result<()> {
    let mut text = Vec::new();
    lines::error(&mut text, error)?;
    let mut text = String::from_utf8_lossy(&text).into_owned();
    if io::stderr().is_terminal() {
        text = wrapped(&text, Size::of(io::stderr()).width);
    }
    let mut out = anstream::stderr();
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests;
