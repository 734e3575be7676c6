//! kill -9: whatever was killed, wherever it stood, the next signal deploys
//! what it asks for, and no hand is needed. The points that matter most; random
//! ones are in [`crate::chaos`].

use testbed::chart::{Chart, Hook, Shop};
use testbed::image::Spec;

use crate::harness::process::{Victim, descendants, helm};
use crate::harness::{Node, Running, on_both_helms, until};

/// Where it stands then.
#[derive(Clone, Copy, Debug)]
enum Point {
    /// In the middle of a migration, before anything else is applied.
    Hook,
    /// While the pods are waited for.
    Readiness,
}

/// What the release is then.
#[derive(Clone, Copy, Debug)]
enum Before {
    Nothing,
    Serving,
}

/// A migration of so many milliseconds before each install and upgrade, and a
/// seed after an install; both write down when they begin and end.
pub fn chart(version: &str, data: &str, milliseconds: u32) -> Chart {
    let hook = Hook {
        args: [
            "once",
            &format!("once-sleep {milliseconds}ms"),
            "print migrate",
        ]
        .map(str::to_owned)
        .to_vec(),
        data: Some(data.to_owned()),
        ..Hook::default()
    };
    Shop::new("shop", version).grace(1).hook(hook).chart().with(
        "templates/seed.yaml",
        &format!(
            r#"apiVersion: batch/v1
kind: Job
metadata:
  name: {{{{ .Release.Name }}}}-seed
  annotations:
    "helm.sh/hook": post-install
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: seed
          image: {{{{ include "image" .Values.api.image | quote }}}}
          args: ["once", "print seed"]
          volumeMounts: [{{name: data, mountPath: /data}}]
      volumes:
        - name: data
          hostPath: {{type: DirectoryOrCreate, path: {data:?}}}
"#
        ),
    )
}

fn survives(node: &Node, victim: Victim, point: Point, before: Before) {
    let data = node.home.shared("data");
    node.push(&chart("0.1.0", data.to_str().unwrap(), 3000));
    let log = || std::fs::read_to_string(data.join("log")).unwrap_or_default();
    let web = node.image("web", "t1");
    let signal = |api: &str| {
        node.signal("0.1.0")
            .image("api", api)
            .image("web", web.by_tag())
    };
    if let Before::Serving = before {
        signal(&node.image("api", "t1").by_tag()).run().exits(0);
    }
    let migrations = log().matches("start").count();

    let spec = match point {
        Point::Hook => Spec::default(),
        Point::Readiness => Spec::behaving("unready the database is down"),
    };
    let doomed = node.image_with("api", "t2", spec);
    let running = signal(&doomed.by_tag()).in_step().start();
    match point {
        Point::Hook => until("a migration runs", || {
            log().matches("start").count() > migrations
        }),
        Point::Readiness => until("its pod runs", || node.running().contains(&doomed.by_tag())),
    }
    end(&running, victim);
    let killed = running.wait();
    assert!(!killed.status.success());

    let last = node.image("api", "t3");
    signal(&last.by_tag()).run().exits(0);
    node.runs(&[last.by_tag(), web.by_tag()]);
    assert_eq!(node.status(), "deployed");
    assert!(
        log().contains("seed"),
        "the install's hook never ran:\n{}",
        log()
    );
    one_migration_at_a_time(&log());
}

/// What the migrations wrote down.
#[track_caller]
pub fn one_migration_at_a_time(log: &str) {
    let mut open = false;
    for line in log.lines().filter(|line| line.contains("migrate")) {
        let starts = line.starts_with("start");
        assert_ne!(open, starts, "two migrations overlapped:\n{log}");
        open = starts;
    }
}

/// Kills at once what is to be killed; all of it is found first.
fn end(running: &Running, victim: Victim) {
    let shell = running.pid();
    let helm = helm(shell, "upgrade").expect("helm is at work");
    let deploy = descendants(shell)[0];
    victim.kill(shell, Some(deploy), Some(helm));
}

on_both_helms! {
    /// Helm is told to end by the kernel, and settles.
    fn deploy_killed(node) {
        survives(&node, Victim::Deploy, Point::Hook, Before::Nothing);
    }
}

on_both_helms! {
    /// The kernel took helm for its memory, say.
    fn helm_killed(node) {
        survives(&node, Victim::Helm, Point::Readiness, Before::Serving);
    }
}

on_both_helms! {
    /// The same while the first install's migration runs, which goes on: the next one waits for it.
    fn helm_killed_in_a_first_hook(node) {
        survives(&node, Victim::Helm, Point::Hook, Before::Nothing);
    }
}

on_both_helms! {
    /// Nobody was left to settle anything.
    fn both_killed(node) {
        survives(&node, Victim::Both, Point::Hook, Before::Serving);
    }
}

on_both_helms! {
    /// The whole step, on a first install.
    fn session_killed(node) {
        survives(&node, Victim::Session, Point::Readiness, Before::Nothing);
    }
}
