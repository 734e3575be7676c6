//! The client to the plan's cluster, and what its failures mean.
//!
//! Every request that is awaited here has a limit; the client itself has none
//! on reading, since watches last. It must never take anything from the
//! environment of this process.

use std::time::Duration;

use kube::Client;

use super::kubeconfig;
use crate::error::{Error, Kind, Result};
use crate::net::client_key;
use crate::plan::Plan;
use crate::text;

/// How long one request can take, from connecting to its last byte.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How long connecting can take.
const CONNECT: Duration = Duration::from_secs(10);

/// A client to the plan's cluster. Nothing is asked of it yet, but an exec
/// plugin of the kubeconfig is run.
pub async fn connect(plan: &Plan) -> Result<Client> {
    crate::net::tls::install();
    let mut config = kubeconfig::load(plan)?;
    config.connect_timeout = Some(CONNECT);
    // kube runs exec plugins on the spot and waits; this keeps signals alive.
    let made = tokio::task::spawn_blocking(move || make(config));
    let made = within("the cluster's credentials", async {
        made.await.map_err(|error| {
            Error::new(Kind::Internal, "the client was not made").with_source(error)
        })
    });
    made.await?.map_err(|error| unmade(&error))
}

/// Makes the client, also of a client certificate that rustls cannot read: that
/// is for the API server to judge.
fn make(config: kube::Config) -> kube::Result<Client> {
    let made = Client::try_from(config.clone());
    match made {
        Err(error) if chain(&error).contains("UnsupportedCertVersion") => {
            client_key::unseen(|| Client::try_from(config))
        }
        made => made,
    }
}

/// Nothing was asked of the network yet: what the kubeconfig names is missing
/// or cannot be used.
fn unmade(error: &kube::Error) -> Error {
    Error::new(Kind::Node, "the kubeconfig's credentials cannot be used")
        .detail(credentials_fault(error))
        .hint(
            "check that its exec plugin, token file, client certificate and key are there and work",
        )
}

/// Waits for `work` for at most [`PATIENCE`].
pub async fn within<T>(what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(PATIENCE, work)
        .await
        .unwrap_or_else(|_| {
            Err(Error::new(
                Kind::Node,
                format!(
                    "{what}: no answer from the cluster within {} s",
                    PATIENCE.as_secs()
                ),
            )
            .hint("ask the API server for its state: kubectl get --raw /readyz"))
        })
}

/// What a failed request means. `what` says what was to be done.
pub fn failed(what: &str, error: &kube::Error) -> Error {
    match error {
        kube::Error::Api(status) => {
            let said = text::line(&status.message, 400).into_owned();
            match status.code {
                401 => Error::new(Kind::Node, format!("{what}: the cluster does not accept the kubeconfig's credentials (401)"))
                    .detail(said)
                    .hint("renew what the kubeconfig holds: its token or client certificate has expired"),
                403 => Error::new(Kind::Node, format!("{what}: the cluster refuses it (403)"))
                    .detail(said)
                    .hint("grant the kubeconfig's user the right that is named: deploy doctor prints the commands"),
                code => Error::new(Kind::Node, format!("{what}: the cluster answers {code}: {said}")),
            }
        }
        kube::Error::Auth(_) => Error::new(
            Kind::Node,
            format!("{what}: the kubeconfig's credentials cannot be obtained"),
        )
        .detail(credentials_fault(error))
        .hint("check that its exec plugin or token file is there and works"),
        _ => unreached(what, error),
    }
}

/// No answer at all: the end of the chain of causes says why.
fn unreached(what: &str, error: &kube::Error) -> Error {
    let said = chain(error);
    let lower = said.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let (why, hint) = if has(&["certificate", "unknownissuer", "tls"]) {
        (
            "its certificate is not trusted",
            "check that the kubeconfig's certificate-authority is this cluster's",
        )
    } else if has(&["dns error", "lookup", "name or service"]) {
        (
            "its name is not known to the DNS",
            "check the server's name in the kubeconfig, and the node's DNS",
        )
    } else if has(&["refused"]) {
        (
            "nothing listens at its address",
            "check that the API server runs, and its address in the kubeconfig",
        )
    } else if has(&["proxy", "tunnel"]) {
        (
            "the proxy does not lead there",
            "check HTTPS_PROXY and NO_PROXY in deploy.toml",
        )
    } else {
        (
            "no answer",
            "check that the API server runs, and its address in the kubeconfig",
        )
    };
    Error::new(
        Kind::Node,
        format!("{what}: the cluster cannot be reached: {why}"),
    )
    .detail(text::line(&said, 400).into_owned())
    .hint(hint)
}

/// What is wrong with the credentials. kube shows a plugin's whole command,
/// with an environment that can hold keys, and what it printed.
fn credentials_fault(error: &kube::Error) -> String {
    use kube::client::AuthError;
    match error {
        kube::Error::Auth(AuthError::AuthExecRun { out, .. }) => {
            format!("its exec plugin failed: {}", out.status)
        }
        kube::Error::Auth(AuthError::AuthExecParse(_) | AuthError::AuthExecSerialize(_)) => {
            "its exec plugin printed no ExecCredential".to_owned()
        }
        _ => text::line(&chain(error), 400).into_owned(),
    }
}

/// Every cause, the last one last, each once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !said.contains(&text) {
            said.push_str(": ");
            said.push_str(&text);
        }
        next = cause.source();
    }
    said
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use kube::core::Status;

    use super::failed;
    use crate::error::Kind;

    #[test]
    fn answers_are_told_apart() {
        for (code, message, said) in [
            (
                401,
                "Unauthorized",
                "does not accept the kubeconfig's credentials",
            ),
            (
                403,
                "secrets is forbidden: User \"ci\" cannot list resource \"secrets\"",
                "refuses it",
            ),
            (
                500,
                "etcdserver: request timed out",
                "answers 500: etcdserver",
            ),
        ] {
            let status = Status {
                code,
                message: message.into(),
                ..Status::default()
            };
            let error = failed(
                "records cannot be read",
                &kube::Error::Api(Box::new(status)),
            );
            assert_eq!(error.kind(), Kind::Node);
            assert!(error.to_string().contains(said), "{error}");
        }
    }

    /// Case D5: a certificate of X.509 version 1, as `openssl x509 -req` makes it
    /// without extensions.
    #[tokio::test]
    async fn a_client_certificate_of_version_1_is_used() {
        crate::net::tls::install();
        let pem = include_str!("fixtures/client-v1.pem");
        let (certificate, key) = pem.split_at(pem.find("-----BEGIN PRIVATE").unwrap());
        let data = |pem: &str| STANDARD.encode(pem);
        let mut config = kube::Config::new("https://127.0.0.1:1".parse().unwrap());
        config.auth_info.client_certificate_data = Some(data(certificate));
        config.auth_info.client_key_data = Some(data(key).into());
        assert!(super::Client::try_from(config.clone()).is_err());
        assert!(super::make(config).is_ok());
    }

    #[test]
    fn silence_is_told_apart() {
        for (cause, said) in [
            (
                "tcp connect error: Connection refused (os error 111)",
                "nothing listens",
            ),
            (
                "invalid peer certificate: UnknownIssuer",
                "certificate is not trusted",
            ),
            (
                "dns error: failed to lookup address information",
                "name is not known",
            ),
            ("proxy connect failed", "proxy does not lead there"),
            ("deadline has elapsed", "no answer"),
        ] {
            let error = failed("x", &kube::Error::Service(cause.into()));
            assert!(error.to_string().contains(said), "{error}");
            assert!(error.evidence().join(" ").contains(cause));
        }
    }
}
