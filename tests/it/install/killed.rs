//! Killed between any two of its steps: nothing half there, the old script not
//! lost, and the same command again ends as if nothing had been.
//!
//! Every program that can change something is a function here, which counts the
//! calls and kills the whole process group before the one that it was told: the
//! programs by themselves would not do, since busybox's shell never looks for
//! its own. On dash's machine nothing else is found, so no change goes
//! uncounted: between two of these calls nothing differs. `DEPLOY_SOAK` set, it
//! is killed before every call; else before every third, dash's and busybox's
//! turn about.

use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt as _;

use super::machine::{Machine, PROGRAMS, WRITERS, in_both_shells, release};
use super::{BEFORE, BINARY, DOCUMENTS, PREVIOUS, SCRIPT, SETTINGS, STATE};

const HOOKS: &str = "/hooks";
const OLD: &str = "the old script";

/// Puts the functions there.
fn arm(machine: &Machine) {
    let mut hooks = "hooked() {\n  read -r hooked_count </count; read -r hooked_stop </stop\n  \
                     hooked_count=$((hooked_count + 1)); echo $hooked_count >/count\n  \
                     [ $hooked_count != $hooked_stop ] || kill -KILL 0\n}\n"
        .to_owned();
    for program in WRITERS {
        writeln!(hooks, "{program}() {{ hooked; command {program} \"$@\"; }}").unwrap();
    }
    machine.write(HOOKS, &hooks);
}

/// Runs install.sh until it would make its call of this number; says how many
/// calls it came to.
fn killed_at(machine: &Machine, call: usize, args: &[&str]) -> usize {
    machine.write("/count", "0\n");
    machine.write("/stop", &format!("{call}\n"));
    let script = format!(". {HOOKS}; . /install.sh");
    let command = [&["/bin/sh", "-c", &script, "install.sh"], args].concat();
    let ran = machine.run(0, PROGRAMS, &command);
    let (ended, killed) = (ran.status.success(), ran.status.signal() == Some(9));
    assert!(if call == 0 { ended } else { killed }, "{}", ran.said);
    machine.read("/count").unwrap().trim().parse().unwrap()
}

/// What must be so at every instant.
fn is_whole(machine: &Machine, when: &str) {
    let versions = [release("1.0.0"), release("2.0.0")];
    let whole = |text: &String| versions.contains(text);
    let (binary, previous) = (machine.read(BINARY), machine.read(PREVIOUS));
    assert!(
        binary.iter().chain(&previous).all(whole),
        "{when}: half a binary"
    );
    match machine.link(SCRIPT) {
        Some(to) => assert!(
            to == BINARY && binary.is_some(),
            "{when}: the link leads nowhere"
        ),
        None => assert!(
            machine.read(SCRIPT).is_none_or(|text| text == OLD),
            "{when}"
        ),
    }
    let kept = [SCRIPT, BEFORE].map(|path| machine.read(path).filter(|text| text == OLD));
    assert!(
        kept.iter().any(Option::is_some),
        "{when}: the old script is lost"
    );
    for document in DOCUMENTS {
        let text = machine.read(document);
        assert!(
            text.is_none_or(|text| text.ends_with(".0.0\n")),
            "{when}: half of {document}"
        );
    }
    let settings = machine.read(SETTINGS);
    assert!(
        settings.is_none_or(|text| text.ends_with("file\n")),
        "{when}"
    );
    if let Some(state) = machine.listing().get(STATE) {
        assert_eq!(state, "750 of 64001", "{when}");
    }
}

/// Kills the command at each of its calls, each time beginning with the machine
/// as it is now.
fn everywhere(machine: &Machine, args: &[&str], first: usize) {
    let start = machine.keep();
    let calls = killed_at(machine, 0, args);
    let end = machine.listing();
    assert!(calls > 3, "{calls} calls");
    let every = if std::env::var_os("DEPLOY_SOAK").is_some() {
        1
    } else {
        3
    };
    for call in (1..=calls).filter(|call| call % every == first % every) {
        machine.restore(&start);
        let when = format!("{args:?}, killed at call {call} of {calls}");
        assert_eq!(killed_at(machine, call, args), call, "{when}");
        is_whole(machine, &when);
        machine.install(args).exits(0);
        is_whole(machine, &when);
        assert_eq!(machine.listing(), end, "{when}");
    }
}

in_both_shells! {
    /// From a fresh node to an upgrade, back, and away.
    fn between_any_two_steps(machine) {
        arm(machine);
        machine.write(SCRIPT, OLD);
        let (old, new) = (machine.release("1.0.0"), machine.release("2.0.0"));
        let first = usize::from(machine.path("bin/busybox").exists());
        everywhere(machine, &["--from", &old], first);
        everywhere(machine, &["--from", &new], first);
        everywhere(machine, &["--rollback"], first);
        everywhere(machine, &["--uninstall"], first);
    }
}
