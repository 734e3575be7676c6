#![allow(clippy::unwrap_used)]
use super::*;

/// Any two files serve as binaries where nothing is run.
fn base() -> Base {
    let amd64 = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml").into();
    let arm64 = concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs").into();
    Base::new(AppBinaries { amd64, arm64 })
}

fn digest_of(base: &Base, tag: &str, spec: &Spec) -> String {
    build(base, tag, spec).unwrap().top.blob.digest().to_owned()
}

#[test]
fn the_same_input_is_the_same_digest() {
    let spec = Spec::behaving("crash-after 1s");
    assert_eq!(
        digest_of(&base(), "1", &spec),
        digest_of(&base(), "1", &spec)
    );
}

#[test]
fn whatever_differs_makes_another_digest() {
    let base = base();
    let plain = Spec::default();
    let one = digest_of(&base, "1", &plain);
    let labelled = Spec {
        labels: BTreeMap::from([("a".into(), "b".into())]),
        ..Spec::default()
    };
    let both = Spec::default().index(&[Platform::Amd64, Platform::Arm64]);
    let other = Spec {
        platforms: vec![Platform::Arm64],
        ..Spec::default()
    };
    let lying = Spec {
        binary: Some(Platform::Arm64),
        platforms: vec![Platform::Amd64],
        ..Spec::default()
    };
    for (tag, spec) in [
        ("2", &plain),
        ("1", &labelled),
        ("1", &Spec::behaving("hang")),
        ("1", &both),
        ("1", &lying),
    ] {
        assert_ne!(digest_of(&base, tag, spec), one);
    }
    assert_ne!(digest_of(&base, "1", &other), digest_of(&base, "1", &lying));
}

#[test]
fn two_tags_can_be_one_image() {
    let spec = Spec {
        baked_tag: Some("same".into()),
        ..Spec::default()
    };
    assert_eq!(
        digest_of(&base(), "1", &spec),
        digest_of(&base(), "2", &spec)
    );
}

#[test]
fn an_index_names_its_platforms() {
    let spec = Spec::default().index(&[Platform::Amd64, Platform::Arm64]);
    let image = build(&base(), "1", &spec).unwrap();
    assert_eq!(image.top.media_type, INDEX);
    assert_eq!(
        (image.children.len(), image.bases.len(), image.blobs.len()),
        (2, 2, 3)
    );
    let two = Spec {
        platforms: spec.platforms,
        ..Spec::default()
    };
    assert!(
        build(&base(), "1", &two).is_err(),
        "two platforms in one manifest"
    );
}

#[test]
fn a_missing_binary_is_named() {
    let nowhere = || "/nowhere/app".into();
    let base = Base::new(AppBinaries {
        amd64: nowhere(),
        arm64: nowhere(),
    });
    let message = format!("{:#}", build(&base, "1", &Spec::default()).unwrap_err());
    assert!(message.contains("/nowhere/app"), "{message}");
}
