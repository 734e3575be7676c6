//! A controller's answer, byte by byte: its progress and its final event.
//!
//! Pure: bytes in, [`ProgressEvent`] and at the end [`FinalEvent`] or an
//! [`AnswerError`] out. All of it is hostile. What is kept is bounded whatever comes, and an answer that
//! leaves any doubt ends in an error, never in a success: the rules are those of
//! docs/forward-protocol.md.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::text;

/// The longest line, in bytes.
pub const LINE_MAX: usize = 64 << 10;

/// The longest answer, in bytes.
pub const TOTAL_MAX: u64 = 16 << 20;

/// How many lines of progress are passed on.
pub const TOLD_MAX: usize = 5000;

/// What is shown of a line that is wrong, in characters.
const SHOWN: usize = 200;

/// The deploy that an answer has to be about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeployIdentity {
    /// The run's id.
    pub id: String,
    /// The application.
    pub app: String,
    /// The chart's version.
    pub chart_version: String,
}

/// What lines may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerFormat {
    /// Events, nothing else, and a final one.
    Events,
    /// A program's output: a line that is no event is text, and whether a final
    /// event has to come is not for the answer to say.
    Output,
}

/// Progress, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgressEvent {
    /// Something changed.
    Progress(String),
    /// Worth knowing.
    Note(String),
    /// Something to see to.
    Warning(String),
}

/// The controller's final event (`finished`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FinalEvent {
    /// Whether the deploy succeeded: then [`Self::code`] is 0.
    pub success: bool,
    /// The exit code, where it named one.
    pub code: Option<i64>,
    /// Whether the last good revision serves, where it says so.
    pub serves: Option<bool>,
    /// Why, in one line.
    pub message: Option<String>,
    /// Evidence.
    pub details: Vec<String>,
    /// The revision after.
    pub revision: Option<u32>,
    /// The revision before.
    pub previous_revision: Option<u32>,
    /// The chart's digest.
    pub chart_digest: Option<String>,
    /// The images' digests by key.
    pub image_digests: BTreeMap<String, String>,
}

/// Why an answer is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerError {
    /// A line, by its number, that is no event.
    Malformed(u64, String),
    /// A line longer than [`LINE_MAX`], by its number.
    LongLine(u64),
    /// More than [`TOTAL_MAX`] bytes.
    Endless,
    /// The last line has no end.
    Torn(String),
    /// It ended without a final event.
    NoLast,
    /// A second final event.
    TwoLast,
    /// Something behind the final event.
    Behind(String),
    /// The final event is about another deploy.
    Other(String),
    /// The final event contradicts itself.
    Contradiction(String),
    /// The final event came, but the answer did not end.
    Unended,
}

/// An answer that comes in.
#[derive(Debug)]
pub struct Answer {
    deploy: DeployIdentity,
    form: AnswerFormat,
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// Whether the rest of the line is passed over: it was long, and no event.
    passing: bool,
    lines: u64,
    bytes: u64,
    told: usize,
    latest: Option<ProgressEvent>,
    last: Option<FinalEvent>,
    fault: Option<AnswerError>,
}

/// The one field that every event has.
#[derive(Deserialize)]
struct EventKind {
    event: String,
}

#[derive(Deserialize)]
struct MessageEvent {
    message: String,
}

/// The last event. What else it may hold is passed over.
#[derive(Deserialize)]
struct FinishedEvent {
    id: String,
    app: String,
    chart_version: String,
    outcome: Outcome,
    exit_code: Option<i64>,
    release: Option<ReleaseState>,
    message: Option<String>,
    #[serde(default)]
    details: Vec<String>,
    revision: Option<u32>,
    previous_revision: Option<u32>,
    chart_digest: Option<String>,
    #[serde(default)]
    image_digests: BTreeMap<String, String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Success,
    Failure,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ReleaseState {
    Serves,
    Broken,
}

impl Answer {
    /// An answer about `deploy`, of which nothing came yet.
    pub fn new(deploy: DeployIdentity, form: AnswerFormat) -> Self {
        Self {
            deploy,
            form,
            line: Vec::new(),
            passing: false,
            lines: 0,
            bytes: 0,
            told: 0,
            latest: None,
            last: None,
            fault: None,
        }
    }

    /// Takes what came. After a fault nothing more is looked at.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<ProgressEvent> {
        let mut told = Vec::new();
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        let mut parts = bytes.split(|byte| *byte == b'\n');
        let open = parts.next_back().unwrap_or_default();
        for part in parts {
            self.gather(part);
            self.ended(&mut told);
        }
        self.gather(open);
        if self.bytes > TOTAL_MAX {
            self.wrong(AnswerError::Endless);
        }
        told
    }

    /// What was found wrong so far.
    pub const fn fault(&self) -> Option<&AnswerError> {
        self.fault.as_ref()
    }

    /// Whether the final event came.
    pub const fn is_over(&self) -> bool {
        self.last.is_some()
    }

    /// What is kept of a line that has not ended, in bytes.
    pub fn held(&self) -> usize {
        self.line.capacity()
    }

