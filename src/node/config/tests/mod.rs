//! deploy.toml, read.
#![allow(clippy::unwrap_used, clippy::too_many_lines)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::{Config, Forwarding, KEYS, Section};
use crate::error::{Error, Kind};
use crate::node::events::EVENTS;
use crate::plan::OnFailure;
use crate::plan::forward::ForwardTarget;

mod fleet;
mod mistakes;

const FILE: &str = "/etc/deploy/deploy.toml";

/// A deploy.toml with every key.
const WHOLE: &str = r#"
[defaults]
timeout     = "10m"
on_failure  = "rollback"
owners      = ["Acme"]
events      = ["push", "workflow_run"]
helm        = "/usr/local/bin/helm"
kubeconfig  = "k3s.yaml"
kube_context = "prod"
inherit_env = ["HELM_DEBUG"]
lock_timeout = "0s"
stale_after = "2h"
forward = "unix:/run/deploy/deploy.sock"
rollback_timeout = "5m"
evidence = { keep = "30d", max = "200MB" }

[env]
HTTPS_PROXY = "http://proxy:3128"

[apps.pytoya]
namespace = "prod"
release   = "pytoya.v2"
chart     = "oci://ghcr.io/acme/charts/pytoya"
values    = ["pytoya.values.yaml", "/srv/more.yaml"]
images.api  = ["api.image", "migrations.image"]
images.cron = ["cron.image"]
required = ["cron"]
absent = ["worker"]
allow_images = ["ghcr.io/acme/shop/api:1.0"]
on_failure = "keep"
forward = { url = "https://controller.acme.example/x", token_file = "token" }
evidence.max = "1GiB"
"#;

fn parse(document: &str) -> Result<Config, Error> {
    Config::parse(document, Path::new(FILE))
}

/// Every line of an error but those of the document, with the file's name cut off.
fn told(document: &str) -> Vec<String> {
    let error = parse(document).unwrap_err();
    assert_eq!(error.kind(), Kind::Node);
    assert!(error.hints().iter().any(|hint| hint.contains(FILE)));
    std::iter::once(error.to_string())
        .chain(error.evidence())
        .filter(|line| !line.contains(" | "))
        .map(|line| {
            line.strip_prefix(&format!("{FILE}:"))
                .unwrap_or(&line)
                .to_owned()
        })
        .collect()
}

#[test]
fn every_key_is_read() {
    let config = parse(WHOLE).unwrap();
    let defaults = &config.defaults;
    assert_eq!(defaults.timeout, Some(Duration::from_secs(600)));
    assert_eq!(defaults.on_failure, Some(OnFailure::Rollback));
    assert_eq!(
        defaults.owners.as_ref().unwrap().first().unwrap().as_str(),
        "acme"
    );
    let events: Vec<&str> = defaults
        .events
        .iter()
        .flatten()
        .map(super::EventName::as_str)
        .collect();
    assert_eq!(events, ["push", "workflow_run"]);
    assert_eq!(defaults.helm, Some(PathBuf::from("/usr/local/bin/helm")));
    assert_eq!(
        defaults.kubeconfig,
        Some(PathBuf::from("/etc/deploy/k3s.yaml"))
    );
    assert_eq!(defaults.kube_context.as_deref(), Some("prod"));
    assert_eq!(
        defaults.inherit_env,
        Some(BTreeSet::from(["HELM_DEBUG".to_owned()]))
    );
    assert_eq!(defaults.lock_timeout, Some(Duration::ZERO));
    assert_eq!(defaults.stale_after, Some(Duration::from_secs(7200)));
    assert_eq!(defaults.rollback_timeout, Some(Duration::from_secs(300)));
    assert_eq!(defaults.evidence_keep, Some(Duration::from_secs(2_592_000)));
    assert_eq!(defaults.evidence_max, Some(200_000_000));
    let socket = "unix:/run/deploy/deploy.sock".parse().unwrap();
    assert_eq!(defaults.forward, Some(Forwarding::To(socket, None)));
    assert_eq!(config.env["HTTPS_PROXY"], "http://proxy:3128");

    let app = &config.apps[&"pytoya".parse().unwrap()];
    assert_eq!(app.namespace.as_ref().unwrap().as_str(), "prod");
    assert_eq!(app.release.as_ref().unwrap().as_str(), "pytoya.v2");
    assert_eq!(
        app.chart.as_ref().unwrap().to_string(),
        "oci://ghcr.io/acme/charts/pytoya"
    );
    let values = app.values.as_ref().unwrap();
    assert_eq!(values[0], Path::new("/etc/deploy/pytoya.values.yaml"));
    assert_eq!(values[1], Path::new("/srv/more.yaml"));
    assert_eq!(app.images.len(), 2);
    assert_eq!(
        app.images[&"api".parse().unwrap()][1].to_string(),
        "migrations.image"
    );
    assert!(app.required.contains(&"cron".parse().unwrap()));
    assert!(app.absent.contains(&"worker".parse().unwrap()));
    assert_eq!(
        app.allow_images.first().unwrap().to_string(),
        "ghcr.io/acme/shop/api:1.0"
    );
    assert_eq!(app.settings.on_failure, Some(OnFailure::Keep));
    assert_eq!(app.settings.evidence_max, Some(1 << 30));
    assert_eq!(app.settings.timeout, None);
    let url = "https://controller.acme.example/x".parse().unwrap();
    let token = Some(PathBuf::from("/etc/deploy/token"));
    assert_eq!(app.settings.forward, Some(Forwarding::To(url, token)));
}

