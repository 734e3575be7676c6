//! install.sh and `deploy install`, run as root would on machines of their own: with
//! dash and Debian's programs, and with busybox alone.

mod first_deploy;
mod killed;
pub(crate) mod machine;
mod receive;
mod release;
mod safety;

use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;

use deploy::node::Config;

use machine::{Machine, PROGRAMS, RUNNER, Shell, in_both_shells};

const BINARY: &str = "/usr/local/bin/deploy";
const PREVIOUS: &str = "/usr/local/bin/deploy.previous";
const SCRIPT: &str = "/home/github-runner/deploy.sh";
const BEFORE: &str = "/home/github-runner/deploy.sh.before";
const SETTINGS: &str = "/etc/deploy/deploy.toml";
const STATE: &str = "/var/lib/deploy";
const DOCUMENTS: [&str; 4] = [
    "/usr/local/share/bash-completion/completions/deploy",
    "/usr/local/share/zsh/site-functions/_deploy",
    "/usr/local/share/fish/vendor_completions.d/deploy.fish",
    "/usr/local/share/man/man1/deploy.1",
];

/// The version of the binary that the script's name leads to.
#[track_caller]
fn installed(machine: &Machine) -> String {
    let ran = machine.run(RUNNER, PROGRAMS, &[SCRIPT, "--version"]);
    ran.exits(0);
    ran.said.trim().to_owned()
}

in_both_shells! {
    /// Everything that a node needs, and all of it whose it should be.
    fn a_fresh_node(machine) {
        let ran = machine.install(&["--from", &machine.release("1.0.0")]);
        ran.exits(0).says("installed /usr/local/bin/deploy (deploy 1.0.0)").says("try it: /home/github-runner/deploy.sh doctor");
        assert_eq!(installed(machine), "deploy 1.0.0");
        assert_eq!(machine.link(SCRIPT).unwrap(), BINARY);
        let state = machine.path(STATE).metadata().unwrap();
        assert_eq!((state.uid(), state.gid(), state.mode() & 0o7777), (RUNNER, RUNNER, 0o750));
        for document in DOCUMENTS {
            assert!(machine.read(document).unwrap().contains("of 1.0.0"), "{document}");
        }
        for (path, mode) in [(BINARY, 0o755), (SETTINGS, 0o644), (DOCUMENTS[3], 0o644)] {
            let found = machine.path(path).metadata().unwrap();
            assert_eq!((found.uid(), found.mode() & 0o7777), (0, mode), "{path}");
        }
    }
}

/// The real binary, on the machine whose libraries it needs.
#[test]
fn what_is_built_here() {
    let machine = Machine::new(Shell::Dash);
    machine.install(&["--from", "built"]).exits(0);
    assert_eq!(
        installed(&machine),
        format!("deploy {}", env!("CARGO_PKG_VERSION"))
    );
    for (document, says) in DOCUMENTS.iter().zip([
        "complete -F _deploy",
        "#compdef deploy",
        "complete -c deploy",
        ".TH deploy 1",
    ]) {
        assert!(machine.read(document).unwrap().contains(says), "{document}");
    }
}

/// The file that is written says nothing, and what it shows can be said.
#[test]
fn the_configuration_for_a_start() {
    let machine = Machine::new(Shell::Dash);
    machine
        .install(&["--from", &machine.release("1.0.0")])
        .exits(0);
    let text = machine.read(SETTINGS).unwrap();
    let file = Path::new(SETTINGS);
    assert_eq!(
        format!("{:?}", Config::parse(&text, file).unwrap()),
        format!("{:?}", Config::default())
    );
    let shown = |line: &str| match line.strip_prefix('#') {
        Some(line) if !line.starts_with(' ') => line.replace("ORG", "acme"),
        _ => line.to_owned(),
    };
    let shown: Vec<String> = text.lines().map(shown).collect();
    let config = Config::parse(&shown.join("\n"), file).unwrap();
    assert!(
        config.apps.len() == 1 && config.env.len() == 1,
        "{config:?}"
    );
}

in_both_shells! {
    /// Again, to another version, back, and forward.
    fn versions(machine) {
        let (old, new) = (machine.release("1.0.0"), machine.release("2.0.0"));
        machine.install(&["--rollback"]).exits(1).says("there is no /usr/local/bin/deploy that could do it");
        machine.install(&["--from", &old]).exits(0);
        machine.install(&["--rollback"]).exits(3).says("there is no /usr/local/bin/deploy.previous");
        let before = machine.listing();
        machine.install(&["--from", &old]).exits(0).says("is this one already").says("leads to it already");
        assert_eq!(machine.listing(), before);

        machine.write(SETTINGS, "# the operators'\n");
        machine.install(&["--from", &new]).exits(0);
        assert_eq!(installed(machine), "deploy 2.0.0");
        assert_eq!(machine.read(SETTINGS).unwrap(), "# the operators'\n");
        for said in ["went back to deploy 1.0.0", "is the one before already (deploy 1.0.0)"] {
            machine.install(&["--rollback"]).exits(0).says(said);
            assert_eq!(installed(machine), "deploy 1.0.0");
            for document in DOCUMENTS {
                assert!(machine.read(document).unwrap().contains("1.0.0"), "{document}");
            }
        }
        machine.install(&["--from", &new]).exits(0);
        assert_eq!(installed(machine), "deploy 2.0.0");
    }
}

