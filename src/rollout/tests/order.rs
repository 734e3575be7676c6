//! Each kind comes over a watch of its own: in whatever order these bring their
//! changes, a good rollout is never judged to have failed, and nothing panics.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use proptest::prelude::*;

use super::{Recording, change, read, replayed, word};
use crate::rollout::explain::explain_timeout;
use crate::rollout::model::{Change, Elapsed, ResourceKind};
use crate::rollout::progress::progress;
use crate::rollout::verdict::judge;
use crate::rollout::workload_ref::NamespacedName;

/// How far a watch may lag behind another.
const LAG: Duration = Duration::from_secs(1);

/// What one watch brings, in its order.
type Queue = VecDeque<(Elapsed, Change)>;

fn queues(recording: &Recording) -> BTreeMap<String, Queue> {
    let namespace = super::namespace(recording);
    let mut queues: BTreeMap<String, Queue> = BTreeMap::new();
    for step in &recording.steps {
        let at = Elapsed(Duration::from_secs_f64(step.at));
        for object in &step.objects {
            let kind = object["kind"].as_str().unwrap().to_owned();
            queues
                .entry(kind)
                .or_default()
                .push_back((at, change(object)));
        }
        for gone in step.gone.iter().filter(|gone| gone["kind"] == "Pod") {
            let key = NamespacedName::new(&namespace, &gone["name"]);
            queues
                .entry("Pod".to_owned())
                .or_default()
                .push_back((at, Change::Gone(ResourceKind::Pod, key)));
        }
    }
    queues
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_changes_fails_a_good_rollout(picks in prop::collection::vec(any::<prop::sample::Index>(), 400)) {
        for (name, recording) in read() {
            let Some(last) = &recording.last else { continue };
            let good = last == "ready" || last == "not-failed";
            let (mut cache, baseline) = replayed(&recording);
            let mut queues = queues(&recording);
            let mut now = Elapsed::default();
            for pick in &picks {
                queues.retain(|_, queue| !queue.is_empty());
                if queues.is_empty() {
                    break;
                }
                let first = queues.values().map(|queue| queue[0].0).min().unwrap();
                let near: Vec<&String> = queues.iter().filter(|(_, queue)| queue[0].0.since(first) <= LAG).map(|(kind, _)| kind).collect();
                let kind = near[pick.index(near.len())].clone();
                let queue = queues.get_mut(&kind).unwrap();
                let (at, change) = queue.pop_front().unwrap();
                now = now.max(at);
                cache.apply(change, now);
                for verdict in judge(&cache, &baseline, now) {
                    let status = word(&verdict.status);
                    let calm = matches!(status, "ready" | "exempt" | "waiting");
                    prop_assert!(calm || (!good && status == last), "{}: {:?}", name, verdict);
                }
                let _ = (progress(&cache, now), explain_timeout(&cache, now));
            }
        }
    }
}
