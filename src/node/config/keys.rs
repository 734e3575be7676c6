//! Every key of deploy.toml, in one table that docs/configuration.md's is tested against.

/// Where a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// In `[defaults]`, and in `[apps.<app>]` for one application.
    Both,
    /// In `[apps.<app>]` only.
    App,
    /// In `[env]`.
    Env,
    /// In `[receive]` of receive.toml.
    Receive,
}

impl Section {
    /// The tables as they are written.
    pub const fn tables(self) -> &'static str {
        match self {
            Self::Both => "[defaults], [apps.<app>]",
            Self::App => "[apps.<app>]",
            Self::Env => "[env]",
            Self::Receive => "[receive]",
        }
    }
}

/// A key of deploy.toml.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The key; `<…>` stands for any name.
    pub name: &'static str,
    /// Where it stands.
    pub place: Section,
    /// What its value is.
    pub form: &'static str,
    /// What holds where the key is absent.
    pub default: &'static str,
    /// What it says.
    pub meaning: &'static str,
}

const fn key(
    name: &'static str,
    place: Section,
    form: &'static str,
    default: &'static str,
    meaning: &'static str,
) -> Key {
    Key {
        name,
        place,
        form,
        default,
        meaning,
    }
}

use Section::{App, Both, Env, Receive};

/// The table, in the order of docs/configuration.md.
pub const KEYS: &[Key] = &[
    key(
        "timeout",
        Both,
        "duration",
        "\"10m\"",
        "one budget for the whole deploy",
    ),
    key(
        "on_failure",
        Both,
        "\"rollback\" or \"keep\"",
        "\"rollback\"",
        "what happens to a release whose rollout failed",
    ),
    key(
        "rollback_timeout",
        Both,
        "duration",
        "timeout",
        "a rollback's own budget",
    ),
    key(
        "owners",
        Both,
        "list of GitHub logins",
        "the chart's owner",
        "who may own chart and images on GHCR",
    ),
    key(
        "events",
        Both,
        "list of events",
        "push, workflow_dispatch, release, schedule, repository_dispatch, deployment",
        "GitHub events that may deploy; those of pull requests never do",
    ),
    key(
        "callers",
        Both,
        "list of { repository_id, ref, environment, called, called_sha, workflow, runner }",
        "a signal needs no token",
        "whose signals are taken: then each needs GitHub's token for this very signal",
    ),
    key(
        "token_age",
        Both,
        "duration",
        "\"30m\"",
        "how old the token of a job on a hosted runner may be",
    ),
    key(
        "token_issuer",
        Both,
        "https URL",
        "https://token.actions.githubusercontent.com",
        "who issues the tokens, for GitHub Enterprise",
    ),
    key("helm", Both, "path", "helm in PATH", "the helm binary"),
    key(
        "kubeconfig",
        Both,
        "path",
        "KUBECONFIG, ~/.kube/config, /etc/rancher/k3s/k3s.yaml, in-cluster: the first there is",
        "the cluster and its credentials",
    ),
    key(
        "kube_context",
        Both,
        "text",
        "the kubeconfig's current context",
        "the kubeconfig's context",
    ),
    key(
        "forward",
        Both,
        "\"unix:/path\", \"http://127.0.0.1:<port>\", { command = [\"…\"] }, { url = \"https://…\", token_file = \"…\" } or \"helm\"",
        "\"helm\"",
        "the local controller that gets the signal instead of Helm",
    ),
    key(
        "verify",
        Both,
        "{ key = \"deploy.pub\" }, { workflow = \"…\", refs = [\"…\"] } or \"off\"",
        "\"off\"",
        "the public key that must have signed chart and images, or the workflow whose attestation they must have",
    ),
    key(
        "inherit_env",
        Both,
        "list of variables",
        "[]",
        "variables that are passed on although a workflow set them",
    ),
    key(
        "lock_timeout",
        Both,
        "duration",
        "\"10m\"",
        "how long to wait for another deploy of the release; for somebody else's sync of an Application at most half a minute",
    ),
    key(
        "stale_after",
        Both,
        "duration",
        "\"1h\"",
        "after what time a holder that cannot be proven dead counts as dead; by default, and at the least, long enough for timeout, rollback_timeout and two minutes",
    ),
    key(
        "windows",
        Both,
        "list of windows",
        "always",
        "when signals are taken: days, times and a time zone, such as \"Mon-Fri 08:00-18:00 Europe/Berlin\"",
    ),
    key(
        "evidence.keep",
        Both,
        "age",
        "\"30d\"",
        "how long evidence of failed deploys is kept",
    ),
    key(
        "evidence.max",
        Both,
        "size",
        "\"200MB\"",
        "how much of it is kept",
    ),
    key(
        "<VARIABLE>",
        Env,
        "text",
        "",
        "given to helm and to the registry client",
    ),
    key(
        "namespace",
        App,
        "name",
        "the app",
        "the release's namespace",
    ),
    key("release", App, "name", "the app", "the release's name"),
    key(
        "chart",
        App,
        "oci://ghcr.io/<owner>/charts/<chart>",
        "any",
        "the one chart that the app may be deployed with",
    ),
    key(
        "values",
        App,
        "list of paths",
        "<app>.values.yaml beside the script, where it is there",
        "values files, the last one counts most; relative to deploy.toml",
    ),
    key(
        "images.<key>",
        App,
        "list of value paths, or a table of parts",
        "found by itself",
        "where the image of a key stands in the chart's values; declares the key where it is not api, web or worker",
    ),
    key(
        "required",
        App,
        "list of image keys",
        "[]",
        "keys that a signal must carry besides api and web",
    ),
    key(
        "absent",
        App,
        "list of image keys",
        "[]",
        "keys whose workload this node's values switch off",
    ),
    key(
        "allow_images",
        App,
        "list of images",
        "[]",
        "images that the proof lets pass beside the requested ones",
    ),
    key(
        "platforms",
        App,
        "list of platforms",
        "the nodes' own",
        "platforms that the nodes run besides their own, as with binfmt_misc",
    ),
    key(
        "argocd.kubeconfig",
        App,
        "path",
        "",
        "the cluster of the Argo CD that carries the app out, instead of Helm here",
    ),
    key(
        "argocd.context",
        App,
        "text",
        "the kubeconfig's current context",
        "that kubeconfig's context",
    ),
    key(
        "argocd.namespace",
        App,
        "name",
        "\"argocd\"",
        "the namespace of its Applications",
    ),
    key(
        "argocd.template",
        App,
        "path",
        "an Application that is not there is exit code 3",
        "the manifest that an Application is made of where it is not there",
    ),
    key(
        "argocd.bake",
        App,
        "duration",
        "\"0s\"",
        "how long a wave has to stay good before the next begins",
    ),
    key(
        "waves",
        App,
        "list of lists of Applications",
        "",
        "the Applications in their order, those of a wave at once",
    ),
    key(
        "clusters.<application>",
        App,
        "{ kubeconfig = \"…\", context = \"…\" }",
        "none",
        "the Application's cluster, where this node can look into it to name causes from its pods",
    ),
    key(
        "allow_users",
        Receive,
        "list of users",
        "[]",
        "who may send signals to `deploy receive`, besides root",
    ),
    key(
        "allow_groups",
        Receive,
        "list of groups",
        "[]",
        "groups whose members may, by /etc/group and by the sender's own group",
    ),
    key(
        "on_disconnect",
        Receive,
        "\"continue\" or \"cancel\"",
        "\"continue\"",
        "what becomes of a deploy whose client is gone",
    ),
];