in_both_shells! {
    /// It takes away what it brought, and nothing else.
    fn uninstalling(machine) {
        machine.write(SCRIPT, "the old script");
        machine.install(&["--from", &machine.release("1.0.0")]).exits(0);
        machine.install(&["--from", &machine.release("2.0.0")]).exits(0);
        machine.write("/home/github-runner/pytoya.values.yaml", "replicas: 2\n");
        machine.write("/var/lib/deploy/journal.jsonl", "{}\n");
        machine.install(&["--uninstall"]).exits(0).says("what was /home/github-runner/deploy.sh before is /home/github-runner/deploy.sh.before");
        let left: Vec<String> = machine.listing().into_keys().filter(|path| machine.path(path).is_file()).collect();
        assert_eq!(left, [
            SETTINGS, "/etc/group", "/etc/passwd", BEFORE, "/home/github-runner/pytoya.values.yaml",
            "/var/lib/deploy/journal.jsonl",
        ]);
        let again = machine.listing();
        machine.install(&["--uninstall"]).exits(0).says("nothing to take away");
        assert_eq!(machine.listing(), again);
        // A script that is not ours is not touched.
        machine.install(&["--from", &machine.release("1.0.0")]).exits(0);
        std::fs::remove_file(machine.path(SCRIPT)).unwrap();
        machine.write(SCRIPT, "theirs");
        machine.install(&["--uninstall"]).exits(0).says("it is not ours");
        assert_eq!(machine.read(SCRIPT).unwrap(), "theirs");
    }
}

in_both_shells! {
    /// A dry run tells every step and takes none.
    fn dry_runs(machine) {
        machine.write(SCRIPT, "the old script");
        let (old, new) = (machine.release("1.0.0"), machine.release("2.0.0"));
        let dry = |args: &[&str]| {
            let before = machine.listing();
            let args = [args, &["--dry-run"]].concat();
            let ran = machine.install(&args);
            ran.exits(0);
            assert_eq!(machine.listing(), before, "{args:?}");
            let words = ran.said.lines().filter(|line| line.starts_with("would ") || line.ends_with("already")).count();
            assert_eq!(words, ran.said.lines().count(), "{}", ran.said);
            ran
        };
        let told = dry(&["--from", &old]);
        let done = machine.install(&["--from", &old]);
        for path in [BINARY, STATE, SETTINGS, BEFORE, SCRIPT].iter().chain(&DOCUMENTS) {
            told.says(path);
            done.exits(0).says(path);
        }
        dry(&["--from", &new]).says("would keep the present /usr/local/bin/deploy as deploy.previous");
        machine.install(&["--from", &new]).exits(0);
        dry(&["--rollback"]).says("would go back to deploy 1.0.0");
    }
}

in_both_shells! {
    /// Someone who is not root installs below a home of their own.
    fn without_root(machine) {
        let from = machine.release("1.0.0");
        let home = "/home/github-runner";
        std::fs::set_permissions(machine.path("tmp"), std::os::unix::fs::PermissionsExt::from_mode(0o1777)).unwrap();
        machine.install_as(RUNNER, PROGRAMS, &["--from", &from]).exits(3).says("cannot write to /usr/local/bin").says("run this as root");
        let prefix = format!("{home}/.local");
        machine.install_as(RUNNER, PROGRAMS, &["--from", &from, "--prefix", &prefix]).exits(0).says("not root, so /var/lib/deploy was left out");
        assert_eq!(installed(machine), "deploy 1.0.0");
        assert_eq!(machine.read(SETTINGS), None);
        assert_eq!(machine.read(BINARY), None);
    }
}

in_both_shells! {
    /// Whose the state is to be is never guessed; what is there is left so.
    fn whose_the_state_is(machine) {
        let from = machine.release("1.0.0");
        machine.install(&["--from", &from, "--user", "nobody-here"]).exits(2).says("there is no user nobody-here");
        chown(machine.path("/home/github-runner"), Some(0), Some(0)).unwrap();
        let before = machine.listing();
        machine.install(&["--from", &from]).exits(3).says("the runner's user is not known").says("--user USER");
        assert_eq!(machine.listing(), before);
        machine.install(&["--from", &from, "--user", &RUNNER.to_string()]).exits(0);
        assert_eq!(machine.path(STATE).metadata().unwrap().uid(), RUNNER);
        chown(machine.path(STATE), Some(0), Some(0)).unwrap();
        machine.install(&["--from", &from, "--user", &RUNNER.to_string()]).exits(0).says("note: /var/lib/deploy belongs to user 0");
    }
}

in_both_shells! {
    /// A deploy.toml beside the script goes on to count.
    fn settings_beside_the_script(machine) {
        machine.write("/home/github-runner/deploy.toml", "# theirs\n");
        machine.install(&["--from", &machine.release("1.0.0")]).exits(0).says("left /home/github-runner/deploy.toml as it is");
        assert_eq!(machine.read(SETTINGS), None);
    }
}

/// The version of the README's commands and of a typing mistake.
#[test]
fn a_wrong_command_line_is_told() {
    let machine = Machine::new(Shell::Dash);
    for (arguments, why) in [
        (&["--from"][..], "--from needs a value"),
        (&["--from", ""], "--from needs a value"),
        (&["--form", "x"], "unknown argument '--form'"),
        (&["x"], "unknown argument 'x'"),
        (&["--rollback", "--uninstall"], "do not go together"),
    ] {
        machine.install(arguments).exits(2).says(why);
    }
    let from = machine.release("1.0.0");
    machine
        .install(&["--from", &from, "--link", "/home/github-runner/"])
        .exits(2)
        .says("--link wants the path of a script");
    machine.install(&["--help"]).exits(0).says("Usage:");
    machine
        .install(&[])
        .exits(1)
        .says("belongs to no release")
        .says("--from FILE");
}
