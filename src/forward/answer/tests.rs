#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::{
    Answer, AnswerError, AnswerFormat, DeployIdentity, FinalEvent, LINE_MAX, ProgressEvent,
    TOLD_MAX,
};

fn deploy() -> DeployIdentity {
    DeployIdentity {
        id: "20261124T175106Z-a1b2c3".to_owned(),
        app: "shop".to_owned(),
        chart_version: "1.4.2".to_owned(),
    }
}

/// A last word with these fields behind those that it must have.
fn last(more: &str) -> String {
    format!(
        "{{\"event\":\"finished\",\"id\":\"20261124T175106Z-a1b2c3\",\"app\":\"shop\",\
         \"chart_version\":\"1.4.2\",{more}}}\n"
    )
}

const GOOD: &str = "\"outcome\":\"success\",\"exit_code\":0";

fn read(
    form: AnswerFormat,
    text: &str,
) -> (Vec<ProgressEvent>, Result<Option<FinalEvent>, AnswerError>) {
    let mut answer = Answer::new(deploy(), form);
    let told = answer.take(text.as_bytes());
    (told, answer.end())
}

fn fault(text: &str) -> AnswerError {
    read(AnswerFormat::Events, text).1.unwrap_err()
}

#[test]
fn a_whole_answer_is_believed() {
    let text = format!(
        "{{\"event\":\"progress\",\"message\":\"a\"}}\n\n{{\"event\":\"later\",\"message\":{{}}}}\r\n\
         {{\"event\":\"progress\",\"message\":\"a\"}}\n {{\"event\":\"note\",\"message\":\"b\"}}\n\
         {{\"event\":\"warning\",\"message\":\"c\"}}\n{}\n \n",
        last(
            "\"outcome\":\"success\",\"exit_code\":0,\"revision\":7,\"previous_revision\":6,\"x\":[]"
        )
    );
    let (told, end) = read(AnswerFormat::Events, &text);
    let expected = [
        ProgressEvent::Progress("a".to_owned()),
        ProgressEvent::Note("b".to_owned()),
        ProgressEvent::Warning("c".to_owned()),
    ];
    assert_eq!(told, expected);
    let end = end.unwrap().unwrap();
    assert!(end.success);
    assert_eq!((end.previous_revision, end.revision), (Some(6), Some(7)));
}

#[test]
fn a_failure_says_what_it_says() {
    let text = last(
        "\"outcome\":\"failure\",\"exit_code\":77,\"release\":\"serves\",\"message\":\"m\",\"details\":[\"d\"]",
    );
    let end = read(AnswerFormat::Events, &text).1.unwrap().unwrap();
    assert!(!end.success);
    assert_eq!((end.code, end.serves), (Some(77), Some(true)));
    assert_eq!((end.message.as_deref(), end.details.len()), (Some("m"), 1));
}

#[test]
fn every_doubt_is_a_fault() {
    let good = last(GOOD);
    assert_eq!(fault(""), AnswerError::NoLast);
    assert_eq!(
        fault("{\"event\":\"progress\",\"message\":\"a\"}\n"),
        AnswerError::NoLast
    );
    assert!(matches!(fault(good.trim_end()), AnswerError::Torn(_)));
    assert!(matches!(fault(&good[..40]), AnswerError::Torn(_)));
    assert_eq!(fault(&format!("{good}{good}")), AnswerError::TwoLast);
    assert!(matches!(fault(&format!("{good}x")), AnswerError::Torn(_)));
    assert!(matches!(
        fault(&format!("{good}x\n")),
        AnswerError::Behind(_)
    ));
    let after = format!("{good}{{\"event\":\"progress\",\"message\":\"a\"}}\n");
    assert!(matches!(fault(&after), AnswerError::Behind(_)));
    for (more, word) in [
        ("\"outcome\":\"success\"", "without an exit code"),
        ("\"outcome\":\"success\",\"exit_code\":3", "exit code 3"),
        ("\"outcome\":\"failure\",\"exit_code\":0", "exit code 0"),
        (
            "\"outcome\":\"success\",\"exit_code\":0,\"release\":\"broken\"",
            "broken release",
        ),
    ] {
        let AnswerError::Contradiction(said) = fault(&last(more)) else {
            panic!("{more}");
        };
        assert!(said.contains(word), "{said}");
    }
    for (from, to, word) in [
        ("a1b2c3", "a1b2c4", "the id"),
        ("\"shop\"", "\"shopp\"", "the app"),
        ("1.4.2", "1.4.1", "the chart version"),
    ] {
        let AnswerError::Other(said) = fault(&good.replace(from, to)) else {
            panic!("{from}");
        };
        assert!(said.starts_with(word), "{said}");
    }
}

