#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use snapbox::{IntoData as _, assert_data_eq, str};

use super::{Channel, Size, Terminal};

mod eighty_columns;
mod waves;

use crate::error::{Error, Kind};
use crate::event::{Event, Phase, Report, Reporter as _, Summary, Unit, WorkloadProgress};

/// What a pipe gets.
fn shown(events: &[Event<'_>], quiet: bool) -> String {
    let (mut progress, mut result) = (Vec::new(), Vec::new());
    let mut terminal = Terminal::new(
        Channel::new(&mut progress, false),
        Channel::new(&mut result, false),
        quiet,
        None,
    );
    for event in events {
        terminal.event(event);
    }
    progress.extend(result);
    String::from_utf8(progress).unwrap()
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

fn report() -> Report {
    Report {
        summary: summary(),
        before: Some(3),
        revision: Some(4),
        unchanged: false,
        forward: None,
        targets: Vec::new(),
        dry_run: false,
        preview: None,
        restored: None,
        json: false,
        placed: vec![(
            "api".to_owned(),
            "ghcr.io/acme/api:1".to_owned(),
            vec!["Deployment/pytoya-api container api".to_owned()],
        )],
        took: Duration::from_millis(5230),
    }
}

fn workload(name: &str, ready: i32, wanted: i32, waits_for: Option<&str>) -> WorkloadProgress {
    WorkloadProgress {
        name: name.to_owned(),
        unit: Unit::ReadyPods,
        ready,
        wanted,
        waits_for: waits_for.map(str::to_owned),
    }
}

#[test]
fn a_good_deploy_reads_well() {
    let report = report();
    let events = [
        Event::Planned(&report.summary),
        Event::Note("the owner 'Acme' is written 'acme' in a registry"),
        Event::Done(Phase::Preflight, Duration::from_millis(340)),
        Event::Finished(&report),
    ];
    assert_data_eq!(
        shown(&events, false),
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
    assert_data_eq!(
        shown(&events, true),
        str![[r"
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
    for quiet in [false, true] {
        assert_data_eq!(
            shown(&[Event::Failed(&error)], quiet).raw(),
            str![[r"
error: helm said:\n::error::mine ##\u005bgroup]x
  | Error: UPGRADE FAILED\x1b[0m
  → look at the pods

"]]
            .raw()
        );
    }
}

/// A terminal that is as large as it is told, and what it shows.
struct Screen {
    written: Arc<Mutex<Vec<u8>>>,
    size: Arc<Mutex<Size>>,
    parser: vt100::Parser,
    terminal: Terminal<Pipe, Pipe>,
}

#[derive(Clone)]
struct Pipe(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // A terminal in its usual mode begins a new line with a return.
        for byte in bytes {
            if *byte == b'\n' {
                self.0.lock().unwrap().push(b'\r');
            }
            self.0.lock().unwrap().push(*byte);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn rows(count: u16) -> std::num::NonZero<u16> {
    std::num::NonZero::new(count).unwrap()
}

impl Screen {
    fn new(width: u16, height: u16) -> Self {
        Self::with(width, height, true)
    }

    fn with(width: u16, height: u16, colours: bool) -> Self {
        let written = Arc::new(Mutex::new(Vec::new()));
        let size = Arc::new(Mutex::new(Size {
            width: width.into(),
            height: height.into(),
        }));
        let told = Arc::clone(&size);
        let channel = || {
            let told = Arc::clone(&size);
            Channel::new(Pipe(Arc::clone(&written)), colours)
                .wrapped(move || told.lock().unwrap().width)
        };
        let terminal = Terminal::new(
            channel(),
            channel(),
            false,
            Some(Box::new(move || *told.lock().unwrap())),
        );
        Self {
            terminal,
            written,
            size,
            parser: vt100::Parser::new(rows(height), rows(width), 100),
        }
    }

    fn resize(&mut self, width: u16, height: u16) {
        *self.size.lock().unwrap() = Size {
            width: width.into(),
            height: height.into(),
        };
        self.parser.screen_mut().set_size(rows(height), rows(width));
    }

    fn shows(&mut self, event: &Event<'_>) -> String {
        self.terminal.event(event);
        let bytes = std::mem::take(&mut *self.written.lock().unwrap());
        self.parser.process(&bytes);
        self.parser.screen().contents()
    }
}

fn workloads(all: &[WorkloadProgress]) -> Event<'_> {
    Event::Workloads { all, news: all }
}

#[test]
fn a_terminal_shows_one_block_that_settles() {
    let mut screen = Screen::new(70, 20);
    let report = report();
    screen.shows(&Event::Planned(&report.summary));
    screen.shows(&Event::Started(Phase::Rollout));
    let waiting = [
        workload("pytoya-api", 0, 2, Some("container api to be ready")),
        workload("pytoya-web", 1, 1, None),
    ];
    screen.shows(&workloads(&waiting));
    assert_data_eq!(
        screen.shows(&workloads(&waiting)),
        str![[r"
pytoya in namespace prod ← oci://ghcr.io/acme/charts/pytoya 0.1.0
  api       ghcr.io/acme/api:1
  run       20261124T175106Z-a1b2c3
  rollout        0s  helm applies it, and its pods become ready
  · pytoya-api 0/2 ready – waiting for container api to be ready
  · pytoya-web 1/1 ready
"]]
    );
    screen.shows(&Event::Warning("the clock is late"));
    screen.shows(&workloads(&[
        workload("pytoya-api", 2, 2, None),
        workload("pytoya-web", 1, 1, None),
    ]));
    screen.shows(&Event::Done(Phase::Rollout, Duration::from_secs(5)));
    assert_data_eq!(
        screen.shows(&Event::Finished(&report)),
        str![[r"
pytoya in namespace prod ← oci://ghcr.io/acme/charts/pytoya 0.1.0
  api       ghcr.io/acme/api:1
  run       20261124T175106Z-a1b2c3
warning: the clock is late
  · pytoya-api 2/2 ready
  · pytoya-web 1/1 ready
  rollout      5.0s  helm applied it and all is ready
deployed pytoya revision 4 in 5.2s (before: 3)
  api       ghcr.io/acme/api:1
            in Deployment/pytoya-api container api
"]]
    );
}

#[test]
fn a_narrow_or_low_terminal_is_not_overrun() {
    let mut screen = Screen::new(30, 8);
    let many: Vec<WorkloadProgress> = (0..9)
        .map(|count| {
            workload(
                &format!("日本-{count}"),
                count / 5,
                1,
                (count < 5).then_some("its image, which is far away"),
            )
        })
        .collect();
    screen.shows(&Event::Started(Phase::Rollout));
    let shown = screen.shows(&workloads(&many));
    assert_data_eq!(
        shown,
        str![[r"
  rollout        0s  helm ap…
  · 日本-0 0/1 ready – waiti…
  · 日本-1 0/1 ready – waiti…
  · 日本-2 0/1 ready – waiti…
  · 日本-3 0/1 ready – waiti…
  · and 5 more, 4 of them re…
"]]
    );
    assert_eq!(screen.shows(&Event::Note("n")).matches("日本-0").count(), 1);
    // What is as wide as before is drawn over; what may have been wrapped stays.
    screen.resize(60, 8);
    assert_eq!(screen.shows(&Event::Note("n")).matches("日本-0").count(), 1);
    screen.resize(20, 30);
    let blocks = |shown: &str| shown.matches("rollout  ").count();
    assert_eq!(blocks(&screen.shows(&Event::Note("n"))), 2);
    let shown = screen.shows(&workloads(&many[5..]));
    assert_eq!(
        blocks(&shown),
        2,
        "the new one is drawn over again: {shown}"
    );
    let shown = screen.shows(&Event::Failed(&Error::new(Kind::Broken, "it broke")));
    assert_eq!(blocks(&shown), 1, "{shown}");
    assert!(shown.contains("日本-8 1/1 ready"), "{shown}");
    assert!(shown.trim_end().ends_with("error: it broke"), "{shown}");
}

#[test]
fn nothing_is_written_where_nothing_changed_and_colours_may_be_off() {
    let mut screen = Screen::with(70, 20, false);
    screen.shows(&Event::Started(Phase::Rollout));
    let line = [workload("pytoya-api", 0, 2, None)];
    screen.terminal.event(&workloads(&line));
    let first = std::mem::take(&mut *screen.written.lock().unwrap());
    let text = String::from_utf8(first).unwrap();
    assert!(text.starts_with("\r\u{1b}[1A\u{1b}[J  rollout"), "{text:?}");
    assert_eq!(text.matches('\u{1b}').count(), 2, "{text:?}");
}
