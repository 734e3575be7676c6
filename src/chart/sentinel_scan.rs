//! Which containers of a render carry a sentinel, whole or in part.

use super::model::{Candidate, ContainerSlot};
use super::reference::Reference;
use super::sentinel::Sentinel;
use crate::manifest::Object;
use crate::text;

#[derive(Default)]
pub(super) struct SentinelScan {
    /// The containers that carry the sentinel, whole.
    pub(super) slots: Vec<ContainerSlot>,
    /// Images that carry a part of it, as people read them.
    pub(super) mangled: Vec<String>,
    /// Whether one of those has the whole name right.
    pub(super) name: bool,
    /// Whether one of those has tag and digest right.
    pub(super) end: bool,
}

/// Looks for `sentinel`. `shared` are the parts that other sentinels have too:
/// those tell nothing of this one.
pub(super) fn scan(
    objects: &[Object],
    candidate: &Candidate,
    sentinel: &Sentinel,
    shared: &[String],
) -> SentinelScan {
    let mut scan = SentinelScan::default();
    let name = sentinel.image.name();
    let whole = sentinel.image.to_string();
    let marks: Vec<&String> = sentinel
        .marks
        .iter()
        .map(|(_, mark)| mark)
        .filter(|mark| !shared.contains(mark))
        .collect();
    for (object_at, object) in objects.iter().enumerate() {
        if object.is_test() {
            continue;
        }
        for (container_at, container) in object.containers.iter().enumerate() {
            let found = Reference::parse(&container.image);
            if found
                .as_ref()
                .is_some_and(|found| found.is(&sentinel.image))
            {
                scan.slots.push(ContainerSlot::new(
                    &candidate.location.key,
                    object_at,
                    container_at,
                ));
            } else if marks.iter().any(|mark| carries(&container.image, mark)) {
                scan.name |= found.is_some_and(|found| found.name == name);
                scan.end |= container.image.ends_with(&whole[name.len()..]);
                let shown = sentinel.unmask(&container.image, &candidate.image);
                scan.mangled.push(format!(
                    "{object}, {container}: rendered {}, expected {} from {}",
                    text::quoted(&shown),
                    text::quoted(&candidate.image.to_string()),
                    candidate.layout(),
                ));
            }
        }
    }
    scan
}

/// Whether `image` has `mark` in it; a name counts without its registry, too.
fn carries(image: &str, mark: &str) -> bool {
    let bare = mark.strip_prefix("ghcr.io/").unwrap_or(mark);
    image.contains(bare)
}
