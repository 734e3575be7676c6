//! From a bare node with a cluster to a first deploy, by the README's commands
//! as they stand there.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};

use testbed::chart::Shop;

use super::release::{Server, files_of};
use crate::harness::{Helm, Node, RUNNER, Running, deploy_binary, push_chart, push_image, root};
use crate::readme;

/// What a machine has that has been set up for this, and this one has not.
const SUDO: &str = "#!/bin/sh\n[ \"$1 $2\" = '-u github-runner' ] || exit 9\nshift 2\n\
                    exec setpriv --reuid 41001 --regid 41001 --clear-groups \"$@\"\n";

#[test]
fn in_at_most_five_commands() {
    let node = Node::new("first-deploy", Helm::V4);
    push_chart("org", &Shop::new("pytoya", "1.4.2").chart());
    for component in ["api", "web"] {
        push_image(&format!("org/pytoya/{component}"), "8f3c2d1");
    }
    let commands = readme::block("first-deploy");
    assert!(commands.lines().count() <= 5, "{commands}");

    // The release comes from this machine, and so does its install.sh.
    let mut release = files_of(
        env!("CARGO_PKG_VERSION"),
        &fs::read(deploy_binary()).unwrap(),
    );
    let script = root().join("install.sh");
    release.push(("install.sh".to_owned(), fs::read(script).unwrap(), 0));
    let server = Server::of(release);
    let local = commands
        .replace(
            "https://github.com/ORG/deploy/releases/latest/download",
            &server.url,
        )
        .replace("--proto '=https' ", "--noproxy '*' ")
        .replace(
            "sh install.sh\n",
            &format!(
                "NO_PROXY=127.0.0.1 no_proxy=127.0.0.1 sh install.sh --base-url {}\n",
                server.url
            ),
        )
        // Other scenarios deploy the same app of the README's.
        .replace("--app pytoya", &format!("--app {}", node.name))
        .replace("doctor pytoya", &format!("doctor {}", node.name));
    assert_ne!(local, commands);

    // A bare node: no script, no program, none of the folders.
    let home = &node.home;
    fs::remove_file(home.inside("deploy.sh")).unwrap();
    fs::remove_dir(home.etc("deploy")).unwrap();
    home.write("bin/sudo", SUDO, 0o755);
    chown(home.inside("bin/sudo"), Some(0), Some(0)).unwrap();
    fs::set_permissions(home.inside(""), fs::Permissions::from_mode(0o755)).unwrap();
    // What the harness put over the program's name would be in install.sh's way.
    let bare = "umount /usr/local/bin/deploy; rm /usr/local/bin/deploy; mount -t tmpfs -o mode=755 tmpfs /usr/local/share; mount -t tmpfs tmpfs /mnt; cd /mnt;";
    let mut root = home.command(deploy_binary(), Some(node.helm.path()), 0, "/");
    root.args(["/bin/sh", "-euc", &format!("{bare}\n{local}")])
        .envs(&node.env)
        .env(
            "PATH",
            "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/home/github-runner/bin",
        );
    let ran = Running::spawn(root).wait();
    ran.exits(0)
        .says("its checksum is right")
        .says("revision 1");
    assert!(!ran.stdout.contains("fail "), "{}", ran.stdout);
    node.runs(&[
        "ghcr.io/org/pytoya/api:8f3c2d1",
        "ghcr.io/org/pytoya/web:8f3c2d1",
    ]);
    // What docs/getting-started.md goes on with.
    for (name, says) in [
        ("doctor", "ok  "),
        ("dry-run", "would deploy"),
        ("history", "deployed"),
    ] {
        let commands = readme::block(name)
            .replace("--app pytoya", &format!("--app {}", node.name))
            .replace("doctor pytoya", &format!("doctor {}", node.name));
        node.shell(&commands).exits(0).says(says);
    }
    // Lock and journal are where the whole node has them.
    let state = home.var_lib("deploy").metadata().unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&state), RUNNER);
}
