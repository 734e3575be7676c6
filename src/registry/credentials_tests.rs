#![allow(clippy::unwrap_used)]

use std::ffi::OsString;
use std::path::Path;

use super::{Credential, CredentialSource, Environment, files, find, look_up};
use crate::process::runner::tests::executable;

fn environment(pairs: &[(&str, &str)]) -> Environment {
    pairs
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)))
        .collect()
}

fn basic(user: &str, secret: &str) -> Credential {
    Credential::Basic {
        user: user.into(),
        secret: secret.into(),
    }
}

#[test]
fn helms_file_comes_first_then_dockers() {
    for (pairs, expected) in [
        (
            vec![("HOME", "/h")],
            vec![
                "/h/.config/helm/registry/config.json",
                "/h/.docker/config.json",
            ],
        ),
        (
            vec![
                ("HOME", "/h"),
                ("XDG_CONFIG_HOME", "/x"),
                ("DOCKER_CONFIG", "/d"),
            ],
            vec!["/x/helm/registry/config.json", "/d/config.json"],
        ),
        (
            vec![("HELM_CONFIG_HOME", "/c")],
            vec!["/c/registry/config.json"],
        ),
        (
            vec![
                ("HELM_REGISTRY_CONFIG", "/r.json"),
                ("HELM_CONFIG_HOME", "/c"),
            ],
            vec!["/r.json"],
        ),
        (vec![], vec![]),
    ] {
        let found = files(&environment(&pairs));
        let found: Vec<_> = found.iter().map(|file| file.to_str().unwrap()).collect();
        assert_eq!(found, expected, "{pairs:?}");
    }
}

#[test]
fn files_are_read_as_docker_wrote_them() {
    // dTpw is u:p
    for (content, said) in [
        (r"", CredentialSource::Nothing),
        (r"{}", CredentialSource::Nothing),
        (
            r#"{"auths":{"ghcr.io":{"auth":"dTpw"}}}"#,
            CredentialSource::Here(basic("u", "p")),
        ),
        (
            r#"{"auths":{"https://ghcr.io/v2/":{"auth":"dTpw"}}}"#,
            CredentialSource::Here(basic("u", "p")),
        ),
        (
            r#"{"auths":{"ghcr.io":{"username":"u","password":"p"}}}"#,
            CredentialSource::Here(basic("u", "p")),
        ),
        (r#"{"auths":{"ghcr.io":{}}}"#, CredentialSource::Nothing),
        (
            r#"{"auths":{"docker.io":{"auth":"dTpw"}}}"#,
            CredentialSource::Nothing,
        ),
        (
            r#"{"auths":{"ghcr.io":{"identitytoken":"t"}}}"#,
            CredentialSource::Here(Credential::Identity("t".into())),
        ),
        (
            r#"{"auths":{"ghcr.io":{"registrytoken":"a","identitytoken":"t"}}}"#,
            CredentialSource::Here(Credential::Token("a".into())),
        ),
        (
            r#"{"credsStore":"pass","auths":{"ghcr.io":{}}}"#,
            CredentialSource::Helper("pass".into()),
        ),
        (
            r#"{"credsStore":"pass","credHelpers":{"ghcr.io":"gh"}}"#,
            CredentialSource::Helper("gh".into()),
        ),
        (
            r#"{"credHelpers":{"gcr.io":"gcloud"}}"#,
            CredentialSource::Nothing,
        ),
    ] {
        assert_eq!(
            look_up(content.as_bytes(), "ghcr.io").unwrap(),
            said,
            "{content}"
        );
    }
}

#[test]
fn a_broken_file_is_told_without_its_content() {
    for content in [
        r#"{"auths": ["s3cret"]}"#,
        "s3cret",
        r#"{"auths":{"ghcr.io":{"auth":"s3cret!"}}}"#,
    ] {
        let why = look_up(content.as_bytes(), "ghcr.io").unwrap_err();
        assert!(!why.contains("s3cret"), "{why}");
    }
    assert_eq!(format!("{:?}", basic("u", "s3cret")), "Basic");
}

fn helper(folder: &Path, body: &str) {
    executable(&folder.join("docker-credential-test"), body);
    std::fs::write(folder.join("config.json"), r#"{"credsStore":"test"}"#).unwrap();
}

#[tokio::test]
async fn helpers_are_asked() {
    for (body, expected) in [
        (
            r#"read host; echo "{\"ServerURL\":\"$host\",\"Username\":\"u\",\"Secret\":\"p-$1-$host\"}""#,
            Ok(Some(basic("u", "p-get-ghcr.io"))),
        ),
        (
            r#"echo '{"Username":"<token>","Secret":"t"}'"#,
            Ok(Some(Credential::Identity("t".into()))),
        ),
        (
            "echo credentials not found in native keychain; exit 1",
            Ok(None),
        ),
        (
            "echo the store is locked; exit 1",
            Err("the store is locked"),
        ),
        ("echo no json", Err("")),
    ] {
        let folder = tempfile::tempdir().unwrap();
        helper(folder.path(), body);
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let environment = environment(&[
            ("PATH", &path),
            ("DOCKER_CONFIG", folder.path().to_str().unwrap()),
        ]);
        let found = find(&environment, "ghcr.io").await;
        match expected {
            Ok(credential) => assert_eq!(
                found.unwrap().map(|stored| stored.credential),
                credential,
                "{body}"
            ),
            Err(said) => {
                let error = found.unwrap_err();
                assert!(
                    error.to_string().contains("docker-credential-test"),
                    "{error}"
                );
                assert!(error.evidence().join("\n").contains(said), "{error:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_says_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let environment = environment(&[("HOME", folder.path().to_str().unwrap())]);
    assert_eq!(find(&environment, "ghcr.io").await.unwrap(), None);
}
