//! Every environment variable that means something to `deploy` or helm, in
//! one table: what it is, and what becomes of it inside Actions.

/// What becomes of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariableClass {
    /// Given to helm as it is.
    PassedOn,
    /// Says which cluster or credentials: given to helm unless deploy.toml
    /// sets it.
    Access,
    /// Changes what helm does: inside Actions dropped with a warning.
    AltersHelm,
    /// Chooses places of configuration and state: inside Actions dropped.
    Location,
    /// Read by `deploy`, wherever it comes from; helm never sees it.
    Deploy,
    /// Read by `deploy`, by hand only; inside Actions dropped with a warning.
    DeployByHand,
}

impl VariableClass {
    /// Whether dropping one deserves a warning.
    pub const fn warns(self) -> bool {
        matches!(self, Self::AltersHelm | Self::DeployByHand)
    }
}

/// How a variable's value is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueForm {
    /// As it is.
    Text,
    /// One path.
    Path,
    /// Paths with colons between them; an empty entry means nothing.
    Paths,
    /// As `PATH`: an empty entry is the working directory.
    SearchPath,
}

/// A variable, or a family of them.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// The name; one `*` stands for anything.
    pub name: &'static str,
    /// What becomes of it.
    pub class: VariableClass,
    /// How its value is read.
    pub form: ValueForm,
    /// Whether programs read it in lower case too.
    pub either_case: bool,
    /// What it says.
    pub meaning: &'static str,
}

impl Variable {
    /// The entry for a name: the first that fits.
    pub fn of(name: &str) -> Option<&'static Self> {
        VARIABLES.iter().find(|variable| variable.fits(name))
    }

    fn fits(&self, name: &str) -> bool {
        let upper;
        let name = if self.either_case {
            upper = name.to_ascii_uppercase();
            &upper
        } else {
            name
        };
        match self.name.split_once('*') {
            None => self.name == name,
            Some((start, end)) => {
                name.len() >= start.len() + end.len()
                    && name.starts_with(start)
                    && name.ends_with(end)
            }
        }
    }
}

const fn variable(
    name: &'static str,
    class: VariableClass,
    form: ValueForm,
    meaning: &'static str,
) -> Variable {
    Variable {
        name,
        class,
        form,
        either_case: false,
        meaning,
    }
}

const fn proxy(name: &'static str, meaning: &'static str) -> Variable {
    Variable {
        name,
        class: VariableClass::Access,
        form: ValueForm::Text,
        either_case: true,
        meaning,
    }
}

use ValueForm::{Path, Paths, SearchPath, Text};
use VariableClass::{Access, AltersHelm, Deploy, DeployByHand, Location, PassedOn};

