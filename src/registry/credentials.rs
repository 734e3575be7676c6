//! The credentials that are stored on the node for the registry, found as helm
//! finds them: helm's own file first, then docker's.
//!
//! Reading a file is pure; only a credential helper is a program. A secret
//! never leaves [`Credential`], which shows none.
//!
//! Rules: `oras.land/oras-go/v2/registry/remote/credentials` and
//! `helm.sh/helm/v4@v4.3.1/pkg/registry/client.go`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::error::{Error, Kind, Result};
use crate::host::file::open_file_or_device;
use crate::text;

/// How long a credential helper may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most that is read of a file or of a helper's answer, in bytes.
const MAX: u64 = 1 << 20;

type Environment = BTreeMap<OsString, OsString>;

/// Credentials for the registry.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A user and a password or token.
    Basic {
        /// The user.
        user: String,
        /// The password or token.
        secret: String,
    },
    /// An access token (`registrytoken`).
    Token(String),
    /// A refresh token, as `docker login` stores it for some registries
    /// (`identitytoken`): exchanged for an access token before it is of use.
    Identity(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic { .. } => f.write_str("Basic"),
            Self::Token(_) => f.write_str("Token"),
            Self::Identity(_) => f.write_str("Identity"),
        }
    }
}

/// Credentials and where they were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCredential {
    /// The file that holds or names them.
    pub file: PathBuf,
    /// The credentials.
    pub credential: Credential,
}

/// What a file says of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
enum CredentialSource {
    Nothing,
    Here(Credential),
    /// `docker-credential-<name>` knows.
    Helper(String),
}

/// A file of credentials; what is not needed is not read.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct CredentialFile {
    auths: BTreeMap<String, AuthEntry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AuthEntry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

/// What a credential helper answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperOutput {
    username: String,
    secret: String,
}