#[test]
fn what_is_no_event_is_a_fault() {
    for line in [
        "plain text",
        "[\"finished\"]",
        "[\"finished\",\"20261124T175106Z-a1b2c3\",\"shop\",\"1.4.2\",\"success\",0]",
        "\"finished\"",
        "{}",
        "{\"event\":7}",
        "{\"event\":\"progress\"}",
        "{\"event\":\"progress\",\"message\":7}",
        "{\"event\":\"progress\",\"event\":\"finished\",\"message\":\"a\"}",
        "{\"event\":\"finished\"}",
        "\u{feff}{\"event\":\"later\"}",
    ] {
        assert!(
            matches!(fault(&format!("{line}\n")), AnswerError::Malformed(1, _)),
            "{line}"
        );
    }
    for more in [
        "\"outcome\":\"Success\",\"exit_code\":0",
        "\"outcome\":\"success\",\"exit_code\":\"0\"",
        "\"outcome\":\"success\",\"exit_code\":0.0",
        "\"outcome\":\"success\",\"exit_code\":0,\"exit_code\":0",
        "\"outcome\":\"failure\",\"outcome\":\"success\",\"exit_code\":0",
        "\"outcome\":\"success\",\"exit_code\":0,\"release\":\"fine\"",
    ] {
        assert!(
            matches!(fault(&last(more)), AnswerError::Malformed(1, _)),
            "{more}"
        );
    }
}

#[test]
fn a_program_may_say_anything_but_a_wrong_last_word() {
    let say = |text: &str| read(AnswerFormat::Output, text);
    let (told, end) = say("starting\n{\"level\":\"info\"}\n[1]\nopen");
    assert_eq!(told[0], ProgressEvent::Progress("starting".to_owned()));
    assert_eq!((told.len(), end), (3, Ok(None)));
    assert!(say(&last(GOOD)).1.unwrap().unwrap().success);
    assert!(say(last(GOOD).trim_end()).1.unwrap().unwrap().success);
    assert!(say(&format!("{}bye\n", last(GOOD))).1.is_err());
    assert!(say(&last(GOOD)[..50]).1.is_err());
    assert!(say(&last("\"outcome\":5")).1.is_err());
    let long = "x".repeat(LINE_MAX + 10);
    assert_eq!(say(&format!("{long}\nnext\n")).1, Ok(None));
    assert_eq!(say(&format!("{{{long}\n")).1, Err(AnswerError::LongLine(1)));
}

#[test]
fn what_is_kept_and_told_is_bounded() {
    let mut answer = Answer::new(deploy(), AnswerFormat::Events);
    for _ in 0..LINE_MAX {
        answer.take(b"\"xxxxxxxxxxxx");
        assert!(answer.held() <= 2 * LINE_MAX);
    }
    assert_eq!(answer.fault(), Some(&AnswerError::LongLine(1)));

    let mut answer = Answer::new(deploy(), AnswerFormat::Events);
    let mut told = 0;
    for count in 0..1_000_000 {
        let line = format!("{{\"event\":\"progress\",\"message\":\"{count}\"}}\n");
        told += answer.take(line.as_bytes()).len();
        if answer.fault().is_some() {
            break;
        }
    }
    assert_eq!(answer.fault(), Some(&AnswerError::Endless));
    assert_eq!(told, TOLD_MAX + 1);
}

proptest! {
    #[test]
    fn how_it_is_cut_into_pieces_changes_nothing(
        cuts in proptest::collection::vec(1_usize..60, 1..40),
        tail in "[a-z{}\" \n]{0,6}",
        output: bool,
    ) {
        let text = format!(
            "{{\"event\":\"progress\",\"message\":\"a\"}}\n{{\"event\":\"note\",\"message\":\"b\"}}\n{}{tail}",
            last(GOOD)
        );
        let form = if output { AnswerFormat::Output } else { AnswerFormat::Events };
        let mut answer = Answer::new(deploy(), form);
        let mut told = Vec::new();
        let mut rest = text.as_bytes();
        for cut in cuts.iter().cycle() {
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            told.extend(answer.take(now));
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!((told, answer.end()), read(form, &text));
    }

    #[test]
    fn no_bytes_make_a_success(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut answer = Answer::new(deploy(), AnswerFormat::Events);
        answer.take(&bytes);
        prop_assert!(answer.end().is_err());
    }
}
