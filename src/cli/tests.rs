#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::ffi::OsString;

use snapbox::{IntoData as _, assert_data_eq, str};

use super::{Invocation, SUBCOMMANDS, command, history, invocation, signal};
use crate::error::Kind;
use crate::signal::{DeclaredKeys, Flag, SWITCHES};

fn invoked(line: &str) -> Invocation {
    invocation(line.split_whitespace().map(OsString::from))
}

#[test]
fn a_signal_is_handed_over_as_it_came() {
    for line in [
        "deploy",
        "deploy.sh --app",
        "/home/github-runner/deploy.sh --images -x --images --app=a --app",
        "x --app history",
        "deploy --app --help",
        "deploy histroy",
        "deploy --version 1.4.0 --app shop",
        "deploy -- history",
    ] {
        let Invocation::Signal(args) = invoked(line) else {
            panic!("{line}: {:?}", invoked(line));
        };
        let expected: Vec<OsString> = line.split_whitespace().skip(1).map(Into::into).collect();
        assert_eq!(args, expected);
    }
    assert!(matches!(invocation([]), Invocation::Signal(args) if args.is_empty()));
}

#[test]
fn a_subcommand_comes_first() {
    let Invocation::History(args) = invoked("deploy history shop --json") else {
        panic!("not history");
    };
    let expected = history::HistoryArgs {
        app: Some("shop".parse().unwrap()),
        json: true,
    };
    assert_eq!(args, expected);
    let Invocation::ExecHelm(args) = invoked("deploy __exec-helm helm --help -x") else {
        panic!("not helm");
    };
    assert_eq!(args, ["helm", "--help", "-x"]);
    let Invocation::Refused(error) = invoked("deploy history Shop") else {
        panic!("not refused");
    };
    assert_eq!(error.kind(), Kind::Request);
    assert!(
        error.to_string().contains("invalid value 'Shop'"),
        "{error}"
    );
}

#[test]
fn clap_knows_what_a_signal_and_the_dispatch_know() {
    let command = command();
    let names: Vec<&str> = command
        .get_subcommands()
        .map(clap::Command::get_name)
        .collect();
    let ours: Vec<&str> = SUBCOMMANDS
        .into_iter()
        .filter(|name| *name != "help")
        .collect();
    assert_eq!(names, ours);
    let flags: BTreeSet<String> = command
        .get_arguments()
        .filter_map(|arg| arg.get_long())
        .map(|long| format!("--{long}"))
        .collect();
    let known = Flag::ALL.map(Flag::name).into_iter();
    let known = known.chain(SWITCHES.map(|(name, _)| name));
    assert_eq!(flags, known.map(str::to_owned).collect());
    command.debug_assert();
}

#[test]
fn help_and_version_stand_alone() {
    for line in [
        "deploy --help",
        "deploy -h",
        "deploy help",
        "deploy history --help",
    ] {
        let Invocation::Help(text) = invoked(line) else {
            panic!("{line}");
        };
        assert!(text.to_string().contains("Usage: deploy"), "{line}: {text}");
    }
    for line in ["deploy --version", "deploy -V"] {
        let Invocation::Help(text) = invoked(line) else {
            panic!("{line}");
        };
        assert_eq!(
            text.to_string(),
            format!("deploy {}\n", env!("CARGO_PKG_VERSION"))
        );
    }
    let Invocation::Help(text) = invoked("deploy.sh --help") else {
        panic!("no help");
    };
    assert_data_eq!(
        text.to_string(),
        str![[r#"
Deploys what a signal asks for, with Helm, and proves that it runs

Examples:
  deploy --app shop --chart oci://ghcr.io/acme/charts/shop \
    --chart-version 1.4.0 \
    --images '{"api":"ghcr.io/acme/shop/api:1","web":"ghcr.io/acme/shop/web:1"}'
  deploy doctor shop           is this node ready for it?
  deploy history shop          what was deployed, and how did it end?
  deploy explain 7             what does an exit code mean?

Usage: deploy --app <app> --chart <ref> --chart-version <version> \
         --images <json>
       deploy <command>

Commands:
  history      List the deploys of this node
  show         Show one deploy with the evidence of its failure
  status       Show what runs, and whether it drifted
  rollback     Go back to an earlier revision
  freeze       Take no signals for a while, of one app or all
  unfreeze     Take signals again
  doctor       Check all that a deploy needs, and say how to fix it
  explain      Say what an exit code or a cause means, and what to do
  install      Install this program on a node, or take it away again
  receive      Take signals over a socket, as the user with the credentials
  audience     Print what GitHub's token for a signal has to be for
  completions  Print what a shell needs to complete this command line
  man          Print the manual page
  help         Print this message or the help of the given subcommand(s)

Options:
      --dry-run  Plan, prove and tell what would change: nothing is applied
  -q, --quiet    Print the result only
      --json     Print the result as JSON, for scripts
  -h, --help     Print help
  -V, --version  Print version

Signal (all four are required):
      --app <app>                its name: lower-case letters, digits and '-'
      --chart <ref>              oci://ghcr.io/<owner>/charts/<chart>
      --chart-version <version>  one exact SemVer 2 version, such as 1.4.0
      --images <json>            JSON: {"api":"<image>","web":"<image>"}

A signal says what to deploy. The node decides where and how: deploy.toml,
<app>.values.yaml beside the script.

"#]]
        .raw()
    );
}

#[test]
fn a_slip_in_a_subcommand_is_told() {
    let args = [OsString::from("histroy")];
    let error = signal::parse(&args, |_| DeclaredKeys::Unreadable).unwrap_err();
    assert!(
        error
            .hints()
            .contains(&"did you mean deploy history?".to_owned()),
        "{error:?}"
    );
}
