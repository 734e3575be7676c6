//! What a hostile job of the runner's user tries, from a uid of its own: none of it
//! succeeds, and good signals are served meanwhile.

use std::io::Write as _;
use std::os::unix::net::UnixStream;

use serde_json::json;

use super::{LIVES, RUNNER, Running, Site, document, post};

/// Reads, signals, traces and preloads of the receiver.
#[test]
fn a_hostile_job_gets_nothing() {
    let site = Site::new("hostile-job", "");
    let receiver = site.receiver();
    site.node.shop("0.1.0");
    // Silent and half-open connections of another user, which is not even let in.
    let silent: Vec<_> = (0..100)
        .map(|number| {
            let mut stream = UnixStream::connect(site.inside("deploy.sock")).unwrap();
            if number % 2 == 0 {
                let _ = stream.write_all(b"POST /v1/deploys HTTP/1.1\r\nHost: x\r\nContent-Le");
            }
            stream
        })
        .collect();
    let held = Running::spawn(site.command(
        RUNNER,
        &["/bin/sh", "-c", &format!(
            "for n in 1 2 3 4 5 6 7 8; do curl -s -m 20 --unix-socket {LIVES}/deploy.sock -T - http://x/v1/deploys -X POST < /dev/zero > /dev/null & done; wait"
        )],
    ));
    let good = site.signal("t1");

    let pid = receiver.0.id();
    for attempt in [
        &*format!("cat {LIVES}/.kube/config"),
        "cat /etc/deploy/receive.toml",
        &format!("ls {LIVES}/state"),
        &format!("cat {LIVES}/state/journal.jsonl"),
        &format!("cat {LIVES}/state/evidence/*/*"),
        &format!("cat /proc/{pid}/environ"),
        &format!("cat /proc/{pid}/mem"),
        &format!("readlink /proc/{pid}/exe"),
        &format!("ls /proc/{pid}/fd"),
        &format!("kill -TERM {pid}"),
        &format!("kill -KILL {pid}"),
        &format!("rm -f {LIVES}/deploy.sock && test ! -e {LIVES}/deploy.sock"),
        &format!("mv {LIVES}/deploy.sock {LIVES}/x"),
        &format!("mkfifo {LIVES}/x"),
        &format!("ln -s /etc/shadow {LIVES}/x"),
        &format!("echo > {LIVES}/x"),
        // A preload of its own comes no further than its own process.
        &format!("LD_PRELOAD=/home/github-runner/x.so cat {LIVES}/.kube/config"),
        &format!("DEPLOY_STATE_DIR={LIVES}/state /usr/local/bin/deploy history | grep -q deployed"),
        "DEPLOY_CONFIG=/etc/deploy/receive.toml /usr/local/bin/deploy doctor",
    ] {
        let ran = site.runner(attempt);
        assert_ne!(ran.status.code(), Some(0), "{attempt}: {}", ran.told());
    }
    good.wait().exits(0);
    drop(silent);
    held.wait();

    let run = site.journal()[0]["run"].as_str().unwrap().to_owned();
    // Another user is refused, whatever it asks.
    for ask in [
        format!("-X GET http://x/v1/deploys/{run}"),
        format!("-X DELETE http://x/v1/deploys/{run}"),
        "-d '{}' http://x/v1/deploys".to_owned(),
    ] {
        let script = format!("curl -s -m 20 --unix-socket {LIVES}/deploy.sock {ask}");
        let stranger = Running::spawn(site.command(41_003, &["/bin/sh", "-c", &script])).wait();
        stranger.says("may not send signals here");
    }

    // What it names is never opened, and what is no signal never deployed.
    let app = &site.node.name;
    let before = site.journal().len();
    let wrong = [
        ("app", json!("../../etc/deploy")),
        ("app", json!("--dry-run")),
        ("app", json!(format!("{app}\u{0}"))),
        ("chart", json!("/etc/shadow")),
        (
            "chart",
            json!(format!("oci://ghcr.io/{app}/charts/../../x")),
        ),
        ("chart_version", json!("0.1.0 --values=/etc/shadow")),
        (
            "images",
            json!({ "api": "/etc/shadow", "web": "file:///etc/shadow" }),
        ),
        ("images", json!({ "api": "x".repeat(200_000) })),
    ];
    for (number, (key, value)) in wrong.into_iter().enumerate() {
        let mut sent = document(app);
        sent["id"] = format!("20261124T175106Z-{number:06x}").into();
        sent[key] = value;
        let said = site.raw(&post(&sent));
        assert!(said.contains("\"exit_code\":2"), "{key}: {said}");
        let mut sent = document(app);
        sent["id"] = "../../../etc/x".into();
        assert!(site.raw(&post(&sent)).starts_with("HTTP/1.1 400 "));
    }
    let huge = site.raw(&post(&json!({ "x": "y".repeat(1 << 20) })));
    assert!(huge.starts_with("HTTP/1.1 413 "), "{huge}");
    assert_eq!(site.journal().len(), before);
    site.signal("t2").wait().exits(0);
}
