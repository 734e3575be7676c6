//! The templates of a shape, made of one line for each container.

use std::collections::BTreeMap;

/// A container: its name, its image, and whether it is an init container.
type Container = (String, String, bool);

/// Objects of the lines of a chart, a template file each.
pub fn templates(pods: &[String]) -> BTreeMap<String, String> {
    let mut objects: BTreeMap<(String, String), Vec<Container>> = BTreeMap::new();
    for line in pods {
        let (place, image) = line.split_once(" = ").unwrap();
        let (kind, names) = place.split_once(' ').unwrap();
        let (name, container) = names.rsplit_once('/').unwrap();
        let (container, init) = match container.strip_prefix("init:") {
            Some(name) => (name, true),
            None => (container, false),
        };
        let object = objects
            .entry((kind.to_owned(), name.to_owned()))
            .or_default();
        object.push((container.to_owned(), image.to_owned(), init));
    }
    let mut files = BTreeMap::new();
    for (at, ((kind, name), containers)) in objects.into_iter().enumerate() {
        let (kind, hook) = match kind.strip_prefix("hook:") {
            Some(kind) => (
                kind.to_owned(),
                "  annotations: {helm.sh/hook: pre-upgrade}\n",
            ),
            None => (kind, ""),
        };
        let list = |init: bool| -> String {
            let of = containers.iter().filter(|(.., is_init)| *is_init == init);
            of.map(|(name, image, _)| format!("{{name: {name}, image: '{image}'}}"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let pod = format!(
            "{{initContainers: [{}], containers: [{}], restartPolicy: {}}}",
            list(true),
            list(false),
            if kind.ends_with("Job") {
                "Never"
            } else {
                "Always"
            }
        );
        let (version, spec) = match kind.as_str() {
            "CronJob" => (
                "batch/v1",
                format!(
                    "{{schedule: '1 1 * * *', jobTemplate: {{spec: {{template: {{spec: {pod}}}}}}}}}"
                ),
            ),
            "Job" => ("batch/v1", format!("{{template: {{spec: {pod}}}}}")),
            _ => (
                "apps/v1",
                format!(
                    "{{selector: {{matchLabels: {{app: x{at}}}}}, template: {{metadata: {{labels: {{app: x{at}}}}}, spec: {pod}}}}}"
                ),
            ),
        };
        files.insert(
            format!("templates/{at}.yaml"),
            format!("apiVersion: {version}\nkind: {kind}\nmetadata:\n  name: {name}\n{hook}spec: {spec}\n"),
        );
    }
    files
}
