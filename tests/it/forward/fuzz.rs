//! 1,000 answers made wrong by a seed: none is a success without a whole, valid
//! last word, and little of any is kept. A part of them goes through the real
//! program; with `DEPLOY_SOAK` all of them do.
//!
//! `DEPLOY_SOAK_SEED` repeats a run.

use deploy::forward::answer::{Answer, AnswerFormat, DeployIdentity, LINE_MAX};
use serde_json::Value;

use super::Site;
use super::hostile::{self, OPEN, last, progress, say};
use crate::harness::soak::{self, Dice};

const CASES: u64 = 1000;

/// Of so many, one goes through the real program.
const REAL: u64 = 50;

/// A good answer to the signal, made wrong in up to three ways.
fn answer(dice: &mut Dice, signal: &Value) -> Vec<u8> {
    let outcome = dice.of(&["success", "success", "success", "failure", "Success", ""]);
    let codes: [Value; 6] = [
        0.into(),
        0.into(),
        0.into(),
        7.into(),
        Value::Null,
        "0".into(),
    ];
    let code = dice.of(&codes);
    let more = serde_json::json!({ "outcome": outcome, "exit_code": code, "revision": 7 });
    let mut lines: Vec<Vec<u8>> = vec![progress("begun").into(), progress("ö\u{202e}\n").into()];
    lines.push(last(signal, &more).into());
    for _ in 0..dice.index(4) {
        spoil(dice, &mut lines, signal);
    }
    let mut bytes = lines.concat();
    for _ in 0..dice.index(3) {
        let at = dice.index(bytes.len());
        match dice.index(6) {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => bytes[at] ^= 1 << dice.index(8),
            2 => drop(bytes.drain(at..bytes.len().min(at + 1 + dice.index(9)))),
            3 => bytes.insert(at, u8::try_from(dice.index(256)).unwrap()),
            _ => {}
        }
    }
    bytes
}

fn spoil(dice: &mut Dice, lines: &mut Vec<Vec<u8>>, signal: &Value) {
    let at = dice.index(lines.len());
    let mut other = signal.clone();
    let field = dice.of(&["id", "app", "chart_version"]);
    other[field] = "1.4.3".into();
    let wrong = last(
        &other,
        &serde_json::json!({ "outcome": "success", "exit_code": 0 }),
    );
    let right = last(
        signal,
        &serde_json::json!({ "outcome": "success", "exit_code": 0 }),
    );
    match dice.index(14) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(at, lines[at].clone()),
        2 => lines.swap(at, 0),
        3 => lines.insert(at, b"\n".to_vec()),
        4 => lines.insert(at, b"Deploying...\n".to_vec()),
        5 => lines.insert(at, vec![b'x'; LINE_MAX + dice.index(9)]),
        6 => lines.insert(at, b"{\"event\":\"later\",\"message\":[{}]}\n".to_vec()),
        7 => lines[at] = wrong.into(),
        8 => lines.push(right.into()),
        9 => lines.push(progress("one more").into()),
        10 => lines[at] = b"[\"finished\",\"success\",0]\n".to_vec(),
        11 => lines.insert(at, "[".repeat(5000).into_bytes()),
        12 => {
            let twice = right.replace("{\"", "{\"exit_code\":3,\"outcome\":\"failure\",\"");
            lines[at] = twice.into();
        }
        _ => {}
    }
    if lines.is_empty() {
        lines.push(Vec::new());
    }
}

/// What every success has to fulfil, told in another way than the code does.
fn may_succeed(bytes: &[u8], signal: &Value) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let Some(whole) = text.trim_matches([' ', '\t', '\r']).strip_suffix('\n') else {
        return false;
    };
    let lines: Vec<&str> = whole
        .split('\n')
        .filter(|line| !line.trim().is_empty())
        .collect();
    let events: Vec<Value> = lines
        .iter()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let is_last = |event: &Value| event["event"] == "finished";
    let Some(end) = events.last() else {
        return false;
    };
    events.len() == lines.len()
        && events
            .iter()
            .all(|event| event.is_object() && event["event"].is_string())
        && events.iter().filter(|event| is_last(event)).count() == 1
        && is_last(end)
        && ["id", "app", "chart_version"]
            .iter()
            .all(|key| end[key] == signal[key])
        && end["outcome"] == "success"
        && end["exit_code"] == 0
}

/// The dice of a case.
fn dice(case: u64) -> Dice {
    Dice::of_seed(soak::seed() + case)
}

#[test]
fn none_is_a_success_without_a_valid_last_word() {
    let signal = serde_json::json!({ "id": "20261124T175106Z-a1b2c3", "app": "shop", "chart_version": "1.4.2" });
    let deploy = DeployIdentity {
        id: "20261124T175106Z-a1b2c3".to_owned(),
        app: "shop".to_owned(),
        chart_version: "1.4.2".to_owned(),
    };
    let mut succeeded = 0;
    for case in 0..CASES {
        let mut dice = dice(case);
        let bytes = answer(&mut dice, &signal);
        let mut read = Answer::new(deploy.clone(), AnswerFormat::Events);
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at((1 + dice.index(3000)).min(rest.len()));
            read.take(now);
            assert!(read.held() <= 2 * LINE_MAX, "case {case}");
            rest = later;
        }
        let success = read
            .end()
            .is_ok_and(|last| last.is_some_and(|last| last.success));
        let shown = String::from_utf8_lossy(&bytes);
        assert!(
            !success || may_succeed(&bytes, &signal),
            "case {case}:\n{shown}"
        );
        succeeded += u64::from(success);
    }
    // The good ones among them are recognised, or this would prove nothing.
    assert!((CASES / 50..CASES / 2).contains(&succeeded), "{succeeded}");
}

#[test]
fn nor_through_the_real_program() {
    let step = if soak::is_on() {
        1
    } else {
        usize::try_from(REAL).unwrap()
    };
    for case in (0..CASES).step_by(step) {
        let site = Site::on_socket();
        let (sender, receiver) = std::sync::mpsc::channel();
        site.controller(Box::new(move |stream, asked| {
            if !asked.line.starts_with("POST") {
                return hostile::status(stream, 404);
            }
            let signal = asked.signal();
            let bytes = answer(&mut dice(case), &signal);
            let _ = sender.send((bytes.clone(), signal));
            say(stream, OPEN);
            let _ = stream.write_all(&bytes);
        }));
        let ran = site.run();
        let (bytes, signal) = receiver.recv().unwrap();
        let code = ran.status.code().unwrap();
        let shown = String::from_utf8_lossy(&bytes);
        assert!(
            code != 0 || may_succeed(&bytes, &signal),
            "case {case}:\n{shown}"
        );
        assert!(
            [0, 7, 8].contains(&code),
            "case {case}: {}\n{shown}",
            ran.told()
        );
    }
}