/// The table. Of two entries that fit a name the first counts.
///
/// Helm's names: helm.sh/docs/helm/helm and `pkg/cli/environment.go`.
pub static VARIABLES: &[Variable] = &[
    variable(
        "DEPLOY_TIMEOUT",
        Deploy,
        Text,
        "the old script's budget, a Go duration; counts where deploy.toml sets neither timeout nor on_failure",
    ),
    variable(
        "DEPLOY_ATOMIC",
        Deploy,
        Text,
        "the old script's 1 (roll back) or 0 (keep); counts where deploy.toml sets neither timeout nor on_failure",
    ),
    variable("DEPLOY_LOG", Deploy, Text, "what to trace, for diagnosis"),
    variable("DEPLOY_CONFIG", DeployByHand, Path, "another deploy.toml"),
    variable(
        "DEPLOY_STATE_DIR",
        DeployByHand,
        Path,
        "where lock and journal lie",
    ),
    variable(
        "DEPLOY_TOKEN",
        Deploy,
        Text,
        "GitHub's token for the signal",
    ),
    variable(
        "ACTIONS_ID_TOKEN_REQUEST_*",
        Deploy,
        Text,
        "how a job asks GitHub for the signal's token, where callers takes one of this runner; never given to helm",
    ),
    variable("DEPLOY_*", Deploy, Text, "never given to helm"),
    variable(
        "KUBECONFIG",
        Access,
        Paths,
        "the cluster, where deploy.toml sets no kubeconfig",
    ),
    variable(
        "DOCKER_CONFIG",
        Access,
        Path,
        "the directory of docker's credentials",
    ),
    variable(
        "HELM_REGISTRY_CONFIG",
        Access,
        Path,
        "helm's own registry credentials",
    ),
    proxy("HTTP_PROXY", "proxy for http"),
    proxy("HTTPS_PROXY", "proxy for https"),
    proxy("ALL_PROXY", "proxy for all"),
    proxy("NO_PROXY", "what is reached without a proxy"),
    variable("SSL_CERT_FILE", Access, Path, "certificates to trust"),
    variable(
        "SSL_CERT_DIR",
        Access,
        Paths,
        "directories of certificates to trust",
    ),
    variable("HELM_NO_PLUGINS", Deploy, Text, "helm is always given 1"),
    variable("HELM_PLUGINS", AltersHelm, Paths, "helm's plugins"),
    variable(
        "HELM_REPOSITORY_*",
        AltersHelm,
        Path,
        "helm's chart repositories",
    ),
    variable(
        "HELM_CONTENT_CACHE",
        AltersHelm,
        Path,
        "helm's cache of charts",
    ),
    variable("HELM_*_HOME", AltersHelm, Path, "helm's directories"),
    variable(
        "HELM_*",
        AltersHelm,
        Text,
        "helm's settings: namespace, driver, cluster, debugging",
    ),
    variable(
        "XDG_CONFIG_HOME",
        AltersHelm,
        Path,
        "where helm looks for its settings",
    ),
    variable(
        "XDG_CACHE_HOME",
        AltersHelm,
        Path,
        "where helm keeps its cache",
    ),
    variable(
        "XDG_DATA_HOME",
        AltersHelm,
        Path,
        "where helm keeps its data",
    ),
    variable("XDG_*", Location, Text, "the user's directories"),
    variable(
        "STATE_DIRECTORY",
        Location,
        Paths,
        "systemd's state directory",
    ),
    variable("HOME", PassedOn, Path, "the user's home"),
    variable(
        "PATH",
        PassedOn,
        SearchPath,
        "where helm and the kubeconfig's plugins lie",
    ),
    variable(
        "TMPDIR",
        PassedOn,
        Path,
        "scratch space; never state or lock",
    ),
    variable("USER", PassedOn, Text, "the user"),
    variable("LOGNAME", PassedOn, Text, "the user"),
    variable("LANG", PassedOn, Text, "language"),
    variable("LC_*", PassedOn, Text, "language"),
    variable("TZ", PassedOn, Text, "time zone"),
    variable(
        "RUNNER_TRACKING_ID",
        PassedOn,
        Text,
        "by which the runner ends what a job left running",
    ),
    variable(
        "KUBERNETES_SERVICE_HOST",
        PassedOn,
        Text,
        "the cluster, inside one of its pods",
    ),
    variable(
        "KUBERNETES_SERVICE_PORT",
        PassedOn,
        Text,
        "the cluster, inside one of its pods",
    ),
    variable(
        "AWS_CONFIG_FILE",
        PassedOn,
        Path,
        "for the kubeconfig's plugins: AWS",
    ),
    variable(
        "AWS_SHARED_CREDENTIALS_FILE",
        PassedOn,
        Path,
        "for the kubeconfig's plugins: AWS",
    ),
    variable(
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        PassedOn,
        Path,
        "for the kubeconfig's plugins: AWS",
    ),
    variable(
        "AWS_CA_BUNDLE",
        PassedOn,
        Path,
        "for the kubeconfig's plugins: AWS",
    ),
    variable("AWS_*", PassedOn, Text, "for the kubeconfig's plugins: AWS"),
    variable(
        "GOOGLE_APPLICATION_CREDENTIALS",
        PassedOn,
        Path,
        "for the kubeconfig's plugins: Google",
    ),
    variable(
        "GOOGLE_*",
        PassedOn,
        Text,
        "for the kubeconfig's plugins: Google",
    ),
    variable(
        "CLOUDSDK_CONFIG",
        PassedOn,
        Path,
        "for the kubeconfig's plugins: Google",
    ),
    variable(
        "CLOUDSDK_*",
        PassedOn,
        Text,
        "for the kubeconfig's plugins: Google",
    ),
    variable(
        "USE_GKE_GCLOUD_AUTH_PLUGIN",
        PassedOn,
        Text,
        "for the kubeconfig's plugins: Google",
    ),
    variable(
        "AZURE_CONFIG_DIR",
        PassedOn,
        Path,
        "for the kubeconfig's plugins: Azure",
    ),
    variable(
        "AZURE_FEDERATED_TOKEN_FILE",
        PassedOn,
        Path,
        "for the kubeconfig's plugins: Azure",
    ),
    variable(
        "AZURE_*",
        PassedOn,
        Text,
        "for the kubeconfig's plugins: Azure",
    ),
    variable(
        "ARM_*",
        PassedOn,
        Text,
        "for the kubeconfig's plugins: Azure",
    ),
    variable(
        "AAD_*",
        PassedOn,
        Text,
        "for the kubeconfig's plugins: Azure",
    ),
];
