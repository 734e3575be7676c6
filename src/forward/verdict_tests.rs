#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::{DeployIdentity, FinalEvent, Kind, Peer, ProgramExit};
use crate::error::UnixSignal;
use crate::plan::forward::ForwardTarget;

fn who() -> Peer {
    Peer::new(&ForwardTarget::Unix("/run/c.sock".into()))
}

fn failure(code: Option<i64>, serves: Option<bool>) -> FinalEvent {
    FinalEvent {
        code,
        serves,
        message: Some("the database is down".to_owned()),
        ..FinalEvent::default()
    }
}

fn success() -> FinalEvent {
    FinalEvent {
        success: true,
        code: Some(0),
        ..FinalEvent::default()
    }
}

#[test]
fn its_code_is_taken_where_it_is_one_of_ours() {
    for (code, serves, kind) in [
        (Some(1), None, Kind::Internal),
        (Some(2), None, Kind::Request),
        (Some(3), None, Kind::Node),
        (Some(4), Some(true), Kind::Policy),
        (Some(5), None, Kind::Registry),
        (Some(6), None, Kind::Chart),
        (Some(7), None, Kind::RolledBack),
        (Some(8), Some(true), Kind::Broken),
        (Some(9), None, Kind::Locked),
        (Some(129), None, Kind::Cancelled(UnixSignal::Hangup)),
        (Some(130), None, Kind::Cancelled(UnixSignal::Interrupt)),
        (Some(143), None, Kind::Cancelled(UnixSignal::Terminate)),
        (Some(10), Some(true), Kind::RolledBack),
        (Some(256), Some(false), Kind::Broken),
        (Some(-1), None, Kind::Broken),
        (None, Some(true), Kind::RolledBack),
        (None, None, Kind::Broken),
    ] {
        let error = who().last(failure(code, serves)).unwrap_err();
        assert_eq!(error.kind(), kind, "{code:?} {serves:?}");
        assert_eq!(
            error.to_string(),
            "the controller at unix:/run/c.sock says: the database is down"
        );
    }
    assert!(who().last(success()).is_ok());
}

#[test]
fn the_exit_status_of_a_program_decides() {
    let end = |code, last| {
        who()
            .exited(ProgramExit::Code(code), last, Vec::new())
            .map_err(|error| error.kind())
    };
    assert!(end(0, None).is_ok());
    assert!(end(0, Some(success())).is_ok());
    for (code, last, kind) in [
        (0, Some(failure(Some(7), None)), Kind::Broken),
        (4, None, Kind::Policy),
        (7, Some(success()), Kind::RolledBack),
        (1, None, Kind::Broken),
        (1, Some(success()), Kind::Broken),
        (1, Some(failure(None, Some(true))), Kind::RolledBack),
        (1, Some(failure(Some(5), None)), Kind::Registry),
        (1, Some(failure(Some(1), None)), Kind::Internal),
        (42, Some(failure(Some(5), None)), Kind::Registry),
        (42, Some(failure(Some(42), Some(true))), Kind::RolledBack),
        (127, None, Kind::Broken),
    ] {
        assert_eq!(end(code, last), Err(kind), "{code}");
    }
    let killed = who().exited(ProgramExit::Killed(9), Some(success()), Vec::new());
    assert_eq!(killed.unwrap_err().kind(), Kind::Broken);
}

#[test]
fn no_status_but_200_is_a_success() {
    let deploy = DeployIdentity {
        id: "i".to_owned(),
        app: "shop".to_owned(),
        chart_version: "1.0.0".to_owned(),
    };
    let event = |more: &str| {
        format!(
            "{{\"event\":\"finished\",\"id\":\"i\",\"app\":\"shop\",\"chart_version\":\"1.0.0\",{more}}}"
        )
    };
    let good = event("\"outcome\":\"success\",\"exit_code\":0");
    let refused = event("\"outcome\":\"failure\",\"exit_code\":4,\"message\":\"frozen\"");
    for (status, body, kind) in [
        (201, good.as_str(), Kind::Broken),
        (204, "", Kind::Broken),
        (302, "", Kind::Node),
        (400, "bad", Kind::Node),
        (401, "", Kind::Node),
        (404, "", Kind::Node),
        (409, "", Kind::Locked),
        (409, refused.as_str(), Kind::Policy),
        (500, good.as_str(), Kind::Broken),
        (503, "", Kind::Node),
        (599, "", Kind::Broken),
    ] {
        let error = who().status(status, body.as_bytes(), &deploy);
        assert_eq!(error.kind(), kind, "{status} {body}: {error}");
    }
}

#[test]
fn silence_is_told_from_being_late() {
    let minute = Duration::from_secs(60);
    for (quiet, said) in [
        (None, "said nothing within 1m, the timeout"),
        (
            Some(Duration::from_secs(45)),
            "it last said something 45s before",
        ),
        (
            Some(Duration::from_millis(100)),
            "and still reported progress",
        ),
    ] {
        let error = who().late(minute, quiet);
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!(error.kind(), Kind::Broken);
    }
}
