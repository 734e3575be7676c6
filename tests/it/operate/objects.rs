//! A chart that renders the objects of its values beside an application that runs
//! no pods, and ways to change them at random.

#![allow(
    clippy::needless_pass_by_value,
    clippy::semicolon_if_nothing_returned,
    clippy::too_many_lines,
    reason = "what a scenario just made, one change a line"
)]

use deploy::manifest::changes::{compare, without_noise};
use serde_json::{Map, Value, json};
use testbed::chart::Shop;

use crate::harness::soak::Dice;
use crate::harness::{Node, Signal};

/// What stands in every Secret: no output may hold it, nor its base64.
pub const SECRET: &str = "hunter2-";

/// Pushes the chart, and writes the objects into the values beside the script.
pub fn prepare(node: &Node, objects: &[Value]) {
    let chart = Shop::new("shop", "0.1.0").chart().with(
        "templates/more.yaml",
        "{{ range .Values.more }}\n---\n{{ toYaml . }}\n{{ end }}\n",
    );
    node.push(&chart);
    write(node, objects);
}

/// The objects as the node's values.
pub fn write(node: &Node, objects: &[Value]) {
    let values = json!({"api": {"replicas": 0}, "web": {"replicas": 0}, "more": objects});
    let file = format!("{}.values.yaml", node.name);
    node.home.write(&file, &values.to_string(), 0o600);
}

/// The signal, of images that are never pulled.
pub fn signal(node: &Node) -> Signal<'_> {
    let (api, web) = (node.image("api", "t1"), node.image("web", "t1"));
    node.signal("0.1.0")
        .image("api", api.by_tag())
        .image("web", web.by_tag())
}

fn object(api_version: &str, kind: &str, name: &str, rest: Value) -> Value {
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
    let fields = object.as_object_mut().unwrap();
    fields.extend(rest.as_object().unwrap().clone());
    object
}

/// One object of each kind that charts have most.
pub fn some() -> Vec<Value> {
    let pod = json!({
        "metadata": {"labels": {"app": "x"}},
        "spec": {
            "containers": [{
                "name": "main", "image": "ghcr.io/none/x:1", "args": ["serve", "--level", "info"],
                "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                "ports": [{"containerPort": 8080, "name": "http"}],
                "resources": {"limits": {"cpu": "500m", "memory": "64Mi"}},
                "volumeMounts": [{"name": "work", "mountPath": "/work"}],
            }],
            "volumes": [{"name": "work", "emptyDir": {}}],
        },
    });
    let selector = json!({"matchLabels": {"app": "x"}});
    vec![
        object(
            "v1",
            "ConfigMap",
            "settings",
            json!({"data": {"a": "1", "app.yaml": "x: 1\ny: 2\n"}}),
        ),
        object(
            "v1",
            "Secret",
            "key",
            json!({"stringData": {"password": format!("{SECRET}0")}}),
        ),
        object(
            "apps/v1",
            "Deployment",
            "front",
            json!({"spec":
            {"replicas": 0, "selector": selector, "template": pod}}),
        ),
        object(
            "apps/v1",
            "StatefulSet",
            "store",
            json!({"spec":
            {"replicas": 0, "serviceName": "store", "selector": selector, "template": pod}}),
        ),
        object(
            "v1",
            "Service",
            "front",
            json!({"spec":
            {"selector": {"app": "x"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}}),
        ),
        object(
            "networking.k8s.io/v1",
            "NetworkPolicy",
            "front",
            json!({"spec":
            {"podSelector": selector, "ingress": [{"ports": [{"port": 80}]}]}}),
        ),
        object(
            "policy/v1",
            "PodDisruptionBudget",
            "front",
            json!({"spec":
            {"selector": selector, "minAvailable": 1}}),
        ),
        object(
            "rbac.authorization.k8s.io/v1",
            "Role",
            "reader",
            json!({"rules":
            [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}),
        ),
        object(
            "v1",
            "ServiceAccount",
            "runs",
            json!({"imagePullSecrets": [{"name": "one"}]}),
        ),
        object(
            "batch/v1",
            "CronJob",
            "night",
            json!({"spec": {"schedule": "0 3 * * *", "suspend": true,
            "jobTemplate": {"spec": {"template": {"spec": {"restartPolicy": "Never",
                "containers": [{"name": "c", "image": "ghcr.io/none/c:1"}]}}}}}}),
        ),
        object(
            "preview.test/v1",
            "Widget",
            "gear",
            json!({"spec":
            {"size": 1, "parts": [{"name": "a", "count": 1}], "labels": {"x": "y"}}}),
        ),
    ]
}

/// Tells the cluster of the kind `Widget`.
pub fn define(node: &Node) {
    node.home
        .write("widget.json", &definition().to_string(), 0o644);
    let file = node.home.inside("widget.json");
    let name = "customresourcedefinition/widgets.preview.test";
    node.kubectl(&[
        "apply",
        "--server-side",
        "--filename",
        file.to_str().unwrap(),
    ]);
    node.kubectl(&["wait", "--for=condition=Established", name]);
}

/// The kind of `Widget`, as the cluster learns it.
fn definition() -> Value {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.preview.test"},
        "spec": {"group": "preview.test", "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets", "singular": "widget"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema":
                {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}})
}

fn find<'a>(objects: &'a mut [Value], kind: &str) -> Option<&'a mut Value> {
    objects.iter_mut().find(|object| object["kind"] == kind)
}

