#![allow(clippy::unwrap_used, clippy::too_many_lines)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::{Config, EVENTS, Forwarding, KEYS, Section};
use crate::error::{Error, Kind};
use crate::plan::OnFailure;
use crate::plan::forward::ForwardTarget;

const FILE: &str = "/etc/deploy/deploy.toml";

/// DESIGN's example and the further keys.
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

/// Every line of an error, with the file's name cut off.
fn told(document: &str) -> Vec<String> {
    let error = parse(document).unwrap_err();
    assert_eq!(error.kind(), Kind::Node);
    assert!(error.hints().iter().any(|hint| hint.contains(FILE)));
    std::iter::once(error.to_string())
        .chain(error.evidence())
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

#[test]
fn mistakes_are_told_with_their_place_and_the_fix() {
    for (document, line) in [
        (
            "[defaults]\ntiemout = \"10m\"",
            "2:1: unknown key 'tiemout' in [defaults]; did you mean timeout?",
        ),
        (
            "[defaults]\n  on-failure = \"keep\"",
            "2:3: unknown key 'on-failure' in [defaults]; did you mean on_failure?",
        ),
        (
            "[default]\n",
            "1:2: unknown key 'default' in the file; did you mean defaults?",
        ),
        (
            "[defaults]\ntimeout = 600",
            "2:11: defaults.timeout is the number 600, expected a duration above zero, such as \"10m\" or \"1h30m\"",
        ),
        (
            "[defaults]\ntimeout = \"600\"",
            "2:11: defaults.timeout is '600', expected a duration",
        ),
        (
            "[defaults]\ntimeout = \"0s\"",
            "2:11: defaults.timeout is '0s', expected a duration above zero",
        ),
        (
            "[defaults]\non_failure = \"rolback\"",
            "2:14: defaults.on_failure is 'rolback', expected \"rollback\" or \"keep\"",
        ),
        (
            "[defaults]\non_failure = true",
            "2:14: defaults.on_failure is true, expected",
        ),
        (
            "[defaults]\nowners = \"acme\"",
            "2:10: defaults.owners is a text, expected a list: [\"…\"], each a GitHub login",
        ),
        (
            "[defaults]\nowners = [\"a b\"]",
            "2:11: an entry of defaults.owners is 'a b', expected a GitHub login",
        ),
        (
            "[defaults]\nevents = [\"push\", \"pull_request_target\"]",
            "2:19: an entry of defaults.events is 'pull_request_target', expected a GitHub event such as \"push\"; pull_request… and merge_group can never deploy",
        ),
        ("[defaults]\nevents = [\"merge_group\"]", "can never deploy"),
        (
            "[defaults]\nkubeconfig = \"~/.kube/config\"",
            "2:14: defaults.kubeconfig is '~/.kube/config', expected a path, absolute or from this file's directory ('~' is not expanded)",
        ),
        (
            "[defaults]\ninherit_env = [\"DEPLOY_CONFIG\"]",
            "(DEPLOY_… cannot be inherited)",
        ),
        (
            "[defaults]\nevidence = { kep = \"1d\" }",
            "2:14: unknown key 'kep' in [defaults.evidence]; did you mean keep?",
        ),
        (
            "[defaults]\nevidence.max = \"lots\"",
            "2:16: defaults.evidence.max is 'lots', expected a size such as \"200MB\" or \"1GiB\"",
        ),
        (
            "defaults = 1",
            "1:12: defaults is the number 1, expected a table",
        ),
        (
            "[apps]\nshop = \"x\"",
            "2:8: apps.shop is a text, expected a table",
        ),
        (
            "[apps.Shop]",
            "1:7: 'Shop' names no app, expected the application's name: at most 53 lower-case letters, digits and '-'",
        ),
        (
            "[apps.shop]\nnamespace = \"Prod\"",
            "2:13: apps.shop.namespace is 'Prod', expected a namespace: at most 63",
        ),
        (
            "[apps.shop]\nrelease = \"shop.\"",
            "2:11: apps.shop.release is 'shop.', expected a release",
        ),
        (
            "[apps.shop]\nchart = \"oci://ghcr.io/acme/shop\"",
            "expected oci://ghcr.io/<owner>/charts/<chart>",
        ),
        (
            "[apps.shop]\nvalues = [\"\"]",
            "2:11: an entry of apps.shop.values is ''",
        ),
        (
            "[apps.shop]\nimages.api = \"api.image\"",
            "2:14: apps.shop.images.api is a text, expected a list: [\"…\"], each a value path such as \"api.image\"",
        ),
        (
            "[apps.shop]\nimages.api = [\"api..image\"]",
            "2:15: an entry of apps.shop.images.api is 'api..image'",
        ),
        (
            "[apps.shop]\nimages.\"1x\" = []",
            "2:8: '1x' is no image key",
        ),
        (
            "[apps.shop]\nrequired = [\"a b\"]",
            "expected an image key such as \"cron\"",
        ),
        (
            "[apps.shop]\nrequired = [\"cron\"]\nabsent = [\"cron\"]",
            "1:7: the image key cron stands in required and in absent; take it out of one of them",
        ),
        (
            "[apps.shop]\nallow_images = [\"nginx\"]",
            "expected ghcr.io/<owner>/<path>",
        ),
        (
            "[apps.shop]\nbackward = \"unix:/x\"",
            "2:1: unknown key 'backward' in [apps.shop]; [apps.shop] takes namespace, release,",
        ),
        (
            "[defaults]\nforward = \"http://10.0.0.5:8080\"",
            "2:11: defaults.forward is 'http://10.0.0.5:8080', expected an address of this machine",
        ),
        (
            "[defaults]\nforward = \"https://a.example\"",
            "expected { url = \"https://…\", token_file = \"…\" }: over a network it needs a token",
        ),
        (
            "[defaults]\nforward = { url = \"https://a.example\" }",
            "2:11: defaults.forward is a table, expected a token_file beside an https url",
        ),
        (
            "[defaults]\nforward = { url = \"http://10.0.0.5\", token_file = \"t\" }",
            "expected an address of this machine for http",
        ),
        (
            "[defaults]\nforward = { command = [] }",
            "expected a command of at least one word",
        ),
        (
            "[defaults]\nforward = { command = [\"a\"], url = \"unix:/x\" }",
            "expected { command = […] } or { url =",
        ),
        (
            "[defaults]\nforward = { comand = [\"a\"] }",
            "2:13: unknown key 'comand' in [defaults.forward]; did you mean command?",
        ),
        (
            "[apps.shop]\nforward = true",
            "2:11: apps.shop.forward is true, expected \"unix:/path\"",
        ),
        (
            "[defaults]\nnamespace = \"x\"",
            "2:1: unknown key 'namespace' in [defaults]",
        ),
        (
            "[env]\nKUBECONFIG = \"/x\"",
            "2:1: env.KUBECONFIG has a key of its own; set the key kubeconfig instead",
        ),
        (
            "[env]\nHELM_NAMESPACE = \"x\"",
            "set the key namespace of [apps.<app>] instead",
        ),
        (
            "[env]\nHELM_KUBETOKEN = \"x\"",
            "would show helm another cluster than deploy looks at; put it into the kubeconfig",
        ),
        (
            "[env]\nDEPLOY_TIMEOUT = \"x\"",
            "env.DEPLOY_TIMEOUT is never given to helm; remove it",
        ),
        ("[env]\n\"A B\" = \"x\"", "env.\"A B\" is no variable"),
        (
            "[defaults]\ntimeout = \"1m\"\ntimeout = \"2m\"",
            "3:1: duplicate key",
        ),
        ("[defaults\n", "1:10: "),
        ("ä = [\n", ":"),
    ] {
        let lines = told(document);
        assert!(lines[0].contains(line), "{document}\n{lines:#?}");
    }
}

#[test]
fn every_mistake_is_told_in_order() {
    let lines =
        told("[apps.shop]\nrelase = \"x\"\nnamespace = 1\n[env]\nA = 1\n[defaults]\ntimeout = 1\n");
    let places: Vec<&str> = lines
        .iter()
        .map(|line| line.split(": ").next().unwrap())
        .collect();
    assert_eq!(places, ["2:1", "3:13", "5:1", "7:11"]);
    let many = (0..100).fold(String::new(), |all, number| {
        all + &format!("x{number} = 1\n")
    });
    let lines = told(&many);
    assert_eq!(lines.len(), 22);
    assert_eq!(lines.last().unwrap(), "… and 79 more");
}

#[test]
fn a_value_of_env_is_never_shown() {
    for document in [
        "[env]\nP = 31337",
        "[env]\nP = [\"s3cret\"]",
        "[env]\nP = { s3cret = 1 }",
        "env = \"s3cret\"",
        "env = [\"s3cret\"]",
        "[env]\nKUBECONFIG = \"s3cret\"",
        "[env]\nP = \"s3cret\\u0000\"",
        "[env]\nP = \"s3cret",
        "[env]\nP = s3cret",
        "[env]\nP = \"s3cret\"\nP = \"s3cret\"",
        "[env]\nP = 's3cret' s3cret",
    ] {
        let error = parse(document).unwrap_err();
        let whole = format!(
            "{error} {error:?} {:?} {:?}",
            error.evidence(),
            error.hints()
        );
        assert!(
            !whole.contains("s3cret") && !whole.contains("31337"),
            "{whole}"
        );
    }
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
    assert_eq!(
        taken("defaults.evidence"),
        BTreeSet::from(["keep".into(), "max".into()])
    );
    let unknown = told("qqqqqqqqqqqqqqqqqq = 1");
    assert!(
        unknown[0].ends_with("the file takes defaults, env, apps"),
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