/// The files that may hold credentials, in the order in which they count.
pub fn files(environment: &Environment) -> Vec<PathBuf> {
    let set = |name: &str| {
        environment
            .get(OsStr::new(name))
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let home = set("HOME");
    let config = set("HELM_CONFIG_HOME")
        .or_else(|| set("XDG_CONFIG_HOME").map(|folder| folder.join("helm")))
        .or_else(|| home.as_ref().map(|home| home.join(".config/helm")));
    let helm = set("HELM_REGISTRY_CONFIG")
        .or_else(|| config.map(|folder| folder.join("registry/config.json")));
    let docker = set("DOCKER_CONFIG").or_else(|| home.map(|home| home.join(".docker")));
    helm.into_iter()
        .chain(docker.map(|folder| folder.join("config.json")))
        .collect()
}

/// The credentials that are stored for `host`. A file that is not there says
/// nothing; one that cannot be read or a helper that fails is an error.
pub async fn find(environment: &Environment, host: &str) -> Result<Option<StoredCredential>> {
    for file in files(environment) {
        let Some(content) = read(&file)? else {
            continue;
        };
        let said = look_up(&content, host).map_err(|why| {
            Error::new(
                Kind::Node,
                format!("{} is not a file of credentials: {why}", file.display()),
            )
            .hint("correct it, or log in again: helm registry login ghcr.io")
        })?;
        let credential = match said {
            CredentialSource::Nothing => None,
            CredentialSource::Here(credential) => Some(credential),
            CredentialSource::Helper(name) => {
                let failed = |error: Error| error.detail(format!("named in {}", file.display()));
                ask(environment, &name, host).await.map_err(failed)?
            }
        };
        if let Some(credential) = credential {
            return Ok(Some(StoredCredential { file, credential }));
        }
    }
    Ok(None)
}

fn read(file: &Path) -> Result<Option<Vec<u8>>> {
    use std::io::Read as _;
    let unreadable = |error: std::io::Error| {
        Error::new(Kind::Node, format!("{} cannot be read", file.display()))
            .with_source(error)
            .hint("see that it belongs to the user that runs deploy")
    };
    let opened = match open_file_or_device(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let mut content = Vec::new();
    opened
        .take(MAX)
        .read_to_end(&mut content)
        .map_err(unreadable)?;
    Ok(Some(content))
}

/// What the file says of `host`; the error says no more than where it is wrong.
fn look_up(content: &[u8], host: &str) -> std::result::Result<CredentialSource, String> {
    if content.trim_ascii().is_empty() {
        return Ok(CredentialSource::Nothing);
    }
    // serde_json's own message would quote what it found.
    let file: CredentialFile = serde_json::from_slice(content)
        .map_err(|error| format!("line {}, column {}", error.line(), error.column()))?;
    if let Some(helper) = file
        .cred_helpers
        .get(host)
        .filter(|helper| !helper.is_empty())
    {
        return Ok(CredentialSource::Helper(helper.clone()));
    }
    if !file.creds_store.is_empty() {
        return Ok(CredentialSource::Helper(file.creds_store));
    }
    let exact = file.auths.get(host);
    let entry = exact.or_else(|| {
        file.auths
            .iter()
            .find(|(name, _)| hostname(name) == host)
            .map(|(_, entry)| entry)
    });
    entry.map_or(Ok(CredentialSource::Nothing), credential)
}

/// `https://ghcr.io/v2/` and the like, as older dockers wrote them.
fn hostname(name: &str) -> &str {
    let name = name
        .strip_prefix("https://")
        .or_else(|| name.strip_prefix("http://"))
        .unwrap_or(name);
    name.split('/').next().unwrap_or(name)
}

fn credential(entry: &AuthEntry) -> std::result::Result<CredentialSource, String> {
    if !entry.registrytoken.is_empty() {
        let token = entry.registrytoken.clone();
        return Ok(CredentialSource::Here(Credential::Token(token)));
    }
    if !entry.identitytoken.is_empty() {
        let token = entry.identitytoken.clone();
        return Ok(CredentialSource::Here(Credential::Identity(token)));
    }
    let (user, secret) = if entry.auth.is_empty() {
        (entry.username.clone(), entry.password.clone())
    } else {
        let decoded = STANDARD
            .decode(&entry.auth)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = decoded.as_deref().and_then(|pair| pair.split_once(':'));
        let (user, secret) = pair.ok_or("an auth is not base64 of user:password")?;
        (user.to_owned(), secret.trim_end_matches('\0').to_owned())
    };
    let empty = user.is_empty() && secret.is_empty();
    Ok(if empty {
        CredentialSource::Nothing
    } else {
        CredentialSource::Here(Credential::Basic { user, secret })
    })
}

/// Asks `docker-credential-<name>`, by the protocol of
/// `github.com/docker/docker-credential-helpers`.
async fn ask(environment: &Environment, name: &str, host: &str) -> Result<Option<Credential>> {
    let program = format!("docker-credential-{name}");
    let failed = |why: String| {
        Error::new(Kind::Node, format!("the credential helper {} {why}", text::quoted(&program)))
            .hint("see that it is installed, unlocked and in PATH; or log in without it: helm registry login ghcr.io")
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !name.bytes().all(plain) {
        return Err(failed("has no name of a program".to_owned()));
    }
    let mut child = tokio::process::Command::new(&program)
        .arg("get")
        .env_clear()
        .envs(environment)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed("cannot be run".to_owned()).with_source(error))?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let talk = async {
        if let Some(mut stdin) = stdin {
            // One that ends without reading tells why in its answer.
            let _ = stdin.write_all(host.as_bytes()).await;
        }
        let mut answer = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(MAX).read_to_end(&mut answer).await?;
        }
        Ok::<_, std::io::Error>((answer, child.wait().await?))
    };
    let (answer, status) = tokio::time::timeout(PATIENCE, talk)
        .await
        .map_err(|_| failed(format!("did not answer within {} s", PATIENCE.as_secs())))?
        .map_err(|error| failed("broke off".to_owned()).with_source(error))?;
    if status.success() {
        let answer: HelperOutput = serde_json::from_slice(&answer)
            .map_err(|_| failed("did not answer in JSON".to_owned()))?;
        return Ok(Some(match answer.username.as_str() {
            // docker's name for it (docker/cli, `native_store.go`).
            "<token>" => Credential::Identity(answer.secret),
            _ => Credential::Basic {
                user: answer.username,
                secret: answer.secret,
            },
        }));
    }
    // What it says where it knows none (`credentials/error.go`).
    let said = String::from_utf8_lossy(&answer);
    if said.contains("credentials not found in native keychain") {
        return Ok(None);
    }
    Err(failed("failed".to_owned()).details(text::tail(said.trim(), 2)))
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
