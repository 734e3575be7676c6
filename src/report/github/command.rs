//! The runner's log: the workflow commands that `deploy` gives, and lines that
//! are no commands.
//!
//! Every line leaves through here, each in one write. A line that is not
//! meant as a command cannot become one, whatever it says: it never begins as a command
//! does, and the older form is broken wherever it stands. Around outside text
//! the runner is told, as a second layer, to read no commands at all until a
//! word that nobody can guess. How the runner reads them: `ActionCommand.cs`,
//! `ActionCommandManager.cs` of github.com/actions/runner.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::super::lines::shown;
use crate::text;

/// The longest message of an annotation, in UTF-16 units: the runner cuts at
/// 4096 (`ExecutionContext.cs`, `_maxIssueMessageLength`).
const MESSAGE: usize = 4000;

/// The longest title, in UTF-16 units: the Checks API takes 255.
const TITLE: usize = 200;

/// A kind of annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnnotationLevel {
    Error,
    Warning,
}

/// The log of one step.
pub(super) struct Log<W> {
    out: W,
    group: bool,
    /// The word that lets the runner read commands again, while it reads none.
    stopped: Option<String>,
}

impl<W: Write> Log<W> {
    pub(super) const fn new(out: W) -> Self {
        Self {
            out,
            group: false,
            stopped: None,
        }
    }

    /// An annotation: the title, then lines of text. Outside text is escaped,
    /// all of it is encoded and cut.
    pub(super) fn annotate(
        &mut self,
        level: AnnotationLevel,
        title: &str,
        lines: &[String],
    ) -> io::Result<()> {
        let level = match level {
            AnnotationLevel::Error => "error",
            AnnotationLevel::Warning => "warning",
        };
        let lines: Vec<String> = lines.iter().map(|line| shown(line)).collect();
        let title = property(&cut(&shown(title), TITLE));
        let message = data(&cut(&lines.join("\n"), MESSAGE));
        self.command(&format!("::{level} title={title}::{message}"))
    }

    /// Begins a group; what follows belongs to it.
    pub(super) fn group(&mut self, title: &str) -> io::Result<()> {
        self.end_group()?;
        self.command(&format!("::group::{}", data(&shown(title))))?;
        self.group = true;
        Ok(())
    }

    /// Whether a group is open.
    pub(super) const fn in_group(&self) -> bool {
        self.group
    }

    /// Ends the group, where there is one.
    pub(super) fn end_group(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.group) {
            self.command("::endgroup::")?;
        }
        Ok(())
    }

    /// Lines that are no command.
    pub(super) fn lines(&mut self, lines: &str) -> io::Result<()> {
        self.resume()?;
        self.harmless(lines)
    }

    /// Lines that quote outside text, around which the runner reads no commands.
    pub(super) fn outside(&mut self, lines: &str) -> io::Result<()> {
        if self.stopped.is_none()
            && let Some(word) = unguessable()
        {
            self.raw(&format!("::stop-commands::{word}"))?;
            self.stopped = Some(word);
        }
        self.harmless(lines)
    }

    /// Lets the runner read commands again.
    pub(super) fn resume(&mut self) -> io::Result<()> {
        match self.stopped.take() {
            Some(word) => self.raw(&format!("::{word}::")),
            None => Ok(()),
        }
    }

    fn command(&mut self, command: &str) -> io::Result<()> {
        self.resume()?;
        self.raw(command)
    }

    fn harmless(&mut self, lines: &str) -> io::Result<()> {
        for line in lines.lines() {
            // Leading marks that the runner may pass over are not ASCII.
            let begins = line.trim_start_matches(|mark: char| {
                !mark.is_ascii() || mark.is_ascii_whitespace() || mark.is_ascii_control()
            });
            if begins.starts_with(':') {
                self.raw(&format!("| {line}"))?;
            } else {
                self.raw(line)?;
            }
        }
        Ok(())
    }

    fn raw(&mut self, line: &str) -> io::Result<()> {
        self.out.write_all(format!("{line}\n").as_bytes())?;
        self.out.flush()
    }
}

