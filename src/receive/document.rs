//! What a client sends, and what is made of it for the process that deploys.
//!
//! Pure. Its values are judged by the contract's own parser in that process; here
//! only the document's shape is.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::peer::PeerIdentity;
use crate::host::Accounts;
use crate::run::{RunId, Who, Workflow, field};

/// The largest document, in bytes: a signal's images alone may take 64 KiB.
pub(super) const DOCUMENT_MAX: usize = 256 << 10;

/// A signal as a client sends it. What else stands in the document is passed over:
/// a later client may send more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentSignal {
    /// The run's id, the client's.
    pub id: RunId,
    /// `--app`
    pub app: String,
    /// `--chart`
    pub chart: String,
    /// `--chart-version`
    pub chart_version: String,
    /// `--images`
    #[serde(deserialize_with = "each_once")]
    pub images: BTreeMap<String, String>,
    /// GitHub's token for the signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Who sends it, as the client says. Only the workflow is looked at: who the
    /// user is, the kernel tells.
    #[serde(default)]
    pub who: ClaimedSender,
}

/// What a client says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClaimedSender {
    /// The workflow, where one runs the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<Workflow>,
}

/// What the process that deploys is told, on its standard input: there no other
/// user can read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The signal.
    pub signal: SentSignal,
    /// Who sent it.
    pub peer: PeerIdentity,
}

impl SentSignal {
    /// The document, or what is wrong with it. Nothing of it is quoted.
    pub fn parse(document: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(document).map_err(|error| {
            let what = match error.classify() {
                serde_json::error::Category::Data => {
                    "a key is missing, of another type, or there twice"
                }
                _ => "it is not JSON",
            };
            format!(
                "the body is no signal: {what} (line {}, column {})",
                error.line(),
                error.column()
            )
        })
    }

    /// The signal as the arguments of a direct deploy. A value cannot become a flag.
    pub fn arguments(&self) -> Vec<OsString> {
        let images = serde_json::Value::from_iter(self.images.clone()).to_string();
        [
            ("--app", &self.app),
            ("--chart", &self.chart),
            ("--chart-version", &self.chart_version),
            ("--images", &images),
        ]
        .map(|(flag, value)| OsString::from(format!("{flag}={value}")))
        .into()
    }
}

impl Order {
    /// Who sent it: the user as the kernel says, the workflow as it claims.
    pub fn who(&self, accounts: &Accounts) -> Who {
        let uid = self.peer.uid;
        Who {
            user: accounts.name(uid).map_or(uid.to_string(), field),
            uid,
            unit: self.peer.unit.clone(),
            workflow: self.claimed(),
            proven: None,
        }
    }

    /// The workflow that its sender claims, made safe and cut.
    pub fn claimed(&self) -> Option<Workflow> {
        let claimed = self.signal.who.workflow.as_ref()?;
        let field = |value: &Option<String>| value.as_deref().map(field);
        Some(Workflow {
            actor: field(&claimed.actor),
            repository: field(&claimed.repository),
            url: field(&claimed.url),
            sha: field(&claimed.sha),
            reference: field(&claimed.reference),
            event: field(&claimed.event),
        })
    }
}

/// A map in which no key stands twice: which one counts is never a guess.
fn each_once<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    struct Once;

    impl<'de> Visitor<'de> for Once {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of texts")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut read = BTreeMap::new();
            while let Some((key, value)) = map.next_entry::<String, String>()? {
                if read.insert(key, value).is_some() {
                    return Err(A::Error::custom("a key stands there twice"));
                }
            }
            Ok(read)
        }
    }

    from.deserialize_map(Once)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::SentSignal;
    use crate::signal::{self, DeclaredKeys};

    const GOOD: &str = r#"{"id":"20261124T175106Z-1a2b3c","app":"shop","chart":"oci://ghcr.io/acme/charts/shop","chart_version":"1.0.0","images":{"api":"ghcr.io/acme/api:1","web":"ghcr.io/acme/web:1"},"timeout_seconds":600,"who":{"user":"root","uid":0}}"#;

    fn known(document: &str) -> Result<signal::Request, String> {
        let sent = SentSignal::parse(document.as_bytes())?;
        let keys = |_: &_| DeclaredKeys::Known(std::collections::BTreeMap::new());
        signal::parse(&sent.arguments(), keys)
            .map(|signal| signal.request)
            .map_err(|_| "no signal".to_owned())
    }

    /// Paths, flags and control characters in each field: none of them is a signal.
    #[test]
    fn only_a_signal_is_one() {
        assert!(known(GOOD).is_ok());
        for (from, to) in [
            ("\"shop\"", "\"../../etc\""),
            ("\"shop\"", "\"shop/../x\""),
            ("\"shop\"", "\"--dry-run\""),
            ("\"shop\"", "\"shop\\u0000\""),
            ("\"shop\"", "\"\""),
            ("\"shop\"", "7"),
            ("\"shop\"", "null"),
            ("/shop\"", "/../../shop\""),
            ("oci://ghcr.io", "file:///etc"),
            ("oci://ghcr.io", "oci://ghcr.io@evil.example"),
            ("1.0.0", "1.0.0 --values /etc/shadow"),
            ("1.0.0", "../1.0.0"),
            ("ghcr.io/acme/api:1", "ghcr.io/acme/../x:1"),
            ("ghcr.io/acme/api:1", "/etc/passwd"),
            ("\"api\":", "\"web\":"),
            ("\"api\":", "\"api\":\"ghcr.io/acme/api:2\",\"api\":"),
            ("20261124T175106Z-1a2b3c", "../../../etc/passwd"),
            ("20261124T175106Z-1a2b3c", ""),
            ("{\"id\"", "[{\"id\""),
        ] {
            let document = GOOD.replacen(from, to, 1);
            assert_ne!(document, GOOD, "{from}");
            assert!(known(&document).is_err(), "{document}");
        }
    }

    proptest! {
        #[test]
        fn no_document_panics(at in 0..GOOD.len(), with in "\\PC{0,6}") {
            let mut document = GOOD.to_owned();
            document.replace_range(at..=at, &with);
            let _ = known(&document);
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(SentSignal::parse(&bytes).is_err());
        }
    }
}
