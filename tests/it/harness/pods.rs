//! What runs of a scenario.

use std::time::{Duration, Instant};

use super::Node;

impl Node {
    /// The images of the containers that run now, without what is ending,
    /// sorted: what the kubelet was told, whole.
    pub fn running(&self) -> Vec<String> {
        let pods: serde_json::Value =
            serde_json::from_str(&self.kubectl(&["get", "pods", "-o", "json"])).unwrap();
        let mut images: Vec<String> = pods["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
            .filter(|pod| pod["status"]["phase"] == "Running")
            .flat_map(|pod| pod["spec"]["containers"].as_array().unwrap())
            .map(|container| container["image"].as_str().unwrap().to_owned())
            .collect();
        images.sort();
        images.dedup();
        images
    }

    /// Waits until these images run and no other, in this order.
    #[track_caller]
    pub fn runs<S: AsRef<str> + std::fmt::Debug>(&self, images: &[S]) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let running = self.running();
            if running.iter().eq(images.iter().map(AsRef::as_ref)) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{running:?} run, expected {images:?}"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
