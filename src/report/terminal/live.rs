//! The block at the end of a terminal that tells what goes on now.
//!
//! It is redrawn in place, only over what it drew itself, and it changes
//! nothing of the terminal that would outlive it: no hidden cursor, no modes.
//! A line is never wider than the terminal, so that a row is a line.

use std::os::fd::AsFd;
use std::time::Instant;

use super::super::lines::{DIM, doing, shown};
use super::super::wrap::wrapped;
use crate::event::waves::{TargetNews, WaveNews};
use crate::event::{Event, Phase, WorkloadProgress};
use crate::text;

/// A terminal's size, in columns and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Size {
    /// The size of this terminal now. One that does not say is taken for the
    /// smallest that is common.
    pub fn of(terminal: impl AsFd) -> Self {
        let size = rustix::termios::tcgetwinsize(terminal);
        let (width, height) = size.map_or((0, 0), |size| (size.ws_col, size.ws_row));
        let or = |number: u16, otherwise| match number {
            0 => otherwise,
            number => usize::from(number),
        };
        Self {
            width: or(width, 80),
            height: or(height, 24),
        }
    }
}

/// What goes on now.
pub(super) struct LiveBlock {
    size: Box<dyn Fn() -> Size + Send>,
    colours: bool,
    phase: Option<(Phase, Instant)>,
    workloads: Vec<WorkloadProgress>,
    /// What was said last of each target, in the order in which they came.
    targets: Vec<TargetNews>,
    /// The widths of the lines that stand there now.
    drawn: Vec<usize>,
    last: String,
}

impl LiveBlock {
    pub(super) fn new(size: Box<dyn Fn() -> Size + Send>, colours: bool) -> Self {
        Self {
            size,
            colours,
            phase: None,
            workloads: Vec::new(),
            targets: Vec::new(),
            drawn: Vec::new(),
            last: String::new(),
        }
    }

    /// What the block held and an event brings to its end: it stays as lines.
    pub(super) fn settle(&mut self, event: &Event<'_>) -> Vec<String> {
        match event {
            Event::Wave(WaveNews::Target(_)) => Vec::new(),
            Event::Done(..)
            | Event::Started(_)
            | Event::Progress(_)
            | Event::Wave(_)
            | Event::Failed(_)
            | Event::Finished(_) => {
                let (workloads, targets) = (
                    std::mem::take(&mut self.workloads),
                    std::mem::take(&mut self.targets),
                );
                let workloads = workloads.iter().map(ToString::to_string);
                let targets = targets.iter().map(ToString::to_string);
                workloads.chain(targets).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Takes what is new of a target: it stands where it stood.
    fn take(&mut self, news: &TargetNews) {
        match self.targets.iter_mut().find(|old| old.name == news.name) {
            Some(old) => old.clone_from(news),
            None => self.targets.push(news.clone()),
        }
    }

    /// What is written before and after the lines of an event that stay: the
    /// block goes, and comes again below them.
    pub(super) fn around(&mut self, event: &Event<'_>, moved: bool) -> (String, String) {
        match event {
            Event::Started(phase) => self.phase = Some((*phase, Instant::now())),
            Event::Done(..) | Event::Failed(_) | Event::Finished(_) => self.phase = None,
            Event::Workloads { all, .. } => self.workloads = all.to_vec(),
            Event::Wave(WaveNews::Target(news)) => self.take(news),
            _ => {}
        }
        let size = (self.size)();
        let lines = self.lines(size);
        let text: String = lines
            .iter()
            .map(|line| line.text(self.colours) + "\n")
            .collect();
        if !moved && text == self.last && self.fits(size) {
            return (String::new(), String::new());
        }
        let erase = self.erase(size);
        self.drawn = lines.iter().map(|line| line.width).collect();
        self.last.clone_from(&text);
        (erase, text)
    }

    /// Whether what was drawn still stands in one row for each line.
    fn fits(&self, size: Size) -> bool {
        self.drawn.iter().all(|width| *width < size.width)
    }

    /// Goes up to the block's first line and clears from there. Where the
    /// terminal became too narrow for what was drawn, nobody knows how many
    /// rows it takes now (some wrap it, some cut it): it stays.
    fn erase(&self, size: Size) -> String {
        let rows = self.drawn.len();
        if rows == 0 || !self.fits(size) {
            return String::new();
        }
        format!("\r\x1b[{rows}A\x1b[J")
    }

    fn lines(&self, size: Size) -> Vec<Row> {
        let Some((phase, since)) = self.phase else {
            return Vec::new();
        };
        let width = size.width.saturating_sub(1);
        let seconds = since.elapsed().as_secs();
        let head = format!("{:<10}{seconds:>6}s  {}", phase.name(), doing(phase));
        let mut lines = vec![Row::new("  ", &head, "", width)];
        // One row for the cursor, one for what is above.
        let room = size.height.saturating_sub(4).max(1);
        let mut workloads: Vec<&WorkloadProgress> = self.workloads.iter().collect();
        if workloads.len() > room {
            // Those that are waited for come first.
            workloads.sort_by_key(|line| line.waits_for.is_none());
        }
        let rows: Vec<Row> = workloads
            .iter()
            .map(ToString::to_string)
            .chain(self.targets.iter().map(ToString::to_string))
            .flat_map(|line| rows(&line, width))
            .collect();
        if rows.len() <= room {
            lines.extend(rows);
            return lines;
        }
        if !self.targets.is_empty() {
            let shown = self.targets.iter().take(room);
            lines.extend(shown.map(|news| Row::new("  · ", "", &shown_of(news), width)));
            let left = self.targets.len().saturating_sub(room);
            if left > 0 {
                lines.push(Row::new("  · ", "", &format!("and {left} more"), width));
            }
            return lines;
        }
        for line in workloads.iter().take(room) {
            lines.push(Row::new("  · ", "", &shown(&line.to_string()), width));
        }
        let left = workloads.len().saturating_sub(room);
        if left > 0 {
            let ready = workloads[room..]
                .iter()
                .filter(|line| line.waits_for.is_none())
                .count();
            let rest = format!("and {left} more, {ready} of them ready");
            lines.push(Row::new("  · ", "", &rest, width));
        }
        lines
    }
}

fn shown_of(news: &TargetNews) -> String {
    shown(&news.to_string())
}

/// All that is known of a workload or a target: what it waits for stands at the end.
fn rows(line: &str, width: usize) -> Vec<Row> {
    let line = format!("  · {}", shown(line));
    let line = wrapped(&line, width);
    line.lines()
        .map(|row| Row::new("", "", row, width))
        .collect()
}

/// One line of the block: a dimmed part, then a plain one.
struct Row {
    dim: String,
    plain: String,
    width: usize,
}

impl Row {
    fn new(mark: &str, dim: &str, plain: &str, max: usize) -> Self {
        let dim = text::fit(&format!("{mark}{dim}"), max).into_owned();
        let taken = text::columns(&dim);
        let plain = text::fit(plain, max.saturating_sub(taken)).into_owned();
        let width = taken + text::columns(&plain);
        Self { dim, plain, width }
    }

    fn text(&self, colours: bool) -> String {
        let Self { dim, plain, .. } = self;
        if colours {
            format!("{DIM}{dim}{DIM:#}{plain}")
        } else {
            format!("{dim}{plain}")
        }
    }
}