/// 128 random bits; none where the system has none to give.
fn unguessable() -> Option<String> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).ok()?;
    let mut word = String::with_capacity(2 * bits.len());
    for byte in bits {
        let _ = write!(word, "{byte:02x}");
    }
    Some(word)
}

/// At most this many UTF-16 units, which is what the runner counts.
fn cut(text: &str, max: usize) -> String {
    let more = " … (cut)";
    if text.encode_utf16().count() <= max {
        return text.to_owned();
    }
    let mut units = more.len();
    let kept: String = text
        .chars()
        .take_while(|character| {
            units += character.len_utf16();
            units <= max
        })
        .collect();
    format!("{kept}{more}")
}

/// A command's text, as the runner decodes it.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// A command's property, as the runner decodes it.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// What is shown of an annotation's lines at most.
pub(super) fn first(lines: impl IntoIterator<Item = String>, max: usize) -> Vec<String> {
    let mut lines: Vec<String> = lines.into_iter().collect();
    let more = lines.len().saturating_sub(max);
    if more > 0 {
        lines.truncate(max);
        lines.push(format!("… and {more} more lines in the log"));
    }
    lines
        .iter()
        .map(|line| text::line(line, text::LINE).into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{AnnotationLevel, Log, MESSAGE, TITLE, cut};

    fn written(tell: impl FnOnce(&mut Log<&mut Vec<u8>>)) -> String {
        let mut written = Vec::new();
        tell(&mut Log::new(&mut written));
        String::from_utf8(written).unwrap()
    }

    #[test]
    fn an_annotation_is_one_encoded_line() {
        let told = written(|log| {
            let lines = ["100 % of\r\n::error::it".to_owned(), "→ look".to_owned()];
            log.annotate(AnnotationLevel::Error, "a: b, c %", &lines)
                .unwrap();
        });
        assert_eq!(
            told,
            "::error title=a%3A b%2C c %25::100 %25 of\\r\\n::error::it%0A→ look\n"
        );
    }

    #[test]
    fn long_ones_are_cut() {
        let long = "𝕏".repeat(10_000);
        assert!(cut(&long, MESSAGE).encode_utf16().count() <= MESSAGE);
        assert_eq!(cut("abc", 3), "abc");
        let told = written(|log| {
            let lines = vec![long.clone(); 9];
            log.annotate(AnnotationLevel::Warning, &long, &lines)
                .unwrap();
        });
        let units = told.encode_utf16().count();
        assert!(units < MESSAGE + TITLE + 100, "{units}");
    }

    #[test]
    fn no_line_begins_as_a_command_does() {
        let told = written(|log| {
            log.lines("::error::a\n \u{2003}::b::\n\u{ad}::c::\nplain")
                .unwrap();
        });
        assert_eq!(
            told,
            "| ::error::a\n|  \u{2003}::b::\n| \u{ad}::c::\nplain\n"
        );
    }

    #[test]
    fn outside_text_stands_between_stop_and_resume() {
        let told = written(|log| {
            log.group("rollout").unwrap();
            log.outside("a\nb").unwrap();
            log.outside("c").unwrap();
            log.end_group().unwrap();
            log.outside("d").unwrap();
            log.resume().unwrap();
        });
        let lines: Vec<&str> = told.lines().collect();
        let word = lines[1].strip_prefix("::stop-commands::").unwrap();
        let other = lines[7].strip_prefix("::stop-commands::").unwrap();
        assert_eq!(word.len(), 32);
        assert_ne!(word, other);
        let (resume, again) = (format!("::{word}::"), format!("::{other}::"));
        assert_eq!(
            lines[2..7],
            ["a", "b", "c", resume.as_str(), "::endgroup::"]
        );
        assert_eq!(lines[8..], ["d", again.as_str()]);
    }
}
