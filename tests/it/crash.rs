//! kill -9: whatever was killed, wherever it stood, the next signal deploys
//! what it asks for, and no hand is needed.
//!
//! `DEPLOY_SOAK=100` runs so many random cases of each kind with each Helm on
//! top of the fixed ones; `DEPLOY_SOAK_SEED` repeats a run of them.

#![expect(
    clippy::print_stdout,
    reason = "a case that fails is named, so that it can be repeated"
)]

use std::hash::{BuildHasher as _, RandomState};

use testbed::chart::{Chart, Hook, Shop};
use testbed::image::Spec;

use crate::harness::process::{helm, kill};
use crate::harness::{Helm, Node, Running, on_both_helms, until};

/// What is killed.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Deploy,
    Helm,
    Both,
    Session,
}

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

/// A migration before each install and upgrade, and a seed after an install;
/// both write down when they begin and end.
fn chart(data: &str) -> Chart {
    let hook = Hook {
        args: ["once", "once-sleep 3s", "print migrate"]
            .map(str::to_owned)
            .to_vec(),
        data: Some(data.to_owned()),
        ..Hook::default()
    };
    Shop::new("shop", "0.1.0").grace(1).hook(hook).chart().with(
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
    println!(
        "{victim:?} killed at {point:?}, {before:?} before, {:?}",
        node.helm
    );
    let data = node.home.shared("data");
    node.push(&chart(data.to_str().unwrap()));
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
    let ran = signal(&last.by_tag()).run();
    ran.exits(0);
    assert_eq!(
        node.running(),
        [last.by_tag(), web.by_tag()],
        "{}",
        ran.stderr
    );
    assert_eq!(node.status(), "deployed");
    assert!(
        log().contains("seed"),
        "the install's hook never ran:\n{}",
        log()
    );
    let mut open = false;
    for line in log().lines().filter(|line| line.contains("migrate")) {
        let starts = line.starts_with("start");
        assert_ne!(open, starts, "two migrations overlapped:\n{}", log());
        open = starts;
    }
}

/// Kills at once what is to be killed; all of it is found first.
fn end(running: &Running, victim: Victim) {
    let shell = running.pid();
    let helm = helm(shell, "upgrade").expect("helm is at work");
    let deploy = crate::harness::process::descendants(shell)[0];
    let pids = match victim {
        Victim::Deploy => vec![deploy],
        Victim::Helm => vec![helm],
        Victim::Both => vec![deploy, helm],
        Victim::Session => vec![shell, deploy, helm],
    };
    pids.into_iter().for_each(kill);
}

/// So many random cases as `DEPLOY_SOAK` says.
fn soak(helm: Helm, victim: Victim) {
    let number = |name| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let seed = number("DEPLOY_SOAK_SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
    for at in 0..number("DEPLOY_SOAK").unwrap_or(0) {
        println!("DEPLOY_SOAK_SEED={seed}, case {at}");
        // The upper bits of a linear congruence, with Knuth's factor.
        let random = (seed.wrapping_add(at)).wrapping_mul(6_364_136_223_846_793_005) >> 33;
        let point = if random & 1 == 0 {
            Point::Hook
        } else {
            Point::Readiness
        };
        let before = if random & 2 == 0 {
            Before::Nothing
        } else {
            Before::Serving
        };
        survives(&Node::new("crash-soak", helm), victim, point, before);
    }
}

on_both_helms! {
    /// Helm is told to end by the kernel, and settles.
    fn deploy_killed(node) {
        survives(&node, Victim::Deploy, Point::Hook, Before::Nothing);
        soak(node.helm, Victim::Deploy);
    }
}

on_both_helms! {
    /// The kernel took helm for its memory, say.
    fn helm_killed(node) {
        survives(&node, Victim::Helm, Point::Readiness, Before::Serving);
        soak(node.helm, Victim::Helm);
    }
}

on_both_helms! {
    /// Nobody was left to settle anything.
    fn both_killed(node) {
        survives(&node, Victim::Both, Point::Hook, Before::Serving);
        soak(node.helm, Victim::Both);
    }
}

on_both_helms! {
    /// The whole step, on a first install.
    fn session_killed(node) {
        survives(&node, Victim::Session, Point::Readiness, Before::Nothing);
        soak(node.helm, Victim::Session);
    }
}
