//! Each hostile string through every kind of event: the runner finds no command
//! but ours, the summary no element but ours, the terminal stays as it was.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use deploy::error::{Error, Kind};
use deploy::event::waves::{TargetNews, TargetOutcome, TargetReport, Wave, WaveNews};
use deploy::event::{Event, Phase, Report, Reporter, RunFacts, Summary, Unit, WorkloadProgress};
use deploy::report::github::{Files, GitHub};
use deploy::report::terminal::{Channel, Size, Terminal};
use regex::Regex;

use super::hostile::strings;
use super::page::{rendered, skeleton};
use super::runner::Step;

/// How a run may end.
#[derive(Clone, Copy, Debug)]
enum End {
    Well,
    DryRun,
    Failed(Kind),
}

/// The ends that show most, and those that show less of the same: of these a
/// part of the strings is enough.
const ENDS: [(End, usize); 4] = [
    (End::Failed(Kind::Broken), 1),
    (End::DryRun, 1),
    (End::Well, 10),
    (End::Failed(Kind::Request), 10),
];

/// A run in which every word that can come from outside is this one.
fn tell(reporter: &mut dyn Reporter, text: &str, end: End) {
    let some = || text.to_owned();
    let plan = Summary {
        run: some(),
        release: some(),
        namespace: some(),
        chart: some(),
        images: vec![(some(), some()), ("api".to_owned(), some())],
    };
    let workload = WorkloadProgress {
        name: some(),
        unit: Unit::ReadyPods,
        ready: 0,
        wanted: 1,
        waits_for: Some(some()),
    };
    let lines = [workload];
    // Nothing from outside gets into these but what has their form.
    let digest = format!("sha256:{}", "0".repeat(64));
    let facts = RunFacts {
        chart_digest: digest.parse().ok(),
        digests: BTreeMap::from([("api".parse().unwrap(), digest.parse().unwrap())]),
        layout: vec![text.to_owned()],
        before: Some(1),
        revision: Some(2),
        targets: vec![TargetReport {
            name: some(),
            wave: 1,
            cluster: some(),
            outcome: TargetOutcome::Unknown,
            version: Some(some()),
            cause: Some(some()),
        }],
        ..RunFacts::default()
    };
    reporter.event(&Event::Note(text));
    reporter.event(&Event::Planned(&plan));
    reporter.event(&Event::Started(Phase::Lock));
    reporter.event(&Event::Progress(text));
    reporter.event(&Event::Done(Phase::Lock, Duration::from_secs(1)));
    reporter.event(&Event::Warning(text));
    reporter.event(&Event::Started(Phase::Rollout));
    reporter.event(&Event::Workloads {
        all: &lines,
        news: &lines,
    });
    let wave = Wave { number: 1, of: 1 };
    let target = TargetNews {
        name: some(),
        cluster: some(),
        said: some(),
    };
    for news in [
        WaveNews::Begins(wave, vec![some(), some()]),
        WaveNews::Target(target),
    ] {
        reporter.event(&Event::Wave(&news));
    }
    reporter.event(&Event::Note(text));
    reporter.event(&Event::Warning(text));
    match end {
        End::Failed(kind) => {
            let error = Error::new(kind, text)
                .details([text, text])
                .detail(format!("  {text}"))
                .with_source(some())
                .hint(text)
                .hint(text);
            reporter.event(&Event::RunFacts(&facts));
            reporter.event(&Event::Failed(&error));
        }
        End::Well | End::DryRun => {
            reporter.event(&Event::Done(Phase::Rollout, Duration::from_secs(2)));
            reporter.event(&Event::RunFacts(&facts));
            reporter.event(&Event::Finished(&Report {
                summary: plan,
                before: Some(1),
                revision: Some(2),
                unchanged: false,
                forward: None,
                targets: facts.targets.clone(),
                dry_run: matches!(end, End::DryRun),
                preview: None,
                restored: None,
                json: false,
                placed: vec![(some(), some(), vec![some(), some()])],
                took: Duration::from_secs(3),
            }));
        }
    }
}

/// What is left of a run in Actions.
struct Left {
    log: Vec<u8>,
    summary: String,
    outputs: String,
}

fn in_actions(folder: &Path, text: &str, end: End) -> Left {
    let path = |name: &str| folder.join(name);
    for name in ["summary", "outputs"] {
        fs::write(path(name), "").unwrap();
    }
    let mut log = Vec::new();
    let files = Files {
        summary: Some(path("summary")),
        output: Some(path("outputs")),
    };
    tell(&mut GitHub::new(&mut log, files, false), text, end);
    let read = |name: &str| fs::read_to_string(path(name)).unwrap();
    Left {
        log,
        summary: read("summary"),
        outputs: read("outputs"),
    }
}

