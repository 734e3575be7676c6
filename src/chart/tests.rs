//! The proof against charts that are functions: what a template would render
//! from the coalesced values. Real helm renders the corpus in `tests/data/charts`.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Mutex;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Chart, Proof, Render, prove, values, verify_record};
use crate::plan::ImageRules;
use crate::signal::{ImageKey, ImageRef};
use crate::{Error, Kind, Result};

/// A chart whose templates are a function.
pub(super) struct Fake<F> {
    chart: Chart,
    templates: F,
    renders: Mutex<Vec<Value>>,
}

impl<F: Fn(&Value) -> String> Fake<F> {
    pub(super) fn new(values: Value, templates: F) -> Self {
        let chart = Chart {
            name: "shop".into(),
            values,
            ..Chart::default()
        };
        Self {
            chart,
            templates,
            renders: Mutex::default(),
        }
    }

    pub(super) fn manifest(&self, overrides: &Value) -> String {
        (self.templates)(&values::coalesce(
            &self.chart,
            std::slice::from_ref(overrides),
        ))
    }

    fn count(&self) -> usize {
        self.renders.lock().unwrap().len()
    }
}

impl<F: Fn(&Value) -> String + Sync> Render for Fake<F> {
    async fn render(&self, overrides: &Value) -> Result<String> {
        self.renders.lock().unwrap().push(overrides.clone());
        match self.manifest(overrides) {
            text if text.starts_with("fail") => Err(Error::new(Kind::Chart, text)),
            text => Ok(text),
        }
    }
}

pub(super) fn deployment(name: &str, image: &str) -> String {
    format!(
        "---\n# Source: shop/templates/{name}.yaml\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: shop-{name}}}\nspec: {{template: {{spec: {{containers: [{{name: {name}, image: '{image}'}}]}}}}}}\n"
    )
}

pub(super) fn text<'a>(values: &'a Value, pointer: &str) -> &'a str {
    values
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

pub(super) fn images(pairs: &[(&str, &str)]) -> BTreeMap<ImageKey, ImageRef> {
    pairs
        .iter()
        .map(|(key, image)| (key.parse().unwrap(), image.parse().unwrap()))
        .collect()
}

pub(super) fn run<F: Fn(&Value) -> String + Sync>(
    fake: &Fake<F>,
    rules: &ImageRules,
    images: &BTreeMap<ImageKey, ImageRef>,
) -> Result<Proof> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(prove(&fake.chart, &[], rules, images, fake))
}

const API: &str = "ghcr.io/acme/shop/api:1";
const WEB: &str = "ghcr.io/acme/shop/web:1";

#[test]
fn three_renders_prove_and_the_record_is_compared() {
    let fake = Fake::new(
        json!({"api": {"image": "old/api:0"}, "web": {"image": "old/web:0"}}),
        |values| {
            deployment("api", text(values, "/api/image"))
                + &deployment("web", text(values, "/web/image"))
        },
    );
    let images = images(&[("api", API), ("web", WEB)]);
    let proof = run(&fake, &ImageRules::default(), &images).unwrap();
    assert_eq!(fake.count(), 3);
    assert_eq!(
        proof.overrides,
        json!({"api": {"image": API}, "web": {"image": WEB}})
    );
    assert_eq!(proof.placements.len(), 2);
    assert!(proof.notes.is_empty());

    let none: [&str; 0] = [];
    let good = fake.manifest(&proof.overrides);
    assert!(verify_record(&good, &none, &proof).unwrap().is_empty());
    let stale = good.replace(API, "ghcr.io/acme/shop/api:0");
    let told = verify_record(&stale, &none, &proof).unwrap().join("\n");
    assert!(
        told.contains("Deployment shop-api, container api: rendered 'ghcr.io/acme/shop/api:0'"),
        "{told}"
    );
    let gone = deployment("web", WEB);
    assert!(verify_record(&gone, &none, &proof).unwrap()[0].contains("missing"));
    // Hooks stand beside the manifest in a record.
    assert!(
        verify_record(&gone, &[deployment("api", API)], &proof)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn an_image_that_another_tag_would_change_is_seen_in_the_real_render() {
    // The chart goes back to its own image for one version only.
    let fake = Fake::new(
        json!({"api": {"image": "old/api:0"}, "web": {"image": "old/web:0"}}),
        |values| {
            let api = text(values, "/api/image");
            let api = if api == API {
                "ghcr.io/acme/shop/api:0"
            } else {
                api
            };
            deployment("api", api) + &deployment("web", text(values, "/web/image"))
        },
    );
    let error = run(
        &fake,
        &ImageRules::default(),
        &images(&[("api", API), ("web", WEB)]),
    )
    .unwrap_err();
    assert_eq!(error.kind(), Kind::Chart);
    assert!(
        error
            .to_string()
            .contains("expected 'ghcr.io/acme/shop/api:1' from api.image"),
        "{error}"
    );
}

#[test]
fn every_problem_is_told_at_once() {
    let fake = Fake::new(json!({"api": {"image": "x"}}), |_| {
        deployment("api", "fixed:1") + &deployment("web", "fixed:2")
    });
    let error = run(
        &fake,
        &ImageRules::default(),
        &images(&[("api", API), ("web", WEB)]),
    )
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("api: the chart ignores api.image"),
        "{error}"
    );
    let evidence = error.evidence().join("\n");
    assert!(
        evidence.contains("web: the chart's values have no place"),
        "{evidence}"
    );
    assert!(
        evidence.contains("Deployment shop-web, container web: rendered 'fixed:2'"),
        "{evidence}"
    );
}

#[test]
fn a_chart_that_does_not_render_says_so_itself() {
    let fake = Fake::new(
        json!({"api": {"image": "x"}, "web": {"image": "x"}}),
        |_| "fail: it is broken".into(),
    );
    let error = run(
        &fake,
        &ImageRules::default(),
        &images(&[("api", API), ("web", WEB)]),
    )
    .unwrap_err();
    assert_eq!(error.to_string(), "fail: it is broken");
}

#[test]
fn an_image_beside_the_requested_ones_is_refused_unless_allowed() {
    let fake = Fake::new(
        json!({"api": {"image": "x"}, "web": {"image": "x"}}),
        |values| {
            deployment("api", text(values, "/api/image"))
                + &deployment("web", text(values, "/web/image"))
                + &deployment("old", "ghcr.io/acme/shop/api:0.1")
        },
    );
    let images = images(&[("api", API), ("web", WEB)]);
    let error = run(&fake, &ImageRules::default(), &images).unwrap_err();
    assert!(error.to_string().contains("Deployment shop-old"), "{error}");
    assert!(
        error
            .hints()
            .iter()
            .any(|hint| hint.contains("allow_images = [\"ghcr.io/acme/shop/api:0.1\"]"))
    );
    let rules = ImageRules {
        allowed: ["ghcr.io/acme/shop/api:0.1".parse().unwrap()].into(),
        ..ImageRules::default()
    };
    run(&fake, &rules, &images).unwrap();
}

/// How the made-up charts below spell an image.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each field is there or not, by itself"
)]
#[derive(Clone, Copy, Debug)]
struct Spelling {
    registry: bool,
    tag: bool,
    digest: bool,
    digest_outranks: bool,
}