/// Changes one thing of a chart's objects.
pub fn change(dice: &mut Dice, objects: &mut Vec<Value>, step: usize) {
    let new = format!("v{step}");
    match dice.below(10) {
        0 => {
            let name = dice.of(&["one", "two", "three"]);
            let at = objects
                .iter()
                .position(|object| object["metadata"]["name"] == name);
            match at {
                Some(at) => drop(objects.remove(at)),
                None => objects.push(object("v1", "ConfigMap", name, json!({"data": {"k": new}}))),
            }
        }
        1 => {
            let data = &mut find(objects, "ConfigMap").unwrap()["data"];
            let key = dice.of(&["a", "b", "app.yaml"]);
            match dice.below(3) {
                0 => drop(data.as_object_mut().unwrap().remove(key)),
                _ => data[key] = json!(format!("x: {new}\nz: 1\n")),
            }
        }
        2 => {
            let data = &mut find(objects, "Secret").unwrap()["stringData"];
            data[dice.of(&["password", "token"])] = json!(format!("{SECRET}{step}"));
        }
        3..=6 => {
            let kind = dice.of(&["Deployment", "StatefulSet"]);
            pods(dice, find(objects, kind).unwrap(), &new);
        }
        7 => {
            let service = &mut find(objects, "Service").unwrap()["spec"];
            match dice.below(3) {
                0 => service["ports"][0]["targetPort"] = json!(8000 + step % 500),
                1 => {
                    service["ports"] = json!([{"name": "http", "port": 80}, {"name": "more", "port": 81 + step % 9}])
                }
                _ => service["selector"]["tier"] = json!(new),
            }
        }
        8 => match dice.below(5) {
            0 => {
                find(objects, "NetworkPolicy").unwrap()["spec"]["ingress"] =
                    json!([{"ports": [{"port": 80 + step}]}])
            }
            1 => {
                find(objects, "PodDisruptionBudget").unwrap()["spec"]["selector"]["matchLabels"] =
                    json!({"tier": new})
            }
            2 => {
                find(objects, "Role").unwrap()["rules"][0]["verbs"] =
                    dice.of(&[json!(["get", "list"]), json!(["watch"])])
            }
            3 => {
                find(objects, "ServiceAccount").unwrap()["imagePullSecrets"] =
                    dice.of(&[json!([{"name": "two"}]), json!([])])
            }
            _ => {
                find(objects, "CronJob").unwrap()["spec"]["schedule"] =
                    json!(format!("{} 3 * * *", step % 60))
            }
        },
        _ => {
            let spec = &mut find(objects, "Widget").unwrap()["spec"];
            match dice.below(4) {
                0 => spec["size"] = json!(step),
                1 => spec["parts"] = json!([{"name": "a", "count": step}, {"name": "b"}]),
                2 => drop(spec["labels"].as_object_mut().unwrap().remove("x")),
                _ => spec["labels"]["x"] = json!(new),
            }
        }
    }
}

