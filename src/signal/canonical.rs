//! The one way to write a signal, and the audience that a token for it has: its
//! digest. docs/forward-protocol.md has test vectors.

use std::collections::BTreeMap;

use serde::Serialize;

use super::image::Digest;
use super::request::Request;

/// The keys in their order: sorted, as RFC 8785 has them.
#[derive(Serialize)]
struct Canonical<'a> {
    app: &'a str,
    chart: String,
    chart_version: String,
    images: BTreeMap<String, String>,
}

impl Request {
    /// The signal as JSON of RFC 8785: keys sorted, no space. The contract's
    /// grammars leave nothing in a value that would have to be escaped.
    pub fn canonical(&self) -> String {
        let canonical = Canonical {
            app: self.app.as_str(),
            chart: self.chart.to_string(),
            chart_version: self.version.to_string(),
            images: self
                .images
                .iter()
                .map(|(key, image)| (key.to_string(), image.to_string()))
                .collect(),
        };
        // Texts in maps with texts for keys: nothing of it can fail.
        serde_json::to_string(&canonical).unwrap_or_default()
    }

    /// The audience of a token for this very signal: `deploy:<sha256>`.
    pub fn audience(&self) -> String {
        format!("deploy:{}", Digest::of(self.canonical().as_bytes()).hex())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use crate::signal::{DeclaredKeys, parse};

    /// The vectors of docs/forward-protocol.md, which hosted/sign.sh is held against
    /// too.
    const VECTORS: &str = include_str!("../../tests/data/signals.json");

    #[derive(serde::Deserialize)]
    struct Vector {
        arguments: Vec<String>,
        canonical: String,
        audience: String,
    }

    #[test]
    fn a_signal_is_written_in_one_way() {
        let vectors: Vec<Vector> = serde_json::from_str(VECTORS).unwrap();
        assert!(vectors.len() >= 4);
        let mut seen = std::collections::BTreeSet::new();
        for vector in vectors {
            let arguments: Vec<_> = vector.arguments.iter().map(Into::into).collect();
            let keys = |_: &_| DeclaredKeys::Known(BTreeMap::new());
            let request = parse(&arguments, keys).unwrap().request;
            assert_eq!(request.canonical(), vector.canonical);
            assert_eq!(request.audience(), vector.audience);
            seen.insert(vector.canonical);
        }
        assert_eq!(seen.len(), 3, "two of them are the same signal");
    }
}
