//! Flags and arguments that a signal does not have.

use super::nearest::nearest;
use crate::signal::flag::{Flag, SWITCHES};

/// What other tools call the contract's flags.
const ALIASES: [(&str, Flag); 12] = [
    ("application", Flag::App),
    ("appname", Flag::App),
    ("name", Flag::App),
    ("a", Flag::App),
    ("c", Flag::Chart),
    ("chartref", Flag::Chart),
    ("charturl", Flag::Chart),
    ("version", Flag::ChartVersion),
    ("v", Flag::ChartVersion),
    ("tag", Flag::ChartVersion),
    ("image", Flag::Images),
    ("imagesjson", Flag::Images),
];

/// What the node decides, by the names that helm, kubectl and GHCR have for it.
const OF_THE_NODE: [&str; 39] = [
    "namespace",
    "n",
    "release",
    "releasename",
    "values",
    "f",
    "set",
    "setstring",
    "setfile",
    "setjson",
    "kubeconfig",
    "kubecontext",
    "context",
    "cluster",
    "server",
    "user",
    "timeout",
    "wait",
    "waitforjobs",
    "atomic",
    "rollbackonfailure",
    "onfailure",
    "install",
    "upgrade",
    "createnamespace",
    "force",
    "token",
    "username",
    "password",
    "passwordstdin",
    "registry",
    "env",
    "environment",
    "config",
    "helm",
    "owner",
    "reusevalues",
    "resetvalues",
    "insecureskiptlsverify",
];

/// What to do about a flag (without its hyphens) that a signal does not have,
/// and the flag that was meant.
pub(in crate::signal) fn flag(word: &str) -> (Option<String>, Option<Flag>) {
    let plain = word.to_lowercase().replace(['-', '_'], "");
    if plain.is_empty() {
        return (None, None);
    }
    if matches!(plain.as_str(), "api" | "web" | "worker") {
        let hint =
            "all images go in one flag: --images '{\"api\":\"<image>\",\"web\":\"<image>\"}'";
        return (Some(hint.to_owned()), None);
    }
    if matches!(plain.as_str(), "help" | "h") {
        return (
            Some("for help, it stands alone: deploy --help".to_owned()),
            None,
        );
    }
    if OF_THE_NODE.contains(&plain.as_str()) {
        let hint = "the node decides that (deploy.toml, and the values file beside the script): a \
                    signal only says what to deploy";
        return (Some(hint.to_owned()), None);
    }
    let alias = ALIASES.iter().find(|(alias, _)| *alias == plain);
    let names = Flag::ALL.into_iter().map(Flag::name);
    let meant = alias
        .map(|(_, flag)| flag.name())
        .or_else(|| nearest(word, names.chain(SWITCHES.map(|(name, _)| name))));
    let flag = Flag::ALL
        .into_iter()
        .find(|flag| Some(flag.name()) == meant);
    (meant.map(|meant| format!("did you mean {meant}?")), flag)
}

/// What to do about an argument that belongs to no flag, and the flag that was
/// meant.
pub(in crate::signal) fn positional(text: &str) -> (String, Option<Flag>) {
    if text.trim().is_empty() {
        return ("is it a variable that is empty?".to_owned(), None);
    }
    // An editor makes one dash of two hyphens.
    let dashes = |c: char| matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}');
    let name = text.split('=').next().unwrap_or_default();
    let word = name.trim_start_matches(dashes);
    let exact = Flag::ALL.into_iter().find(|flag| &flag.name()[2..] == word);
    if word != name {
        return (
            "a flag begins with two hyphens; this is a dash".to_owned(),
            exact,
        );
    }
    if let Some(flag) = exact {
        return (format!("did you mean {}?", flag.name()), Some(flag));
    }
    let hint = "is a value with spaces in it not in quotes?";
    (hint.to_owned(), None)
}
