//! Reporters on a thread of their own, behind a queue: a terminal in Ctrl-S, a
//! full pipe or a slow disk stops only them, never the deploy.
//!
//! While they stand still progress is dropped beyond a bound, and counted. Notes,
//! warnings and results never are; they are few.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::waves::WaveNews;
use super::{Event, Phase, Report, Reporter, RunFacts, Summary, WorkloadProgress};
use crate::error::Error;
use crate::manifest::changes::Preview;

/// How many events wait before progress is dropped.
const ROOM: usize = 256;

/// An event that outlives the moment.
enum OwnedEvent {
    Planned(Summary),
    Started(Phase),
    Done(Phase, Duration),
    Progress(String),
    Workloads(Vec<WorkloadProgress>, Vec<WorkloadProgress>),
    Wave(WaveNews),
    Preview(Box<Preview>),
    Note(String),
    Warning(String),
    Suspended,
    Continued(Duration),
    RunFacts(Box<RunFacts>),
    Finished(Box<Report>),
    Failed(Error),
}

impl OwnedEvent {
    fn of(event: &Event<'_>) -> Self {
        match event {
            Event::Planned(summary) => Self::Planned((*summary).clone()),
            Event::Started(phase) => Self::Started(*phase),
            Event::Done(phase, took) => Self::Done(*phase, *took),
            Event::Progress(text) => Self::Progress((*text).to_owned()),
            Event::Workloads { all, news } => Self::Workloads(all.to_vec(), news.to_vec()),
            Event::Wave(news) => Self::Wave((*news).clone()),
            Event::Preview(preview) => Self::Preview(Box::new((*preview).clone())),
            Event::Note(text) => Self::Note((*text).to_owned()),
            Event::Warning(text) => Self::Warning((*text).to_owned()),
            Event::Suspended => Self::Suspended,
            Event::Continued(passed) => Self::Continued(*passed),
            Event::RunFacts(facts) => Self::RunFacts(Box::new((*facts).clone())),
            Event::Finished(report) => Self::Finished(Box::new((*report).clone())),
            Event::Failed(error) => Self::Failed(error.retold()),
        }
    }

    fn event(&self) -> Event<'_> {
        match self {
            Self::Planned(summary) => Event::Planned(summary),
            Self::Started(phase) => Event::Started(*phase),
            Self::Done(phase, took) => Event::Done(*phase, *took),
            Self::Progress(text) => Event::Progress(text),
            Self::Workloads(all, news) => Event::Workloads { all, news },
            Self::Wave(news) => Event::Wave(news),
            Self::Preview(preview) => Event::Preview(preview),
            Self::Note(text) => Event::Note(text),
            Self::Warning(text) => Event::Warning(text),
            Self::Suspended => Event::Suspended,
            Self::Continued(passed) => Event::Continued(*passed),
            Self::RunFacts(facts) => Event::RunFacts(facts),
            Self::Finished(report) => Event::Finished(report),
            Self::Failed(error) => Event::Failed(error),
        }
    }

    const fn is_progress(&self) -> bool {
        matches!(
            self,
            Self::Progress(_) | Self::Workloads(..) | Self::Wave(WaveNews::Target(_))
        )
    }
}

