#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::{Driver, Status, decode, next_is_server_side, read};

/// As helm stores it.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    STANDARD.encode(encoder.finish().unwrap()).into_bytes()
}

#[test]
fn a_record_is_read() {
    let json = json!({
        "name": "shop", "namespace": "prod", "version": 7, "apply_method": "ssa",
        "info": { "status": "pending-upgrade", "first_deployed": "2026-11-24T17:00:00Z",
                  "last_deployed": "2026-11-24T18:00:00Z", "description": "Preparing upgrade" },
        "chart": { "metadata": { "name": "shop", "version": "1.2.3" } },
        "manifest": "---\na: 1\n",
        "hooks": [ { "name": "migrate", "kind": "Job", "path": "shop/templates/h.yaml", "manifest": "b: 2",
                     "events": ["pre-upgrade"], "delete_policies": ["hook-failed"] } ],
        "unknown": 1,
    });
    let decoded = decode(&stored(json.to_string().as_bytes())).unwrap();
    assert_eq!(decoded, json, "nothing is lost");
    let record = read(decoded).unwrap();
    assert_eq!(
        (record.revision, record.status),
        (7, Status::PendingUpgrade)
    );
    assert_eq!(
        (record.chart.as_str(), record.chart_version.as_str()),
        ("shop", "1.2.3")
    );
    assert!(record.server_side && record.status.is_pending());
    assert_eq!(record.hooks[0].delete_policies, ["hook-failed"]);
    assert!(
        record
            .documents()
            .ends_with("# Source: shop/templates/h.yaml\nb: 2\n")
    );
}

/// Stored by the real helms, for a first install with a hook and a test.
#[test]
fn records_of_both_helms_are_read() {
    for (stored, server_side) in [
        (include_str!("fixtures/record-helm3.txt"), false),
        (include_str!("fixtures/record-helm4.txt"), true),
    ] {
        let stored: String = stored.lines().collect();
        let record = read(decode(stored.as_bytes()).unwrap()).unwrap();
        assert_eq!((record.revision, record.status), (1, Status::Deployed));
        assert_eq!(
            (record.chart.as_str(), record.chart_version.as_str()),
            ("shop", "1.0.0")
        );
        assert_eq!(record.server_side, server_side);
        assert_eq!(record.description, "fixture");
        assert!(record.last_deployed.starts_with("2026-"));
        let [before, test] = record.hooks.as_slice() else {
            panic!("two hooks")
        };
        assert_eq!(
            before.delete_policies,
            ["before-hook-creation", "hook-succeeded"]
        );
        assert!(test.is_test() && !before.is_test());
        let documents = record.documents();
        assert!(
            documents.contains("image: \"ghcr.io/acme/api:1\"")
                && documents.contains("name: before")
        );
        assert!(!documents.contains("name: test"));
    }
}

#[test]
fn the_oldest_records_are_not_compressed() {
    let plain = STANDARD.encode(r#"{"version":1}"#);
    assert_eq!(read(decode(plain.as_bytes()).unwrap()).unwrap().revision, 1);
}

#[test]
fn broken_records_are_errors() {
    let bomb = vec![b' '; 65 << 20];
    let mut cut = stored(br#"{"version":1}"#);
    cut.truncate(cut.len() - 12);
    for (bytes, said) in [
        (b"%%%".to_vec(), "not base64"),
        (cut, "not gzip"),
        (stored(&bomb), "more than 64 MiB"),
        (stored(b"nonsense"), "not JSON"),
        (stored(b"{}"), "no revision"),
    ] {
        let error = decode(&bytes).and_then(read).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn the_next_upgrade_is_applied_as_the_last() {
    let record = |status: &str, method: &str| {
        read(json!({ "version": 1, "info": { "status": status }, "apply_method": method })).unwrap()
    };
    assert!(next_is_server_side(None));
    assert!(next_is_server_side(Some(&record("deployed", "ssa"))));
    assert!(!next_is_server_side(Some(&record("deployed", "csa"))));
    assert!(!next_is_server_side(Some(&record("failed", ""))));
    assert!(next_is_server_side(Some(&record("uninstalled", "csa"))));
}

#[test]
fn drivers_are_read_as_helm_reads_them() {
    for (named, driver) in [
        ("", Some(Driver::Secrets)),
        ("secret", Some(Driver::Secrets)),
        ("ConfigMaps", Some(Driver::ConfigMaps)),
        ("sql", None),
        ("memory", None),
    ] {
        let environment = BTreeMap::from([("HELM_DRIVER".into(), named.into())]);
        assert_eq!(Driver::of(&environment).ok(), driver, "{named}");
    }
    assert_eq!(Driver::of(&BTreeMap::new()).unwrap(), Driver::Secrets);
}
