//! The events on the objects of one release, within bounds.

use std::collections::BTreeMap;

use super::model::KubeEvent;
use super::workload_ref::{GroupKind, NamespacedName};

/// How many events are kept of one object, and of how many objects.
const EVENTS_PER_OBJECT: usize = 30;
const OBJECTS_WITH_EVENTS: usize = 10_000;

/// Events, by the object they are about.
#[derive(Clone, Debug, Default)]
pub(super) struct EventLog(BTreeMap<NamespacedName, Vec<KubeEvent>>);

impl EventLog {
    /// All events.
    pub(super) fn iter(&self) -> impl Iterator<Item = &KubeEvent> {
        self.0.values().flatten()
    }

    /// The events on one object, oldest first. An empty uid is any.
    pub(super) fn on(&self, kind: GroupKind, key: &NamespacedName, uid: &str) -> Vec<&KubeEvent> {
        let mut events: Vec<&KubeEvent> = self
            .0
            .get(key)
            .into_iter()
            .flatten()
            .filter(|event| kind.is_of(&event.object))
            .filter(|event| {
                event.object_uid.is_empty() || uid.is_empty() || event.object_uid == uid
            })
            .collect();
        events.sort_by_key(|event| event.at);
        events
    }

    /// Takes in an event; whether it says anything new.
    pub(super) fn note(&mut self, event: KubeEvent) -> bool {
        let object = &event.object;
        let key = NamespacedName::new(object.namespace.clone().unwrap_or_default(), &object.name);
        if self.0.len() >= OBJECTS_WITH_EVENTS && !self.0.contains_key(&key) {
            return false;
        }
        let known = self.0.entry(key).or_default();
        match known.iter_mut().find(|known| known.uid == event.uid) {
            Some(same)
                if *same
                    == (KubeEvent {
                        seen: same.seen,
                        ..event.clone()
                    }) =>
            {
                return false;
            }
            Some(same) => *same = event,
            None => known.push(event),
        }
        if known.len() > EVENTS_PER_OBJECT
            && let Some(oldest) = known
                .iter()
                .enumerate()
                .min_by_key(|(_, event)| event.at)
                .map(|(at, _)| at)
        {
            known.remove(oldest);
        }
        true
    }
}