impl Spelling {
    fn values(self, key: &str) -> Value {
        let mut map = json!({"repository": format!("old/{key}")});
        if self.registry {
            map["registry"] = json!("docker.io");
        }
        if self.tag {
            map["tag"] = json!("0");
        }
        if self.digest {
            map["digest"] = json!(format!("sha256:{}", "e".repeat(64)));
        }
        map
    }

    fn render(self, image: &Value) -> String {
        let part = |name: &str| text(image, &format!("/{name}")).to_owned();
        let mut whole = part("repository");
        if self.registry {
            whole = format!("{}/{whole}", part("registry"));
        }
        let digest = if self.digest {
            part("digest")
        } else {
            String::new()
        };
        let outranked = self.digest_outranks && !digest.is_empty();
        if self.tag && !part("tag").is_empty() && !outranked {
            whole = format!("{whole}:{}", part("tag"));
        }
        if !digest.is_empty() {
            whole = format!("{whole}@{digest}");
        }
        whole
    }
}

fn spelling() -> impl Strategy<Value = Spelling> {
    (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(registry, tag, digest, digest_outranks)| Spelling {
            registry,
            tag,
            digest,
            digest_outranks,
        },
    )
}

fn end() -> impl Strategy<Value = String> {
    let tag = "[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,20}";
    let digest = "[0-9a-f]{64}";
    prop_oneof![
        tag.prop_map(|tag| format!(":{tag}")),
        digest.prop_map(|hex| format!("@sha256:{hex}")),
        (tag, digest).prop_map(|(tag, hex)| format!(":{tag}@sha256:{hex}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever the spelling and the form: the requested references are
    /// rendered whole, and each field left out by itself is seen or idle.
    #[test]
    fn every_spelling_takes_every_form(api in spelling(), web in spelling(), one in end(), two in end()) {
        let fake = Fake::new(
            json!({"api": {"image": api.values("api")}, "web": {"image": web.values("web")}}),
            move |values| {
                deployment("api", &api.render(&values["api"]["image"]))
                    + &deployment("web", &web.render(&values["web"]["image"]))
            },
        );
        let (one, two) = (format!("ghcr.io/acme/shop/api{one}"), format!("ghcr.io/acme/shop/web{two}"));
        let proof = run(&fake, &ImageRules::default(), &images(&[("api", &one), ("web", &two)])).unwrap();
        let whole = fake.manifest(&proof.overrides);
        prop_assert_eq!(&whole, &(deployment("api", &one) + &deployment("web", &two)));
        for path in proof.layouts.iter().flat_map(super::Layout::paths) {
            let mut broken = proof.overrides.clone();
            values::remove(&mut broken, path);
            let text = fake.manifest(&broken);
            let seen = verify_record(&text, &[] as &[&str], &proof).unwrap();
            prop_assert!(!seen.is_empty() || text == whole, "{} left out is not seen", path);
        }
    }

    /// No manifest makes it panic.
    #[test]
    fn no_manifest_panics(manifest in "(---\n|kind: |apiVersion: v1\n|image: |- |[a-z{}:\\[\\]&*\n ]){0,40}") {
        let _ = crate::manifest::Object::parse(&manifest);
        let _ = super::reference::Reference::parse(&manifest);
    }
}