/// Changes one thing of a workload.
fn pods(dice: &mut Dice, workload: &mut Value, new: &str) {
    let is_deployment = workload["kind"] == "Deployment";
    let template = &mut workload["spec"]["template"];
    let container = &mut template["spec"]["containers"][0];
    match dice.below(11) {
        0 => container["image"] = json!(format!("ghcr.io/none/x:{new}")),
        1 => container["env"] = json!([{"name": "B", "value": "2"}, {"name": "A", "value": new}]),
        2 => {
            container["env"] =
                json!([{"name": new.to_uppercase(), "value": "1"}, {"name": "A", "value": "1"}])
        }
        3 => drop(container.as_object_mut().unwrap().remove("env")),
        4 => container["args"] = json!(["serve", "--level", new]),
        5 => {
            container["resources"] = dice.of(&[
                json!({"limits": {"cpu": "1000m"}}),
                json!({"requests": {"cpu": "1", "memory": "1Gi"}}),
                json!({}),
            ])
        }
        6 => {
            container["ports"] = dice.of(&[
                json!([{"containerPort": 8080, "name": "http"}, {"containerPort": 9090}]),
                json!([{"containerPort": 8081}]),
            ])
        }
        7 => {
            template["spec"]["volumes"] = dice.of(&[
                json!([{"name": "work", "configMap": {"name": "settings"}}]),
                json!([{"name": "work", "emptyDir": {"sizeLimit": "1Gi"}}]),
            ])
        }
        8 => template["metadata"]["labels"]["tier"] = json!(new),
        9 => {
            template["spec"]["containers"][0]["livenessProbe"] =
                dice.of(&[json!({"tcpSocket": {"port": 80}}), Value::Null])
        }
        _ if is_deployment => {
            workload["spec"]["strategy"] = dice.of(&[
                json!({"type": "Recreate"}),
                json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2}}),
                json!({"type": "RollingUpdate"}),
            ])
        }
        _ => template["metadata"]["annotations"] = json!({"at": new}),
    }
}

/// Every object of the namespace that is no machine's own, by kind and name.
pub fn live(node: &Node) -> Map<String, Value> {
    let kinds = "configmaps,secrets,deployments,statefulsets,services,networkpolicies,poddisruptionbudgets,roles,serviceaccounts,cronjobs,widgets.preview.test";
    let listed = node.kubectl(&["get", kinds, "--output=json", "--show-managed-fields"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let own = listed["items"].as_array().unwrap().iter().filter(|object| {
        object["type"] != "helm.sh/release.v1"
            && object["metadata"]["name"] != "kube-root-ca.crt"
            && object["metadata"]["name"] != "default"
    });
    own.map(|object| (title(object), object.clone())).collect()
}

/// `Deployment front`
pub fn title(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = match object.get("metadata") {
        Some(metadata) => text(&metadata["name"]),
        None => text(&object["name"]),
    };
    format!("{} {name}", text(&object["kind"]))
}

/// What really became of each object, as a preview would tell it.
pub fn changes(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<String> {
    let mut found = Vec::new();
    for (name, now) in after {
        match before.get(name) {
            None => found.push(format!("{name}: created")),
            Some(old) => {
                let fields = compare(&without_noise(old), &without_noise(now));
                found.extend(fields.iter().map(|field| format!("{name}: {}", field.path)));
            }
        }
    }
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    found.extend(gone.map(|name| format!("{name}: removed")));
    found.sort();
    found
}

/// What a preview's JSON says of each object, in the same words.
pub fn predicted(preview: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for object in preview["objects"].as_array().unwrap() {
        let name = title(object);
        match object["change"].as_str().unwrap() {
            "changed" => {
                let fields = object["fields"].as_array().unwrap().iter();
                found.extend(
                    fields.map(|field| format!("{name}: {}", field["path"].as_str().unwrap())),
                );
            }
            "labels" => {}
            "refused" | "not-predicted" => found.push(format!("{name}: {object}")),
            word => found.push(format!("{name}: {word}")),
        }
    }
    found.sort();
    found
}
