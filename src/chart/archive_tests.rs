#![allow(clippy::unwrap_used)]
use std::io::Write as _;

use serde_json::json;

use super::{Chart, inner};

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (path, data) in files {
        let mut header = tar::Header::new_ustar();
        // Written by hand: the crate itself refuses paths that lead out.
        let name = &mut header.as_old_mut().name;
        name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append(&header, *data).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

#[test]
fn a_chart_is_read_with_its_subcharts() {
    let db = archive(&[
        ("db/Chart.yaml", b"name: db\nversion: 2.0.0"),
        ("db/values.yaml", b"image: db:1"),
        (
            "db/templates/a.yaml",
            b"{{ lookup \"v1\" \"Secret\" \"\" \"\" }}",
        ),
    ]);
    let chart = Chart::read(
        archive(&[
            (
                "shop/Chart.yaml",
                b"name: shop\nversion: 1.2.3+4\ndependencies:\n- {name: db, alias: store, condition: store.on, import-values: [x]}",
            ),
            ("shop/values.yaml", b"api: {image: a}"),
            ("shop/../../etc/passwd", b"no"),
            ("shop/charts/db-2.0.0.tgz", &db),
            ("shop/charts/front/Chart.yaml", b"name: front\nversion: 1.0.0"),
            ("shop/charts/_ignored/Chart.yaml", b"name: ["),
            ("shop/charts/README.md", b"none"),
            ("shop/crds/a.yaml", b"kind: CustomResourceDefinition\nspec: {group: a.example, names: {kind: Runner}}"),
        ])
        .as_slice(),
    )
    .unwrap();
    assert_eq!(
        (chart.name.as_str(), chart.version.as_str()),
        ("shop", "1.2.3+4")
    );
    assert_eq!(chart.values, json!({"api": {"image": "a"}}));
    let dependency = &chart.dependencies[0];
    assert_eq!(dependency.alias.as_deref(), Some("store"));
    assert_eq!(dependency.condition.as_deref(), Some("store.on"));
    assert_eq!(dependency.import_values, [json!("x")]);
    let names: Vec<&str> = chart
        .subcharts
        .iter()
        .map(|chart| chart.name.as_str())
        .collect();
    assert_eq!(names, ["db", "front"]);
    assert!(chart.templates.iter().any(|text| text.contains("lookup")));
    assert!(chart.has_crd("a.example", "Runner") && !chart.has_crd("b.example", "Runner"));

    let verify = |reference: &str, version: &str| {
        chart.verify(&reference.parse().unwrap(), &version.parse().unwrap())
    };
    verify("oci://ghcr.io/acme/charts/shop", "1.2.3+4").unwrap();
    for (reference, version) in [
        ("oci://ghcr.io/acme/charts/other", "1.2.3+4"),
        ("oci://ghcr.io/acme/charts/shop", "1.2.3"),
    ] {
        let error = verify(reference, version).unwrap_err().to_string();
        assert!(
            error.contains("'shop 1.2.3+4'") && error.contains(version),
            "{error}"
        );
    }
}

#[test]
fn what_is_no_chart_or_too_large_is_refused() {
    let mut nested = archive(&[("a/Chart.yaml", b"name: a\nversion: 1.0.0")]);
    for _ in 0..10 {
        nested = archive(&[
            ("a/Chart.yaml", b"name: a\nversion: 1.0.0"),
            ("a/charts/a.tgz", &nested),
        ]);
    }
    let large = vec![b' '; (5 << 20) + 1];
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    bomb.write_all(&vec![0; 1 << 20]).unwrap();
    for (archive, told) in [
        (b"not gzip".to_vec(), "not a chart"),
        (archive(&[]), "Chart.yaml is missing"),
        (archive(&[("a/Chart.yaml", b"version: 1.0.0")]), "no name"),
        (archive(&[("a/Chart.yaml", b"name: [")]), "Chart.yaml: "),
        (
            archive(&[("a/Chart.yaml", b"name: a"), ("a/values.yaml", b"- 1")]),
            "not a map",
        ),
        (
            archive(&[("a/Chart.yaml", b"name: a"), ("a/values.yaml", b"\xff")]),
            "not UTF-8",
        ),
        (archive(&[("a/big", &large)]), "larger than 5 MiB"),
        (nested, "deep"),
        (bomb.finish().unwrap(), "not a chart"),
    ] {
        let error = Chart::read(archive.as_slice()).unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[test]
fn a_path_never_leads_out() {
    for (path, below) in [
        ("shop/a/b", Some("a/b")),
        ("shop/./a", Some("a")),
        ("shop\\a", Some("a")),
        ("shop", None),
        ("../a", Some("a")),
        ("shop/../a", None),
        ("/etc/passwd", Some("etc/passwd")),
    ] {
        assert_eq!(inner(path.as_bytes()).as_deref(), below, "{path}");
    }
}
