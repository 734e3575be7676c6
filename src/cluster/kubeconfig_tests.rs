#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;

use kube::config::{AuthInfo, Cluster, ExecConfig, Kubeconfig};

use super::{chosen, existing, named_files_are_regular, not_a_file, settle_exec, unreadable};

const TWO: &str = r#"
apiVersion: v1
kind: Config
clusters:
- { name: a, cluster: { server: "https://a:6443", proxy-url: "http://p:1" } }
- { name: b, cluster: { server: "https://b:6443" } }
contexts:
- { name: one, context: { cluster: a, user: u } }
- { name: two, context: { cluster: b, user: u } }
- { name: four, context: { cluster: d, user: u } }
current-context: one
users: [ { name: u, user: {} } ]
"#;

#[test]
fn a_context_leads_to_its_cluster() {
    let kubeconfig = Kubeconfig::from_yaml(TWO).unwrap();
    for (context, address) in [(None, "https://a:6443"), (Some("two"), "https://b:6443")] {
        let (cluster, _) = chosen(&kubeconfig, context).unwrap();
        assert_eq!(cluster.server.as_deref(), Some(address));
    }
    for (context, why) in [
        ("three", "no context 'three'"),
        ("four", "'four' names no cluster"),
        ("", "no current context"),
    ] {
        let said = chosen(&kubeconfig, Some(context)).unwrap_err();
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn a_broken_file_is_told_without_its_content() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    for content in [
        "users:\n- name: a\n  user: { token: s3cret\n",
        "users: s3cret\n",
        "users: [ { name: a, user: { token: [s3cret] } } ]",
    ] {
        std::fs::write(&file, content).unwrap();
        let error = unreadable(&file, Kubeconfig::read_from(&file).unwrap_err());
        let said = format!("{error} {}", error.evidence().join("\n"));
        assert!(
            said.contains("cannot be read") && !said.contains("s3cret"),
            "{said}"
        );
    }
}

#[test]
fn a_list_of_files_may_name_missing_ones_but_not_only_such() {
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().join("there");
    std::fs::write(&there, "").unwrap();
    let list = |names: &[&str]| {
        std::env::join_paths(names.iter().map(|name| folder.path().join(name))).unwrap()
    };
    assert_eq!(existing(&list(&["gone", "there"])).unwrap(), [there]);
    let error = existing(&list(&["gone"])).unwrap_err();
    assert!(error.to_string().contains("/gone"), "{error}");
}

/// Case F4: neither the kubeconfig nor what it names is waited for.
#[test]
fn what_is_no_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).unwrap();
    let error = crate::host::file::open_regular(&fifo).unwrap_err();
    let error = not_a_file("the kubeconfig", &fifo, error);
    assert_eq!(error.kind(), crate::error::Kind::Node);
    assert!(error.to_string().contains("it is a FIFO"), "{error}");
    let user = AuthInfo {
        client_key: fifo.to_str().map(str::to_owned),
        ..AuthInfo::default()
    };
    let error = named_files_are_regular(&Cluster::default(), &user).unwrap_err();
    assert!(
        error.to_string().contains("client-key") && error.to_string().contains("it is a FIFO"),
        "{error}"
    );
    let gone = AuthInfo {
        client_key: Some("/nowhere".into()),
        ..AuthInfo::default()
    };
    assert!(named_files_are_regular(&Cluster::default(), &gone).is_ok());
}

#[test]
fn an_exec_plugin_gets_the_plans_environment_alone() {
    let plan: BTreeMap<OsString, OsString> = BTreeMap::from([("PATH".into(), "/usr/bin".into())]);
    let own = HashMap::from([
        ("name".to_owned(), "REGION".to_owned()),
        ("value".to_owned(), "eu".to_owned()),
    ]);
    let exec = ExecConfig {
        env: Some(vec![own]),
        ..ExecConfig::default()
    };
    let mut user = AuthInfo {
        exec: Some(exec),
        ..AuthInfo::default()
    };
    let inherited = ["PATH", "REGION", "SECRET_OF_THE_WORKFLOW"].map(OsString::from);
    settle_exec(&mut user, &plan, inherited.into_iter());
    let exec = user.exec.unwrap();
    let names: Vec<_> = exec
        .env
        .unwrap()
        .iter()
        .map(|variable| variable["name"].clone())
        .collect();
    assert_eq!(names, ["PATH", "REGION"]);
    assert_eq!(exec.drop_env.unwrap(), ["SECRET_OF_THE_WORKFLOW"]);
}
