//! What helm keeps of a scenario's release.

use super::Node;

impl Node {
    /// Revision and status of each release record, in their order.
    pub fn records(&self) -> Vec<(u32, String)> {
        let listed = self.kubectl(&["get", "secrets", "-l", "owner=helm", "-o", "json"]);
        let secrets: serde_json::Value = serde_json::from_str(&listed).unwrap();
        let mut records: Vec<_> = secrets["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|secret| {
                let label = |key: &str| secret["metadata"]["labels"][key].as_str().unwrap();
                (
                    label("version").parse().unwrap(),
                    label("status").to_owned(),
                )
            })
            .collect();
        records.sort_unstable();
        records
    }

    /// What helm keeps as the description of the last release record; empty where
    /// there is none.
    pub fn description(&self) -> String {
        use base64::Engine as _;
        let listed = self.kubectl(&["get", "secrets", "-l", "owner=helm", "-o", "json"]);
        let secrets: serde_json::Value = serde_json::from_str(&listed).unwrap();
        let revision = |secret: &&serde_json::Value| -> u32 {
            let label = &secret["metadata"]["labels"]["version"];
            label.as_str().unwrap().parse().unwrap()
        };
        let Some(last) = secrets["items"]
            .as_array()
            .unwrap()
            .iter()
            .max_by_key(revision)
        else {
            return String::new();
        };
        let stored = base64::engine::general_purpose::STANDARD
            .decode(last["data"]["release"].as_str().unwrap())
            .unwrap();
        let record = deploy::release::record::decode(&stored).unwrap();
        record["info"]["description"].as_str().unwrap().to_owned()
    }

    /// Whether helm has applied the last revision, and its workloads are waited for.
    pub fn is_rolling_out(&self) -> bool {
        self.status() == "deployed"
            && self
                .description()
                .starts_with("deploy: applied, not judged")
    }

    /// The status of the last release record; empty where there is none.
    pub fn status(&self) -> String {
        self.records()
            .pop()
            .map(|(_, status)| status)
            .unwrap_or_default()
    }
}
