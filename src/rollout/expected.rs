//! What is known before helm starts of what may still come, or has just been seen.
//!
//! Pure. Something that a pod misses is no failure while somebody may be about to make
//! it; how long that holds is for the rules to say.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::manifest::{ObjectRef, is_kubernetes_group};

/// What may still come, and what has just been seen.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// Names of the render's custom resources. Their operators make objects under names
    /// that are made from these: `mail-db-app` for the `Cluster` `mail-db`.
    pub custom_resources: BTreeSet<String>,
    /// Namespaces that this deploy makes: what is copied into every namespace is copied
    /// into these a while later.
    pub new_namespaces: BTreeSet<String>,
    /// Images that the registry has just said to be there, as the containers name them.
    pub seen_images: BTreeSet<String>,
}

impl Expected {
    /// What a render's objects let expect.
    pub fn of<'a>(rendered: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut expected = Self::default();
        for object in rendered {
            let reference = ObjectRef::of(object);
            if reference.name.is_empty() {
                continue;
            }
            if reference.is("", "Namespace") {
                expected.new_namespaces.insert(reference.name);
            } else if !is_kubernetes_group(reference.group()) {
                expected.custom_resources.insert(reference.name);
            }
        }
        expected
    }

    /// Whether a name is made from a custom resource's: it stands in it between hyphens
    /// and dots (`mail-db-app`, `internal-mail`, `postgres.mail.credentials`).
    pub(super) fn derives(&self, name: &str) -> bool {
        let is_break = |byte: Option<&u8>| byte.is_none_or(|byte| b"-.".contains(byte));
        self.custom_resources.iter().any(|made_from| {
            name.match_indices(made_from.as_str()).any(|(at, found)| {
                let bytes = name.as_bytes();
                is_break(at.checked_sub(1).and_then(|before| bytes.get(before)))
                    && is_break(bytes.get(at + found.len()))
            })
        })
    }

    /// Whether objects of this name may be made by somebody else in this namespace.
    pub(super) fn may_make(&self, namespace: &str, name: &str) -> bool {
        self.new_namespaces.contains(namespace) || self.derives(name)
    }

    /// Whether anything may still come in this namespace.
    pub(super) fn may_make_any(&self, namespace: &str) -> bool {
        self.new_namespaces.contains(namespace) || !self.custom_resources.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Expected;

    #[test]
    fn names_are_made_from_custom_resources() {
        let render = [
            json!({"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": {"name": "mail-db"}}),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "api"}}),
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "jobs"}}),
        ];
        let expected = Expected::of(&render);
        for (name, derived) in [
            ("mail-db", true),
            ("mail-db-app", true),
            ("internal-mail-db", true),
            ("postgres.mail-db.credentials", true),
            ("mail-dbs", false),
            ("email-db", false),
            ("mail", false),
            ("api-login", false),
            ("", false),
        ] {
            assert_eq!(expected.derives(name), derived, "{name}");
        }
        assert!(expected.may_make("jobs", "ghcr"));
        assert!(!expected.may_make("shop", "ghcr"));
    }
}
