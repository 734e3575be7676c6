#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::super::{Drift, DriftKind, DriftedField, Health, RunningImage, Status};
use super::{Line, screen, table};
use crate::error::{Exit, Kind};
use crate::event::{Unit, WorkloadProgress};
use crate::manifest::ObjectRef;
use crate::manifest::changes::{Content, FieldPath, Step};
use crate::manifest::managers::Manager;
use crate::plan::ReleaseId;
use crate::release::record::read;
use crate::run::{Who, Workflow};
use crate::state::freeze::Freeze;
use crate::state::journal::tests::entry;

fn record(revision: u32, status: &str) -> crate::release::Record {
    read(json!({"version": revision,
        "chart": {"metadata": {"name": "shop", "version": "1.4.0"}},
        "info": {"status": status, "description": "deploy: good (run 20261124T175106Z-1a2b3c)",
            "last_deployed": "2026-11-24T17:51:20Z"}}))
    .unwrap()
}

fn status() -> Status {
    let path = |keys: &[&str]| {
        FieldPath(
            keys.iter()
                .map(|key| Step::Key((*key).to_owned()))
                .collect(),
        )
    };
    let object = |kind: &str, name: &str| {
        ObjectRef::of(&json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}}))
    };
    let by = |name: &str, subresource: &str| {
        Some(Manager {
            name: name.to_owned(),
            operation: "Update".to_owned(),
            subresource: subresource.to_owned(),
            time: "2026-11-26T09:12:00Z".to_owned(),
        })
    };
    let mut run = entry("shop", Exit::Deployed);
    run.run = "20261124T175106Z-1a2b3c".parse().unwrap();
    run.who.workflow = Some(Workflow {
        actor: Some("octocat".to_owned()),
        event: Some("push".to_owned()),
        reference: Some("refs/heads/main".to_owned()),
        sha: Some("0123456789abcdef0123456789abcdef01234567".to_owned()),
        url: Some("https://github.com/acme/shop/actions/runs/7".to_owned()),
        ..Workflow::default()
    });
    let mut failed =
        entry("shop", Exit::Failed(Kind::RolledBack)).with_cause("api: \u{1b}[31mcrashed");
    failed.run = "20261125T080000Z-4d5e6f".parse().unwrap();
    let asked = "ghcr.io/acme/shop/api:1.4.0".to_owned();
    Status {
        app: "shop".parse().unwrap(),
        release: ReleaseId::new("prod", "shop"),
        health: Health::NotReady,
        serving: Some(record(7, "deployed")),
        newest: Some(record(8, "failed")),
        run: Some(run),
        failed: Some(failed),
        workloads: vec![WorkloadProgress {
            name: "shop-api".to_owned(),
            ready: 1,
            wanted: 2,
            unit: Unit::ReadyPods,
            waits_for: Some("pod shop-api-7d is not scheduled".to_owned()),
        }],
        images: vec![RunningImage {
            workload: "Deployment shop-api".to_owned(),
            container: "api".to_owned(),
            asked,
            digests: [format!("sha256:{}", "ab".repeat(32))].into(),
            pods: 1,
        }],
        drift: vec![
            Drift {
                object: object("Deployment", "shop-api"),
                kind: DriftKind::Fields(vec![
                    DriftedField {
                        path: path(&["spec", "replicas"]),
                        recorded: Content::Value(json!(2)),
                        live: Content::Value(json!(5)),
                        by: by("kubectl", "scale"),
                    },
                    DriftedField {
                        path: path(&["metadata", "labels", "team"]),
                        recorded: Content::Absent,
                        live: Content::Value(json!("a")),
                        by: by("kubectl-label", ""),
                    },
                    DriftedField {
                        path: path(&["data", "password"]),
                        recorded: Content::Hidden,
                        live: Content::Hidden,
                        by: None,
                    },
                ]),
            },
            Drift {
                object: object("Service", "shop-web"),
                kind: DriftKind::Missing,
            },
        ],
        freezes: vec![Freeze {
            app: None,
            reason: "the fair".to_owned(),
            by: Who {
                user: "alice".to_owned(),
                ..Who::default()
            },
            since: "2026-11-26T08:00:00Z".parse().unwrap(),
            until: None,
            allow: Vec::new(),
        }],
        holder: None,
    }
}

#[test]
fn one_screen_tells_all_of_an_app() {
    let now = "2026-11-27T10:00:00Z".parse().unwrap();
    let lines = screen(&status(), now);
    let widest = lines.iter().map(|line| crate::text::columns(line)).max();
    assert!(widest <= Some(80), "{lines:#?}");
    snapbox::assert_data_eq!(
        lines.join("\n") + "\n",
        snapbox::str![[r"
app      shop: not Ready
release  shop in namespace prod
revision 7
chart    shop 1.4.0
since    2026-11-24 17:51:20 UTC (64h ago)
by       run 20261124T175106Z-1a2b3c of octocat
         push refs/heads/main 0123456789abcdef0123456789abcdef01234567
         https://github.com/acme/shop/actions/runs/7
newest   revision 8 is failed: deploy: good (run 20261124T175106Z-1a2b3c)
workload shop-api 1/2 ready – waiting for pod shop-api-7d is not scheduled
image    Deployment shop-api, api: ghcr.io/acme/shop/api:1.4.0
runs     sha256:abababababababababababababababababababababababababababababababab
failed   last in run 20261125T080000Z-4d5e6f: failed-last-good-serves (7)
         api: /x1b[31mcrashed
freeze   every app is frozen: the fair (by alice since 2026-11-26 08:00 UTC)
drift    Deployment shop-api
           spec.replicas: 2 in the release, 5 now
             by kubectl (scale) at 2026-11-26T09:12:00Z
           metadata.labels.team: a was added
             by kubectl-label at 2026-11-26T09:12:00Z
           data.password: is another
         Service shop-web is not there

"]]
    );
}

#[test]
fn each_app_has_its_line() {
    let lines = table(&[
        ("shop".to_owned(), Ok(Line::from(&status()))),
        ("pytoya".to_owned(), Err("never deployed here".to_owned())),
    ]);
    snapbox::assert_data_eq!(
        lines.join("\n") + "\n",
        snapbox::str![[r"
APP     STATUS               REVISION  CHART  DRIFT      FREEZE
shop    not Ready            7         1.4.0  2 objects  frozen
pytoya  never deployed here  -         -      -          -

"]]
    );
}
