//! `install.sh --receive`: a user for the receiver, its settings and its units.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use deploy::node::Config;

use super::machine::{Machine, PROGRAMS, RUNNER, in_both_shells};
use super::{BINARY, SETTINGS, STATE};
use crate::harness::root;

/// The receiver's user, as the stand-ins make it.
const RECEIVER: u32 = 990;

const RECEIVE: &str = "/etc/deploy/receive.toml";
const SOCKET: &str = "/etc/systemd/system/deploy.socket";
const SERVICE: &str = "/etc/systemd/system/deploy.service";

/// What changes users and units of a machine, and notes that it was called.
fn stand_ins(machine: &Machine) {
    for (name, does) in [
        ("groupadd", "echo \"deploy-signal:x:991:\" >> /etc/group"),
        (
            "useradd",
            "echo \"deploy:x:990:990::/var/lib/deploy:/usr/sbin/nologin\" >> /etc/passwd\n\
             echo \"deploy:x:990:\" >> /etc/group",
        ),
        ("usermod", ":"),
        ("systemctl", ":"),
        (
            "userdel",
            "awk -F: '$1 != \"deploy\"' /etc/passwd > /etc/p && cat /etc/p > /etc/passwd && rm /etc/p",
        ),
        ("groupdel", ":"),
    ] {
        let script = format!("#!/bin/sh\necho \"{name} $*\" >> /var/called\n{does}\n");
        machine.program(&format!("/programs/{name}"), &script);
    }
}

in_both_shells! {
    /// All of it, once; a second time changes nothing; and away again.
    fn a_node_that_receives(machine) {
        stand_ins(machine);
        std::fs::create_dir_all(machine.path("home/github-runner/.kube")).unwrap();
        machine.write("home/github-runner/.kube/config", "s3cret");
        let release = machine.release("1.0.0");
        let all = ["--receive", "--from", &*release];
        let before = machine.listing();
        machine.install(&[&all[..], &["--dry-run"]].concat()).exits(0)
            .says("would make the user deploy").says("would write /etc/systemd/system/deploy.service");
        assert_eq!(machine.listing(), before, "a dry run changes nothing");
        let ran = machine.install(&all);
        ran.exits(0)
            .says("made the user deploy")
            .says("copied /home/github-runner/.kube/config to /etc/deploy/kubeconfig")
            .says("still has /home/github-runner/.kube/config")
            .says("for nobody else to read, in /etc/deploy/registry.json")
            .says("systemctl enable --now deploy.socket");
        assert!(!ran.said.contains("s3cret"), "{}", ran.said);
        let called = machine.read("/var/called").unwrap();
        assert!(called.contains("usermod --append --groups deploy-signal runner\n"), "{called}");

        let found = |path: &str| machine.path(path).metadata().unwrap();
        assert_eq!((found(STATE).uid(), found(STATE).mode() & 0o7777), (RECEIVER, 0o750));
        let settings = found(RECEIVE);
        assert_eq!((settings.uid(), settings.gid(), settings.mode() & 0o7777), (0, RECEIVER, 0o640));
        let kept = found("/etc/deploy/kubeconfig");
        assert_eq!((kept.uid(), kept.mode() & 0o7777), (0, 0o600));
        assert_eq!(machine.read("/etc/deploy/kubeconfig").unwrap(), "s3cret");
        let text = machine.read(RECEIVE).unwrap();
        let config = Config::parse(&text, Path::new(RECEIVE)).unwrap();
        assert_eq!(config.receive.unwrap().allow_users[0].as_str(), "runner");
        let shown = |line: &str| match line.strip_prefix('#') {
            Some(line) if !line.starts_with(' ') => line.replace("ORG", "acme"),
            _ => line.to_owned(),
        };
        let shown: Vec<String> = text.lines().map(shown).collect();
        let config = Config::parse(&shown.join("\n"), Path::new(RECEIVE)).unwrap();
        assert!(config.defaults.callers.is_some() && config.apps.len() == 1);
        let client = Config::parse(&machine.read(SETTINGS).unwrap(), Path::new(SETTINGS)).unwrap();
        assert!(client.defaults.forward.is_some() && client.receive.is_none());
        for (path, name) in [(SOCKET, "deploy.socket"), (SERVICE, "deploy.service")] {
            let kept = std::fs::read_to_string(root().join("systemd").join(name)).unwrap();
            assert_eq!(machine.read(path).unwrap(), kept, "systemd/{name}");
        }

        let listing = |machine: &Machine| {
            let mut listing = machine.listing();
            listing.remove("/var/called");
            listing
        };
        let before = listing(machine);
        machine.install(&all).exits(0);
        assert_eq!(listing(machine), before, "the second time changes nothing");

        let journal = format!("{}/journal.jsonl", STATE.trim_start_matches('/'));
        machine.write(&journal, "");
        machine.install(&["--uninstall"]).exits(0).says("left: the user deploy");
        assert!(machine.read(SOCKET).is_none() && machine.read(SERVICE).is_none());
        assert!(machine.read(BINARY).is_none() && machine.read(RECEIVE).is_some());
        let called = machine.read("/var/called").unwrap();
        assert!(called.contains("systemctl disable --now deploy.socket deploy.service\n"), "{called}");
        assert!(!called.contains("userdel"), "{called}");

        // Without a journal nothing is left that belongs to the user.
        std::fs::remove_file(machine.path(&journal)).unwrap();
        machine.install(&all).exits(0);
        machine.install(&["--uninstall"]).exits(0)
            .says("removed the group deploy-signal").says("removed the user deploy");
        assert!(!machine.path(STATE.trim_start_matches('/')).exists());
        assert_eq!(found(RECEIVE).gid(), 0);
        let called = machine.read("/var/called").unwrap();
        assert!(called.ends_with("groupdel deploy-signal\nuserdel deploy\n"), "{called}");
    }
}

