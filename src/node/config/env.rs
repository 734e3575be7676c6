//! The table `[env]` of deploy.toml. A value is never shown.

use std::collections::BTreeMap;

use super::names::VariableName;
use super::reader::{Mistake, Table};
use crate::host::{Variable, VariableClass};

pub(super) fn read(mut table: Table<'_>, mistakes: &mut Vec<Mistake>) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    for (name, at, value) in table.drain() {
        let path = table.path_of(name);
        match env_entry(name, value.get_ref()) {
            Ok(value) => {
                env.insert(name.to_owned(), value);
            }
            Err((message, hint)) => mistakes.push(Mistake {
                at,
                message: format!("{path} {message}"),
                hint,
            }),
        }
    }
    env
}

/// A variable of `[env]`, or why it cannot be set there.
fn env_entry(
    name: &str,
    value: &toml::de::DeValue<'_>,
) -> std::result::Result<String, (String, Option<String>)> {
    let instead = match name {
        "KUBECONFIG" => Some("kubeconfig"),
        "HELM_NAMESPACE" => Some("namespace of [apps.<app>]"),
        "HELM_KUBECONTEXT" => Some("kube_context"),
        _ => None,
    };
    if let Some(key) = instead {
        let hint = format!("set the key {key} instead");
        return Err(("has a key of its own".to_owned(), Some(hint)));
    }
    if name.starts_with("HELM_KUBE") {
        let hint = "put it into the kubeconfig".to_owned();
        let message = "would point helm at another cluster than deploy itself uses".to_owned();
        return Err((message, Some(hint)));
    }
    let own = |class| matches!(class, VariableClass::Deploy | VariableClass::DeployByHand);
    if Variable::of(name).is_some_and(|variable| own(variable.class)) {
        let hint = "remove it".to_owned();
        return Err(("is never given to helm".to_owned(), Some(hint)));
    }
    if name.parse::<VariableName>().is_err() {
        return Err((
            format!("is not a variable, expected {}", VariableName::EXPECTED),
            None,
        ));
    }
    match value.as_str() {
        Some(value) if value.contains('\0') => Err(("holds a NUL character".to_owned(), None)),
        Some(value) => Ok(value.to_owned()),
        // Not even a number is shown: it may be half of a secret.
        None => Err((
            format!(
                "is of the type {}, expected a text in quotes",
                value.type_str()
            ),
            None,
        )),
    }
}
