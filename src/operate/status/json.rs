//! A status as scripts read it; docs/by-hand.md shows it. A field that is added
//! later is no new version, one that goes or changes its meaning is.

use serde_json::{Map, Value, json};

use super::{Drift, DriftKind, DriftedField, Status};
use crate::event::Unit;
use crate::manifest::changes::{Content, named};

/// The version of the form.
const VERSION: u32 = 1;

/// One JSON object.
pub fn as_json(status: &Status) -> Value {
    let workloads = status.workloads.iter().map(|workload| {
        json!({
            "name": workload.name,
            "ready": workload.ready,
            "wanted": workload.wanted,
            "unit": match workload.unit {
                Unit::ReadyPods => "pods",
                Unit::Completions => "completions",
            },
            "waits_for": workload.waits_for,
        })
    });
    let images = status.images.iter().map(|image| {
        json!({
            "workload": image.workload,
            "container": image.container,
            "asked": image.asked,
            "digests": image.digests,
            "pods": image.pods,
        })
    });
    let serving = status.serving.as_ref().map(|record| {
        json!({
            "revision": record.revision,
            "chart": record.chart,
            "version": record.chart_version,
            "since": record.last_deployed,
            "description": record.description,
        })
    });
    let newest = status.newest.as_ref().map(|record| {
        json!({
            "revision": record.revision,
            "status": record.status.name(),
            "description": record.description,
        })
    });
    json!({
        "version": VERSION,
        "app": status.app,
        "release": status.release.name,
        "namespace": status.release.namespace,
        "health": status.health.name(),
        "exit": status.health.exit().code(),
        "serving": serving,
        "newest": newest,
        "run": status.run,
        "failed": status.failed,
        "workloads": workloads.collect::<Vec<_>>(),
        "images": images.collect::<Vec<_>>(),
        "drift": status.drift.iter().map(drift).collect::<Vec<_>>(),
        "freezes": status.freezes,
        "holder": status.holder,
    })
}

fn drift(drift: &Drift) -> Value {
    let mut object = named(&drift.object);
    let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
    match &drift.kind {
        DriftKind::Missing => put("drift", "missing".into()),
        DriftKind::Untold(reason) => {
            put("drift", "not-told".into());
            put("reason", reason.as_str().into())
        }
        DriftKind::Fields(fields) => {
            put("drift", "fields".into());
            put("fields", fields.iter().map(field).collect())
        }
    };
    Value::Object(object)
}

fn field(field: &DriftedField) -> Value {
    let mut object = Map::new();
    object.insert("path".to_owned(), field.path.to_string().into());
    for (name, content) in [("recorded", &field.recorded), ("live", &field.live)] {
        match content {
            Content::Absent => {}
            Content::Value(value) => {
                object.insert(name.to_owned(), value.clone());
            }
            Content::Hidden => {
                object.insert("hidden".to_owned(), true.into());
            }
        }
    }
    if let Some(by) = &field.by {
        let by = json!({"manager": by.name, "operation": by.operation,
            "subresource": by.subresource, "time": by.time});
        object.insert("by".to_owned(), by);
    }
    Value::Object(object)
}