#[derive(Default)]
struct State {
    waiting: VecDeque<OwnedEvent>,
    /// How much progress was left out since the last line.
    dropped: usize,
    /// Whether a reporter has an event now.
    busy: bool,
    /// Nothing comes any more.
    closed: bool,
    /// The reporters are gone.
    ended: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for this, for at most `limit`; whether it came to be.
    fn until(&self, limit: Duration, mut done: impl FnMut(&State) -> bool) -> bool {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        while !done(&state) {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                return false;
            };
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// Where events are put for the reporters. Clones are the same queue.
#[derive(Clone)]
pub struct EventQueue(Arc<Shared>);

impl EventQueue {
    /// A queue for these reporters, and the thread that they work on. It ends when
    /// the queue is closed, or with the process.
    pub(super) fn start(reporters: Vec<Box<dyn Reporter>>) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let queue = Self(Arc::clone(&shared));
        std::thread::Builder::new()
            .name("report".to_owned())
            .spawn(move || report(&shared, reporters))?;
        Ok(queue)
    }

    /// Puts an event at the end; never waits.
    pub fn emit(&self, event: &Event<'_>) {
        let event = OwnedEvent::of(event);
        let mut state = self.0.lock();
        if event.is_progress() && state.waiting.len() >= ROOM {
            state.dropped += 1;
            return;
        }
        state.waiting.push_back(event);
        self.0.changed.notify_all();
    }

    /// Waits until the reporters have taken all, for at most `limit`.
    pub fn flush(&self, limit: Duration) {
        self.0
            .until(limit, |state| state.waiting.is_empty() && !state.busy);
    }

    /// Ends the reporters when they have taken all; waits for that for at most
    /// `limit`. Whether they ended.
    pub(super) fn close(&self, limit: Duration) -> bool {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
        self.0.until(limit, |state| state.ended)
    }
}

fn report(shared: &Shared, mut reporters: Vec<Box<dyn Reporter>>) {
    while let Some(event) = next(shared) {
        give(&mut reporters, &event.event());
        shared.lock().busy = false;
        shared.changed.notify_all();
    }
    drop(reporters);
    shared.lock().ended = true;
    shared.changed.notify_all();
}

/// Gives an event to every reporter. One that panics gets no more of them: what
/// it says is not worth a deploy.
pub(super) fn give(reporters: &mut Vec<Box<dyn Reporter>>, event: &Event<'_>) {
    reporters
        .retain_mut(|reporter| catch_unwind(AssertUnwindSafe(|| reporter.event(event))).is_ok());
}

fn next(shared: &Shared) -> Option<OwnedEvent> {
    let mut state = shared.lock();
    loop {
        if state.dropped > 0 && state.waiting.is_empty() {
            let dropped = std::mem::take(&mut state.dropped);
            state.busy = true;
            return Some(OwnedEvent::Progress(format!(
                "{dropped} lines of progress are left out: the output stood still"
            )));
        }
        if let Some(event) = state.waiting.pop_front() {
            state.busy = true;
            return Some(event);
        }
        if state.closed {
            return None;
        }
        let waited = shared.changed.wait(state);
        state = waited.unwrap_or_else(PoisonError::into_inner);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::super::{Event, Events, Reporter};
    use super::{EventQueue, ROOM};
    use crate::error::{Error, Kind};

    const LONG: Duration = Duration::from_secs(30);
    const SHORT: Duration = Duration::from_millis(20);

    /// Writes down what it is given, once it may.
    struct Slow {
        said: Arc<Mutex<Vec<String>>>,
        go: Receiver<()>,
        begun: Sender<()>,
    }

    impl Reporter for Slow {
        fn event(&mut self, event: &Event<'_>) {
            let _ = self.begun.send(());
            let _ = self.go.recv();
            let said = match event {
                Event::Progress(text) | Event::Note(text) | Event::Warning(text) => {
                    (*text).to_owned()
                }
                Event::Failed(error) => format!("{error}: {:?}", error.evidence()),
                other => format!("{other:?}"),
            };
            self.said.lock().unwrap().push(said);
        }
    }

    #[test]
    fn what_stands_still_drops_progress_and_nothing_else() {
        let said = Arc::new(Mutex::new(Vec::new()));
        let ((go, gone), (begun, begins)) = (channel(), channel());
        let slow = Slow {
            said: Arc::clone(&said),
            go: gone,
            begun,
        };
        let queue = EventQueue::start(vec![Box::new(slow)]).unwrap();
        queue.emit(&Event::Progress("first"));
        begins.recv().unwrap();
        // A blocked terminal: nobody waits for it.
        for line in 0..ROOM + 50 {
            queue.emit(&Event::Progress(&line.to_string()));
        }
        queue.emit(&Event::Warning("seen"));
        let error = Error::new(Kind::Broken, "it broke")
            .with_source(std::io::Error::other("a cause"))
            .detail("a detail");
        queue.emit(&Event::Failed(&error));
        assert!(!queue.close(SHORT), "it stands still");
        drop(go);
        assert!(queue.close(LONG));
        let said = said.lock().unwrap();
        assert_eq!(said.len(), ROOM + 4);
        assert_eq!((said[0].as_str(), said[1].as_str()), ("first", "0"));
        assert_eq!(said[ROOM + 1], "seen");
        assert_eq!(said[ROOM + 2], r#"it broke: ["a detail", "a cause"]"#);
        assert!(
            said[ROOM + 3].starts_with("50 lines of progress"),
            "{said:?}"
        );
    }

    /// Panics at a note, and tells of all else.
    struct Fragile(Sender<String>);

    impl Reporter for Fragile {
        fn event(&mut self, event: &Event<'_>) {
            assert!(!matches!(event, Event::Note(_)), "a bug of the reporter");
            let _ = self.0.send(format!("{event:?}"));
        }
    }

    /// Tells of all.
    struct Sound(Sender<String>);

    impl Reporter for Sound {
        fn event(&mut self, event: &Event<'_>) {
            let _ = self.0.send(format!("{event:?}"));
        }
    }

    #[test]
    fn a_reporter_that_panics_is_no_failure_and_gets_no_more() {
        let ((one, ones), (other, others)) = (channel(), channel());
        let events = Events::to(vec![Box::new(Fragile(one)), Box::new(Sound(other))]);
        events.start_queue();
        events.progress("a");
        events.note("b");
        events.progress("c");
        drop(events);
        assert_eq!(ones.iter().count(), 1);
        assert_eq!(others.iter().count(), 3);
    }
}
