//! What helm is given of an environment.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;

use proptest::prelude::*;

use super::{
    EnvPolicy, Environment, VARIABLES, Variable, VariableClass, dropped_warning, for_helm,
};

/// Helm's environment, without what is always there, and what was dropped.
fn helm(
    variables: &[(&str, &str)],
    env: &[(&str, &str)],
    inherit: &[&str],
) -> (BTreeMap<String, String>, Vec<String>) {
    let environment: Environment = variables.iter().copied().collect();
    let env = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let inherit: BTreeSet<String> = inherit.iter().map(|name| (*name).to_owned()).collect();
    let say = EnvPolicy {
        env: &env,
        inherit: &inherit,
        base: Path::new("/etc/deploy"),
    };
    let (given, dropped) = for_helm(&environment, say, Path::new("/cwd"));
    let text = |text: OsString| text.into_string().unwrap();
    let mut given: BTreeMap<String, String> =
        given.into_iter().map(|(n, v)| (text(n), text(v))).collect();
    assert_eq!(given.remove("HELM_NO_PLUGINS").as_deref(), Some("1"));
    (given, dropped)
}

const INSIDE: (&str, &str) = ("GITHUB_ACTIONS", "true");

#[test]
fn what_helm_is_given_inside_actions() {
    for (name, value, seen, warned) in [
        ("HOME", "/home/r", Some("/home/r"), false),
        (
            "PATH",
            "/bin::tools:/sbin",
            Some("/bin:/cwd/:/cwd/tools:/sbin"),
            false,
        ),
        ("TMPDIR", "/t", Some("/t"), false),
        ("RUNNER_TRACKING_ID", "github_1", Some("github_1"), false),
        ("AWS_PROFILE", "p", Some("p"), false),
        ("AWS_CONFIG_FILE", "aws", Some("/cwd/aws"), false),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/g", Some("/g"), false),
        ("CLOUDSDK_CORE_PROJECT", "p", Some("p"), false),
        ("AZURE_CLIENT_ID", "i", Some("i"), false),
        ("LC_ALL", "C", Some("C"), false),
        ("KUBECONFIG", "k:/l", Some("/cwd/k:/l"), false),
        ("DOCKER_CONFIG", "d", Some("/cwd/d"), false),
        ("HELM_REGISTRY_CONFIG", "/r", Some("/r"), false),
        ("HTTPS_PROXY", "http://p", Some("http://p"), false),
        ("https_proxy", "http://p", Some("http://p"), false),
        ("no_proxy", "x", Some("x"), false),
        ("SSL_CERT_FILE", "c", Some("/cwd/c"), false),
        ("SSL_CERT_DIR", "c:/d", Some("/cwd/c:/d"), false),
        ("HELM_NAMESPACE", "evil", None, true),
        ("HELM_KUBEAPISERVER", "evil", None, true),
        ("HELM_KUBECONTEXT", "evil", None, true),
        ("HELM_DRIVER", "memory", None, true),
        ("HELM_DRIVER_SQL_CONNECTION_STRING", "evil", None, true),
        ("HELM_PLUGINS", "/evil", None, true),
        ("HELM_CONFIG_HOME", "/evil", None, true),
        ("HELM_CACHE_HOME", "/evil", None, true),
        ("HELM_REPOSITORY_CONFIG", "/evil", None, true),
        ("HELM_CONTENT_CACHE", "/evil", None, true),
        ("HELM_MAX_HISTORY", "1", None, true),
        ("HELM_DEBUG", "1", None, true),
        ("HELM_DEBUG", "", None, false),
        ("HELM_OF_TOMORROW", "1", None, true),
        ("XDG_CONFIG_HOME", "/evil", None, true),
        ("XDG_STATE_HOME", "/evil", None, false),
        ("XDG_RUNTIME_DIR", "/run", None, false),
        ("STATE_DIRECTORY", "/evil", None, false),
        ("DEPLOY_CONFIG", "/evil", None, true),
        ("DEPLOY_STATE_DIR", "/evil", None, true),
        ("DEPLOY_TIMEOUT", "1m", None, false),
        ("DEPLOY_LOG", "debug", None, false),
        ("GITHUB_TOKEN", "secret", None, false),
        ("LD_PRELOAD", "/evil.so", None, false),
        ("BASH_ENV", "/evil", None, false),
    ] {
        let (given, dropped) = helm(&[INSIDE, (name, value)], &[], &[]);
        assert_eq!(given.get(name).map(String::as_str), seen, "{name}");
        assert_eq!(!dropped.is_empty(), warned, "{name}");
    }
}