/// What of a run must be the same whatever the outside says.
fn shape(left: &Left, seconds: &Regex) -> [Vec<String>; 4] {
    let commands = |step: Step| -> Vec<String> {
        step.commands
            .iter()
            .map(|command| {
                let properties: Vec<&str> = command.properties.keys().map(String::as_str).collect();
                format!("{} {properties:?}", command.name)
            })
            .collect()
    };
    let page = skeleton(&rendered(&left.summary));
    [
        commands(Step::of(&left.log, &[])),
        commands(Step::without_stops(&left.log, &[])),
        page.iter()
            .map(|part| seconds.replace_all(part, "N s").into_owned())
            .collect(),
        left.outputs
            .lines()
            .map(|line| line.split('=').next().unwrap().to_owned())
            .collect(),
    ]
}

#[test]
fn no_word_from_outside_is_obeyed_in_actions() {
    let all = strings();
    assert!(all.len() >= 600, "{}", all.len());
    let seconds = Regex::new(r"\d+\.\d s").unwrap();
    let workers = 2;
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let (all, seconds) = (&all, &seconds);
            scope.spawn(move || {
                let folder = tempfile::tempdir().unwrap();
                for (end, part) in ENDS {
                    let benign = in_actions(folder.path(), "benign", end);
                    let expected = shape(&benign, seconds);
                    for text in all.iter().skip(worker).step_by(workers * part) {
                        let left = in_actions(folder.path(), text, end);
                        let mut found = shape(&left, seconds);
                        // An id that is no plain word is no output.
                        if found[3].len() < expected[3].len() {
                            found[3].push("run-id".to_owned());
                        }
                        assert_eq!(found, expected, "{end:?} {text:?}\n{}", left.summary);
                        harmless(&left, text);
                    }
                }
            });
        }
    });
}

/// Nothing of it steers a terminal, and none of it is without a bound.
fn harmless(left: &Left, text: &str) {
    for written in [
        &String::from_utf8_lossy(&left.log).into_owned(),
        &left.summary,
        &left.outputs,
    ] {
        let control = written.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(control, None, "{text:?}");
        assert!(
            written.len() < 400_000,
            "{} bytes of {text:.40?}",
            written.len()
        );
    }
}

#[test]
fn the_model_of_the_runner_finds_what_is_there() {
    let found = strings()
        .iter()
        .filter(|text| !Step::of(text.as_bytes(), &[]).commands.is_empty())
        .count();
    // Most spellings are read by a real runner too.
    assert!(found > 400, "{found}");
    let step = Step::of(
        b"out\n::x::\n::error::c",
        b"::stop-commands::x\n::error::a\n",
    );
    assert_eq!(step.commands.len(), 2, "stderr is read first: {step:?}");
    assert_eq!(step.log, ["::error::a", "", "out"]);
}

#[test]
fn a_terminal_stays_as_it_was() {
    let ours = Regex::new("\u{1b}\\[[0-9;]*[mAJ]").unwrap();
    let rows = |count| std::num::NonZero::new(count).unwrap();
    for (count, text) in strings().into_iter().enumerate() {
        for (end, _) in ENDS.into_iter().filter(|(_, part)| count % part == 0) {
            let (mut progress, mut result) = (Vec::new(), Vec::new());
            let size = Size {
                width: 80,
                height: 24,
            };
            let mut terminal = Terminal::new(
                Channel::new(&mut progress, true),
                Channel::new(&mut result, true),
                false,
                Some(Box::new(move || size)),
            );
            tell(&mut terminal, &text, end);
            drop(terminal);
            progress.extend(result);
            let written = String::from_utf8(progress).unwrap();
            let rest = ours.replace_all(&written, "");
            let control = rest
                .chars()
                .find(|c| c.is_control() && !matches!(c, '\n' | '\r'));
            assert_eq!(control, None, "{text:?}\n{rest:?}");
            let mut parser = vt100::Parser::new(rows(24), rows(80), 0);
            let fresh = parser.screen().state_formatted();
            parser.process(written.replace('\n', "\r\n").as_bytes());
            // What clears a screen and begins anew leaves nothing else behind.
            parser.process(b"\x1b[H\x1b[2J");
            assert_eq!(parser.screen().state_formatted(), fresh, "{text:?}");
        }
    }
}