#[test]
fn a_command_is_found_as_a_shell_finds_it() {
    for (word, program) in [
        ("lightwayctl", "lightwayctl"),
        ("./apply", "/etc/deploy/apply"),
        ("/opt/apply", "/opt/apply"),
    ] {
        let document = format!("[defaults]\nforward = {{ command = [\"{word}\", \"--now\"] }}");
        let Some(Forwarding::To(
            ForwardTarget::Command {
                program: found,
                args,
            },
            None,
        )) = parse(&document).unwrap().defaults.forward
        else {
            panic!("{word}");
        };
        assert_eq!(
            (found, args),
            (PathBuf::from(program), vec!["--now".to_owned()])
        );
    }
    let here = parse("[defaults]\nforward = \"helm\"").unwrap();
    assert_eq!(here.defaults.forward, Some(Forwarding::Helm));
}

#[test]
fn an_empty_file_says_nothing() {
    assert_eq!(parse("").unwrap(), Config::default());
    assert_eq!(
        parse("# nothing\n[defaults]\n[env]\n[apps]\n").unwrap(),
        Config::default()
    );
}

/// The keys that a table takes, as its own error names them.
fn taken(table: &str) -> BTreeSet<String> {
    let lines = told(&format!("[{table}]\nqqqqqqqqqqqqqqqqqqqqqq = 1"));
    let (_, list) = lines[0].split_once(" takes ").unwrap();
    list.split(", ").map(str::to_owned).collect()
}

#[test]
fn the_table_of_keys_is_what_is_read() {
    let named = |places: &[Section]| -> BTreeSet<String> {
        KEYS.iter()
            .filter(|key| places.contains(&key.place))
            .map(|key| key.name.split('.').next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(taken("defaults"), named(&[Section::Both]));
    assert_eq!(taken("apps.shop"), named(&[Section::Both, Section::App]));
    assert_eq!(taken("receive"), named(&[Section::Receive]));
    assert_eq!(
        taken("defaults.evidence"),
        BTreeSet::from(["keep".into(), "max".into()])
    );
    let unknown = told("qqqqqqqqqqqqqqqqqq = 1");
    assert!(
        unknown[0].ends_with("the file takes defaults, receive, env, apps"),
        "{unknown:?}"
    );
    for key in KEYS {
        assert!(!key.meaning.is_empty() && !key.form.is_empty());
        assert!(!key.place.tables().is_empty());
    }
    let events = KEYS.iter().find(|key| key.name == "events").unwrap();
    assert_eq!(events.default, EVENTS.join(", "));
}

proptest! {
    #[test]
    fn no_document_panics(document in "[\\[\\]a-z.=\"'{}, \n\\\\0-9é-]{0,200}") {
        let _ = parse(&document);
    }

    #[test]
    fn no_change_of_the_example_panics(at in 0..WHOLE.len(), with in "\\PC{0,4}") {
        let mut document = WHOLE.to_owned();
        document.replace_range(at..=at, &with);
        if let Err(error) = parse(&document) {
            prop_assert!(error.to_string().starts_with(FILE));
        }
    }
}
