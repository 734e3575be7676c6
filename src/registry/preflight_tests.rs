#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use super::{
    DeletedManifests, ImageStatus, Preflight, RegistryError, named_platform, wrong_platform,
};
use crate::error::Kind;
use crate::registry::index::manifest_deleted;

#[test]
fn only_what_is_definitely_missing_stops_a_deploy() {
    let image = |key: &str, verdict: ImageStatus| {
        (
            key.parse().unwrap(),
            format!("ghcr.io/acme/{key}:1").parse().unwrap(),
            verdict,
        )
    };
    let found = ImageStatus::Found {
        digest: None,
        platforms: BTreeSet::new(),
        deleted: BTreeMap::new(),
    };
    let denied = ImageStatus::Unknown(RegistryError::Denied, "denied".into());
    let good = Preflight {
        verdicts: vec![image("api", found), image("web", denied)],
        ..Preflight::default()
    };
    assert!(good.check().is_ok());
    let notes = good.notes();
    assert!(
        notes.len() == 1 && notes[0].starts_with("web: ghcr.io/acme/web:1"),
        "{notes:?}"
    );

    let missing = Preflight {
        verdicts: vec![
            image("api", ImageStatus::NotFound),
            image("web", ImageStatus::NotFound),
        ],
        ..Preflight::default()
    };
    let error = missing.check().unwrap_err();
    assert_eq!(error.kind(), Kind::Registry);
    assert_eq!(
        error.evidence(),
        ["api: ghcr.io/acme/api:1", "web: ghcr.io/acme/web:1"]
    );
}

#[test]
fn a_single_images_platform_is_in_its_config() {
    for (config, platform) in [
        (
            r#"{"os":"linux","architecture":"arm64","config":{}}"#,
            Some("linux/arm64"),
        ),
        (r#"{"apiVersion":"v2","name":"shop"}"#, None),
        (r#"{"os":"","architecture":""}"#, None),
        ("<html>", None),
    ] {
        assert_eq!(
            named_platform(config.as_bytes()).as_deref(),
            platform,
            "{config}"
        );
    }
}

#[test]
fn an_image_for_no_node_is_told_with_both_sides() {
    let found = |platforms: &[&str]| ImageStatus::Found {
        digest: None,
        platforms: platforms.iter().map(|&name| name.to_owned()).collect(),
        deleted: BTreeMap::new(),
    };
    let preflight = |verdicts: [ImageStatus; 2]| Preflight {
        verdicts: ["api", "web"]
            .into_iter()
            .zip(verdicts)
            .map(|(key, verdict)| {
                let image = format!("ghcr.io/acme/{key}:1").parse().unwrap();
                (key.parse().unwrap(), image, verdict)
            })
            .collect(),
        ..Preflight::default()
    };
    let nodes = BTreeSet::from(["linux/amd64".to_owned()]);
    let good = [found(&["linux/amd64", "linux/arm64"]), found(&[])];
    assert!(preflight(good).incompatible_images(&nodes).is_empty());
    let unknown = [found(&["linux/amd64"]), ImageStatus::NotFound];
    assert!(preflight(unknown).incompatible_images(&nodes).is_empty());

    let one =
        preflight([found(&["linux/arm64"]), found(&["linux/amd64"])]).incompatible_images(&nodes);
    let error = wrong_platform(&one);
    assert_eq!(error.kind(), Kind::Chart);
    assert_eq!(
        error.to_string(),
        "no node can run api: ghcr.io/acme/api:1 is built for linux/arm64, the cluster's nodes are linux/amd64"
    );
    let both =
        preflight([found(&["linux/arm64"]), found(&["windows/amd64"])]).incompatible_images(&nodes);
    let error = wrong_platform(&both);
    assert_eq!(error.to_string(), "no node can run 2 of the images");
    assert_eq!(error.evidence().len(), 2);
}

fn digest() -> String {
    format!("sha256:{}", "a".repeat(64))
}

fn with_deleted(deleted: &[&str]) -> Preflight {
    let status = ImageStatus::Found {
        digest: None,
        platforms: BTreeSet::from(["linux/amd64".into(), "linux/arm64".into()]),
        deleted: deleted
            .iter()
            .map(|&platform| (platform.to_owned(), digest()))
            .collect(),
    };
    let image = "ghcr.io/acme/api:1".parse().unwrap();
    Preflight {
        verdicts: vec![("api".parse().unwrap(), image, status)],
        ..Preflight::default()
    }
}

/// Case D1: a deploy is stopped where no node can pull the image.
#[test]
fn deleted_manifests_count_for_the_nodes_platforms() {
    const BOTH: &[&str] = &["linux/amd64", "linux/arm64"];
    for (deleted, nodes, for_all, for_some) in [
        (&[][..], Some(&["linux/amd64"][..]), 0, 0),
        (&["linux/amd64"], Some(&["linux/amd64"]), 1, 0),
        (&["linux/arm64"], Some(&["linux/amd64"]), 0, 0),
        (&["linux/arm64"], Some(BOTH), 0, 1),
        (BOTH, Some(BOTH), 1, 0),
        // Nodes that must not be listed: any can be meant.
        (&["linux/arm64"], None, 0, 1),
        (BOTH, None, 1, 0),
        // An image for other platforms has an error of its own.
        (BOTH, Some(&["windows/amd64"]), 0, 0),
    ] {
        let nodes = nodes.map(|nodes| nodes.iter().map(|&name| name.to_owned()).collect());
        let found = with_deleted(deleted).deleted_manifests(nodes.as_ref());
        assert_eq!(
            (found.for_all.len(), found.for_some.len()),
            (for_all, for_some),
            "{deleted:?} {nodes:?}"
        );
    }
    let DeletedManifests { for_all, .. } = with_deleted(BOTH).deleted_manifests(None);
    let error = manifest_deleted(&for_all);
    assert_eq!(error.kind(), Kind::Registry);
    assert_eq!(
        error.to_string(),
        format!(
            "api: ghcr.io/acme/api:1 lists {} for linux/amd64, which ghcr.io does not have",
            digest()
        )
    );
    assert!(
        error
            .hints()
            .join(" ")
            .contains("clean-up of untagged versions"),
        "{error:?}"
    );
}
