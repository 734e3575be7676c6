//! What people read, as lines: the same words on a terminal, in a log and in a
//! pipe. All outside text goes through [`shown`].

use std::io::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use crate::error::Error;
use crate::event::{Phase, Report, Summary};
use crate::text;
use crate::units;

pub(super) const BOLD: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(super) const CAUTION: Style = AnsiColor::Yellow.on_default().bold();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();

/// Outside text as a part of a line, on a terminal as in a runner's log.
pub(super) fn shown(text: &str) -> String {
    without_old_commands(&text::line(text, text::LINE))
}

/// Breaks each `##[`: the runner looks for its older form of a command anywhere
/// in a line. It compares as its language does, which may pass over marks that
/// have no weight, so whatever is not ASCII may stand between the three. What
/// was JSON still is, and means the same.
pub(super) fn without_old_commands(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut hashes = 0;
    for character in text.chars() {
        match character {
            '[' if hashes > 1 => shown.push_str("\\u005b"),
            other => shown.push(other),
        }
        match character {
            '#' => hashes += 1,
            other if other.is_ascii() => hashes = 0,
            _ => {}
        }
    }
    shown
}

/// What a phase is for, while it is at it.
pub(super) const fn doing(phase: Phase) -> &'static str {
    match phase {
        Phase::Lock => "waiting for this release",
        Phase::Preflight => "looking at chart, images and cluster",
        Phase::Prove => "proving that every image takes effect",
        Phase::Heal => "settling what an interrupted deploy left",
        Phase::Rollout => "helm applies it, and its pods become ready",
        Phase::Waves => "Argo CD applies it, wave by wave",
        Phase::Forward => "a controller has the signal",
        Phase::Rollback => "going back to the last good revision",
        Phase::Verify => "comparing the cluster with what was asked",
    }
}

/// What it means that a phase ended well.
const fn done(phase: Phase) -> &'static str {
    match phase {
        Phase::Lock => "the release's lock is held",
        Phase::Preflight => "chart pulled, cluster reached",
        Phase::Prove => "every image stands where it should",
        Phase::Heal => "nothing is left of an interrupted deploy",
        Phase::Rollout => "helm applied it and all is ready",
        Phase::Waves => "every wave serves it and was judged good",
        Phase::Forward => "the controller says that it is done",
        Phase::Rollback => "the last good revision is restored",
        Phase::Verify => "the cluster holds what was asked",
    }
}

pub(super) fn plan(out: &mut impl Write, summary: &Summary) -> io::Result<()> {
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
    writeln!(out, "  {DIM}run       {}{DIM:#}", shown(&summary.run))
}

/// A phase that ended well.
pub(super) fn phase(out: &mut impl Write, phase: Phase, took: Duration) -> io::Result<()> {
    let name = phase.name();
    writeln!(
        out,
        "  {DIM}{name:<10}{DIM:#}{:>6.1}s  {}",
        took.as_secs_f32(),
        done(phase)
    )
}

pub(super) fn progress(out: &mut impl Write, text: &str) -> io::Result<()> {
    writeln!(out, "  {DIM}·{DIM:#} {}", shown(text))
}

pub(super) fn note(out: &mut impl Write, text: &str) -> io::Result<()> {
    writeln!(out, "{BOLD}note:{BOLD:#} {}", shown(text))
}

/// What it means that the process is stopped.
pub(super) const SUSPENDED: &str =
    "deploy is stopped: a helm at work is ended when the release's lease is not renewed in time";

/// The process goes on.
pub(super) fn continued(passed: Duration) -> String {
    let seconds = Duration::from_secs(passed.as_secs());
    format!(
        "deploy was stopped, or the machine paused, for {}",
        units::show(seconds)
    )
}

pub(super) fn warning(out: &mut impl Write, text: &str) -> io::Result<()> {
    writeln!(out, "{CAUTION}warning:{CAUTION:#} {}", shown(text))
}

pub(super) fn finish(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let release = shown(&report.summary.release);
    let seconds = report.took.as_secs_f32();
    if let Some(controller) = &report.forward {
        forwarded(out, report, &shown(controller))?;
    } else if report.dry_run {
        writeln!(
            out,
            "{GOOD}would deploy{GOOD:#} {release}: proven in {seconds:.1}s, nothing was applied"
        )?;
    } else if let Some(waves) = report.targets.iter().map(|target| target.wave).max() {
        let count = report.targets.len();
        writeln!(
            out,
            "{GOOD}deployed{GOOD:#} {release} in {seconds:.1}s: {}, {}",
            units::count(count, "target"),
            units::count(waves, "wave")
        )?;
    } else {
        let revision = report.revision.unwrap_or_default();
        let restored = report
            .restored
            .map_or_else(String::new, |from| format!(", a copy of revision {from},"));
        write!(
            out,
            "{GOOD}deployed{GOOD:#} {release} revision {revision}{restored} in {seconds:.1}s"
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
    Ok(())
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

/// An error: the cause first, then the evidence, then what to do.
pub(super) fn error(out: &mut impl Write, error: &Error) -> io::Result<()> {
    writeln!(out, "{BAD}error:{BAD:#} {}", shown(&error.to_string()))?;
    evidence(out, error)?;
    hints(out, error)
}

pub(super) fn evidence(out: &mut impl Write, error: &Error) -> io::Result<()> {
    for line in error.evidence() {
        writeln!(out, "  {DIM}|{DIM:#} {}", shown(&line))?;
    }
    Ok(())
}

pub(super) fn hints(out: &mut impl Write, error: &Error) -> io::Result<()> {
    for hint in error.hints() {
        writeln!(out, "  {BOLD}→{BOLD:#} {}", shown(hint))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn no_older_command_survives() {
        for (given, expected) in [
            ("##[group]x", "##\\u005bgroup]x"),
            ("a ###[error]", "a ###\\u005berror]"),
            (
                "#\u{301}#\u{301}[add-mask]",
                "#\u{301}#\u{301}\\u005badd-mask]",
            ),
            ("#[x] # #[y]", "#[x] # #[y]"),
        ] {
            assert_eq!(shown(given), expected);
            assert_eq!(shown(&shown(given)), expected, "idempotent");
        }
    }
}
