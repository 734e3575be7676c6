//! What helm says of an object of the chart in a namespace that is not there.

use std::sync::LazyLock;

use regex::Regex;

use super::pattern::pattern;
use crate::manifest::Object;
use crate::text;

/// `namespaces "jobs" not found`
static NAMESPACE: LazyLock<Regex> = LazyLock::new(|| pattern(r#"namespaces? "([^"]*)" not found"#));

/// `server-side apply failed for object jobs/api apps/v1, Kind=Deployment: namespaces …`
/// (pkg/kube/client.go of helm 4.3.1)
static APPLIED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"server-side apply failed for object [^/\s]*/(\S+) [^,]*, Kind=([A-Za-z]+): namespaces? ",
    )
});

/// `Deployment api is in namespace jobs, which is not there`: the object in helm's words,
/// or the first of the render that is in that namespace.
pub(super) fn message(said: &str, rendered: &[Object]) -> String {
    let namespace = NAMESPACE.captures(said).and_then(|found| found.get(1));
    let namespace = namespace.map_or("", |found| found.as_str());
    let applied = APPLIED
        .captures(said)
        .map(|found| format!("{} {}", &found[2], &found[1]));
    let object = applied.or_else(|| {
        let inside = rendered
            .iter()
            .map(|object| &object.reference)
            .find(|reference| reference.namespace.as_deref() == Some(namespace));
        inside.map(|reference| format!("{} {}", reference.kind, reference.name))
    });
    format!(
        "{} is in namespace {}, which is not there",
        text::line(
            object.as_deref().unwrap_or("an object of the chart"),
            text::VALUE
        ),
        text::line(namespace, text::VALUE)
    )
}