#[test]
fn one_warning_names_all_and_shows_no_value() {
    let variables = [
        INSIDE,
        ("HELM_DRIVER_SQL_CONNECTION_STRING", "s3cret"),
        ("HELM_DEBUG", "1"),
        ("DEPLOY_CONFIG", "/x"),
    ];
    let (_, dropped) = helm(&variables, &[], &[]);
    let warning = dropped_warning(&dropped).unwrap();
    assert_eq!(
        warning,
        "ignored from the workflow's environment, since the node decides it: DEPLOY_CONFIG, \
         HELM_DEBUG, HELM_DRIVER_SQL_CONNECTION_STRING; inherit_env = [\"HELM_DEBUG\"] in \
         deploy.toml passes one on"
    );
    let hostile: Vec<String> = (0..500).map(|at| format!("HELM_\n::error::{at}")).collect();
    let warning = dropped_warning(&hostile).unwrap();
    assert!(
        warning.contains("490 more") && !warning.contains('\n'),
        "{warning}"
    );
    assert_eq!(dropped_warning(&[]), None);
    assert!(
        !dropped_warning(&["DEPLOY_CONFIG".into()])
            .unwrap()
            .contains("inherit_env")
    );
}

#[test]
fn the_node_can_let_a_variable_count() {
    let variables = [
        INSIDE,
        ("HELM_DEBUG", "1"),
        ("VAULT_TOKEN", "t"),
        ("HELM_CACHE_HOME", "c"),
    ];
    let (given, dropped) = helm(
        &variables,
        &[],
        &["HELM_DEBUG", "VAULT_TOKEN", "HELM_CACHE_HOME"],
    );
    assert_eq!(dropped, [""; 0]);
    assert_eq!(given["HELM_DEBUG"], "1");
    assert_eq!(given["VAULT_TOKEN"], "t");
    assert_eq!(given["HELM_CACHE_HOME"], "/cwd/c");
}

#[test]
fn by_hand_all_of_it_counts() {
    for (name, value) in [
        ("HELM_NAMESPACE", "x"),
        ("XDG_CONFIG_HOME", "/x"),
        ("VAULT_TOKEN", "t"),
        ("HELM_DRIVER", "configmap"),
    ] {
        let (given, dropped) = helm(&[(name, value)], &[], &[]);
        assert_eq!(given.get(name).map(String::as_str), Some(value));
        assert_eq!(dropped, [""; 0]);
    }
    let (given, _) = helm(
        &[("DEPLOY_TIMEOUT", "1m"), ("HELM_NO_PLUGINS", "0")],
        &[],
        &[],
    );
    assert!(given.is_empty());
}

#[test]
fn what_the_node_sets_counts_most() {
    let variables = [
        INSIDE,
        ("HTTPS_PROXY", "evil"),
        ("https_proxy", "evil"),
        ("HTTP_PROXY", "theirs"),
        ("DOCKER_CONFIG", "/evil"),
    ];
    let (given, _) = helm(
        &variables,
        &[
            ("https_proxy", "ours"),
            ("DOCKER_CONFIG", "docker"),
            ("HELM_DEBUG", "1"),
        ],
        &[],
    );
    assert_eq!(given.get("HTTPS_PROXY"), None);
    assert_eq!(given["https_proxy"], "ours");
    assert_eq!(given["HTTP_PROXY"], "theirs");
    assert_eq!(given["DOCKER_CONFIG"], "/etc/deploy/docker");
    assert_eq!(given["HELM_DEBUG"], "1");
    let (given, _) = helm(&[], &[("HTTP_PROXY", "a"), ("http_proxy", "b")], &[]);
    assert_eq!(
        (given["HTTP_PROXY"].as_str(), given["http_proxy"].as_str()),
        ("a", "b")
    );
}

#[test]
fn the_table_of_variables_has_no_entry_that_never_counts() {
    for (at, variable) in VARIABLES.iter().enumerate() {
        let sample = variable.name.replace('*', "QQ");
        let first = Variable::of(&sample).unwrap();
        assert!(
            std::ptr::eq(first, &raw const VARIABLES[at]),
            "{} hides {}",
            first.name,
            variable.name
        );
        assert!(!variable.meaning.is_empty());
    }
    assert_eq!(
        Variable::of("HELM_REGISTRY_CONFIG").unwrap().class,
        VariableClass::Access
    );
    assert!(Variable::of("helm_debug").is_none());
    assert!(Variable::of("HOMEX").is_none());
}

proptest! {
    /// Whatever a workflow sets, helm sees no path that depends on where helm
    /// runs, and nothing that bends it.
    #[test]
    fn nothing_bends_helm(names in prop::collection::vec("(HELM|XDG|DEPLOY|KUBE)[A-Z_]{0,12}|KUBECONFIG|SSL_CERT_DIR|PATH", 0..8), value in "[a-z/:.]{1,12}") {
        let variables: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), value.as_str())).chain([INSIDE]).collect();
        let (given, _) = helm(&variables, &[], &[]);
        for (name, value) in &given {
            prop_assert!(!name.starts_with("HELM_") || name == "HELM_REGISTRY_CONFIG");
            prop_assert!(!name.starts_with("XDG_") && !name.starts_with("DEPLOY_"));
            if ["KUBECONFIG", "SSL_CERT_DIR", "PATH"].contains(&name.as_str()) {
                prop_assert!(value.split(':').all(|entry| entry.is_empty() && name != "PATH" || entry.starts_with('/')), "{} {}", name, value);
            }
        }
    }
}