    /// The answer ended. The final event, which only a program's output may lack.
    pub fn end(mut self) -> Result<Option<FinalEvent>, AnswerError> {
        let whole = || serde_json::from_slice::<IgnoredAny>(&self.line).is_ok();
        if self.form == AnswerFormat::Output && (!is_object(&self.line) || whole()) {
            // A program may leave its last line open.
            self.ended(&mut Vec::new());
        } else if !blank(&self.line) {
            let torn = shown(&self.line);
            self.wrong(AnswerError::Torn(torn));
        }
        match (self.fault, self.last) {
            (Some(fault), _) => Err(fault),
            (None, None) if self.form == AnswerFormat::Events => Err(AnswerError::NoLast),
            (None, last) => Ok(last),
        }
    }

    fn wrong(&mut self, fault: AnswerError) {
        self.fault.get_or_insert(fault);
        self.line = Vec::new();
    }

    fn gather(&mut self, part: &[u8]) {
        if self.fault.is_some() || self.passing {
            return;
        }
        let room = LINE_MAX - self.line.len();
        if part.len() <= room {
            self.line.extend_from_slice(part);
            return;
        }
        self.line.extend_from_slice(&part[..room]);
        if self.form == AnswerFormat::Events || is_object(&self.line) {
            self.wrong(AnswerError::LongLine(self.lines + 1));
        } else {
            self.passing = true;
        }
    }

    /// A line ended.
    fn ended(&mut self, told: &mut Vec<ProgressEvent>) {
        self.passing = false;
        self.lines += 1;
        if self.fault.is_some() {
            return;
        }
        let line = std::mem::take(&mut self.line);
        if !blank(&line) {
            match self.read(&line) {
                Ok(said) => self.tell(said, told),
                Err(fault) => self.wrong(fault),
            }
        }
        // Its memory is used again.
        if self.fault.is_none() {
            self.line = line;
            self.line.clear();
        }
    }

    /// Passes on what is new, up to a limit.
    fn tell(&mut self, said: Option<ProgressEvent>, told: &mut Vec<ProgressEvent>) {
        if said.is_none() || said == self.latest || self.told > TOLD_MAX {
            return;
        }
        self.told += 1;
        if self.told > TOLD_MAX {
            let note = format!("it sends more than {TOLD_MAX} lines; the rest is not shown");
            told.push(ProgressEvent::Note(note));
            return;
        }
        self.latest.clone_from(&said);
        told.extend(said);
    }

    /// What a line says, where it is to be passed on.
    fn read(&mut self, line: &[u8]) -> Result<Option<ProgressEvent>, AnswerError> {
        // Anything but an object would pass for one, field by field.
        let kind = is_object(line)
            .then(|| serde_json::from_slice::<EventKind>(line).ok())
            .flatten();
        if self.last.is_some() {
            let again = kind.is_some_and(|kind| kind.event == "finished");
            return Err(if again {
                AnswerError::TwoLast
            } else {
                AnswerError::Behind(shown(line))
            });
        }
        let number = self.lines;
        let malformed = || AnswerError::Malformed(number, shown(line));
        let Some(kind) = kind else {
            return match self.form {
                AnswerFormat::Events => Err(malformed()),
                AnswerFormat::Output => Ok(Some(ProgressEvent::Progress(
                    String::from_utf8_lossy(line).trim().to_owned(),
                ))),
            };
        };
        let message = || {
            serde_json::from_slice::<MessageEvent>(line)
                .map(|event| event.message)
                .map_err(|_| malformed())
        };
        Ok(match kind.event.as_str() {
            "progress" => Some(ProgressEvent::Progress(message()?)),
            "note" => Some(ProgressEvent::Note(message()?)),
            "warning" => Some(ProgressEvent::Warning(message()?)),
            "finished" => {
                let finished = serde_json::from_slice(line).map_err(|_| malformed())?;
                self.last = Some(self.check(finished)?);
                None
            }
            // A later version may tell more.
            _ => None,
        })
    }

    /// The final event, where it is about this deploy and does not contradict itself.
    fn check(&self, said: FinishedEvent) -> Result<FinalEvent, AnswerError> {
        let DeployIdentity {
            id,
            app,
            chart_version,
        } = &self.deploy;
        for (what, came, expected) in [
            ("the id", &said.id, id),
            ("the app", &said.app, app),
            ("the chart version", &said.chart_version, chart_version),
        ] {
            if came != expected {
                let came = text::quoted(came);
                return Err(AnswerError::Other(format!(
                    "{what} is {came}, expected {expected}"
                )));
            }
        }
        let success = said.outcome == Outcome::Success;
        let code = said.exit_code;
        let contradiction = match (success, code, said.release) {
            (true, None, _) => Some("success without an exit code".to_owned()),
            (true, Some(code), _) if code != 0 => Some(format!("success with exit code {code}")),
            (true, _, Some(ReleaseState::Broken)) => {
                Some("success with a broken release".to_owned())
            }
            (false, Some(0), _) => Some("failure with exit code 0".to_owned()),
            _ => None,
        };
        if let Some(contradiction) = contradiction {
            return Err(AnswerError::Contradiction(contradiction));
        }
        Ok(FinalEvent {
            success,
            code,
            serves: said.release.map(|release| release == ReleaseState::Serves),
            message: said.message,
            details: said.details,
            revision: said.revision,
            previous_revision: said.previous_revision,
            chart_digest: said.chart_digest,
            image_digests: said.image_digests,
        })
    }
}

fn is_object(line: &[u8]) -> bool {
    line.trim_ascii_start().first() == Some(&b'{')
}

fn blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

fn shown(line: &[u8]) -> String {
    text::line(&String::from_utf8_lossy(line), SHOWN).into_owned()
}

#[cfg(test)]
mod tests;