in_both_shells! {
    /// What it needs is said before anything of the receiver is made.
    fn what_it_needs(machine) {
        let release = machine.release("1.0.0");
        machine.install(&["--receive", "--from", &release]).exits(3).says("there is no groupadd");
        let as_runner = ["/built", "install", "--receive", "--from", &*release];
        machine.run(RUNNER, PROGRAMS, &as_runner).exits(3).says("--receive makes a user");
        assert!(machine.read(RECEIVE).is_none() && machine.read(BINARY).is_none());
    }
}

in_both_shells! {
    /// Where systemd can, what the runner has is sealed to the machine; and what a job
    /// could have put there instead is not followed.
    fn credentials_are_taken_over(machine) {
        stand_ins(machine);
        let seals = "#!/bin/sh\n[ \"$1 $2\" = \"encrypt --name=kubeconfig\" ] || exit 1\necho sealed > \"$4\"\n";
        machine.program("/programs/systemd-creds", seals);
        for folder in [".kube", ".docker", ".config/helm/registry"] {
            std::fs::create_dir_all(machine.path("home/github-runner").join(folder)).unwrap();
        }
        machine.write("home/github-runner/.kube/config", "s3cret");
        machine.write("home/github-runner/.docker/config.json", "{}");
        let link = machine.path("home/github-runner/.config/helm/registry/config.json");
        std::os::unix::fs::symlink("/etc/passwd", link).unwrap();
        let release = machine.release("1.0.0");
        machine.install(&["--receive", "--from", &release]).exits(0)
            .says("registry/config.json was not copied: it is no plain file of one name")
            .says("to /etc/deploy/kubeconfig.cred")
            .says("copied /home/github-runner/.docker/config.json to /etc/deploy/registry.json");
        assert!(machine.read("/etc/deploy/kubeconfig").is_none());
        assert_eq!(machine.read("/etc/deploy/registry.json").unwrap(), "{}");
        let unit = machine.read(SERVICE).unwrap();
        assert!(unit.contains("\nLoadCredentialEncrypted=kubeconfig:/etc/deploy/kubeconfig.cred\n"), "{unit}");
        assert!(unit.contains("\nLoadCredential=registry:/etc/deploy/registry.json\n"), "{unit}");
    }
}
