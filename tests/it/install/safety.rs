//! What must not happen: a foreign program, half a download, a symlink that
//! leads root elsewhere, a script that is lost.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown, symlink};

use super::machine::{Machine, PROGRAMS, RUNNER, Shell, in_both_shells};
use super::{BEFORE, BINARY, SCRIPT, STATE, installed};

in_both_shells! {
    /// The old script stays callable under another name, whatever it was.
    fn what_was_there_before_is_kept(machine) {
        let from = machine.release("1.0.0");
        machine.write(SCRIPT, "the old script");
        machine.install(&["--from", &from]).exits(0).says(BEFORE);
        assert_eq!(machine.read(BEFORE).unwrap(), "the old script");

        // Someone puts a symlink of theirs back: that is kept too, the first stays.
        fs::remove_file(machine.path(SCRIPT)).unwrap();
        symlink("/opt/old/deploy.sh", machine.path(SCRIPT)).unwrap();
        machine.install(&["--from", &from]).exits(0);
        assert_eq!(machine.read(BEFORE).unwrap(), "the old script");
        assert_eq!(machine.link(&format!("{BEFORE}.2")).unwrap(), "/opt/old/deploy.sh");
        assert_eq!(machine.link(SCRIPT).unwrap(), BINARY);
    }
}

in_both_shells! {
    /// What does not run as deploy is not installed.
    fn other_programs(machine) {
        machine.install(&["--from", &machine.release("1.0.0")]).exits(0);
        machine.write("text", "not a program");
        machine.program("other", "#!/bin/sh\necho other 1.0.0\n");
        machine.program("failing", "#!/bin/sh\necho deploy 1.0.0\nexit 1\n");
        let before = machine.listing();
        for from in ["/text", "/other", "/failing"] {
            machine.install(&["--from", from]).exits(1).says("does not run here as deploy");
        }
        machine.install(&["--from", "/nothing"]).exits(1).says("there is no file");
        assert_eq!(machine.listing(), before);
        assert_eq!(installed(machine), "deploy 1.0.0");
    }
}

in_both_shells! {
    /// Nothing is installed where the link has no place.
    fn no_place_for_the_link(machine) {
        let from = machine.release("1.0.0");
        fs::create_dir(machine.path("/home/github-runner/folder")).unwrap();
        let before = machine.listing();
        machine.install(&["--from", &from, "--link", "/home/nobody/deploy.sh"]).exits(3).says("there is no directory");
        assert_eq!(machine.listing(), before);
        machine.install(&["--from", &from, "--link", "/home/github-runner/folder"]).exits(3).says("is a directory");
        assert!(machine.path("/home/github-runner/folder").is_dir());
    }
}

in_both_shells! {
    /// As root it follows no symlink in the runner's home, and puts nothing
    /// where the runner could replace it.
    fn symlinks_in_the_runners_home(machine) {
        let from = machine.release("1.0.0");
        fs::create_dir(machine.path("/root")).unwrap();
        let outside = |name: &str| symlink("/root", machine.path(&format!("/home/github-runner/{name}"))).unwrap();
        outside("way");
        machine.install(&["--from", &from, "--link", "/home/github-runner/way/deploy.sh"]).exits(3).says("is a symlink");
        // At every name that install.sh uses, leading to a folder of root's.
        outside("deploy.sh");
        outside("deploy.sh.before");
        outside(".deploy.sh.new.1");
        machine.install(&["--from", &from]).exits(0);
        assert_eq!(machine.link(SCRIPT).unwrap(), BINARY);
        assert_eq!(machine.link(BEFORE).unwrap(), "/root");
        machine.install(&["--rollback"]).exits(3);
        machine.install(&["--uninstall"]).exits(0);
        assert_eq!(fs::read_dir(machine.path("/root")).unwrap().count(), 0);

        let bin = machine.path("/home/github-runner/bin");
        fs::create_dir(&bin).unwrap();
        chown(&bin, Some(RUNNER), Some(RUNNER)).unwrap();
        machine.install(&["--from", &from, "--prefix", "/home/github-runner"]).exits(3).says("is not root's");
        assert_eq!(fs::read_dir(&bin).unwrap().count(), 0);
        assert_eq!(machine.path(STATE).metadata().unwrap().uid(), RUNNER);
    }
}

/// A download of install.sh itself that was cut does nothing: after any line,
/// and at any byte of the last, which begins it all.
#[test]
fn a_cut_script() {
    let machine = Machine::new(Shell::Busybox);
    let from = machine.release("1.0.0");
    let script = machine.read("/install.sh").unwrap();
    let before = machine.listing();
    let whole = script.trim_end().len();
    let last = script[..whole].rfind('\n').unwrap();
    let ends = script[..last].match_indices('\n').map(|(at, _)| at);
    let mut count = 0;
    for end in ends.chain(last..whole) {
        machine.write(&format!("/cut-{count}"), &script[..end]);
        count += 1;
    }
    assert!(count > 250, "{count}");
    // One shell for all of them; a mistake in one ends only its own.
    let all = format!(
        "n=0; while [ $n -lt {count} ]; do /bin/sh /cut-$n --from {from}; n=$((n + 1)); done; echo all of them"
    );
    machine
        .run(0, PROGRAMS, &["/bin/sh", "-c", &all])
        .exits(0)
        .says("all of them");
    assert_eq!(machine.listing(), before);
}
