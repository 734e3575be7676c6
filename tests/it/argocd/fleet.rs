//! An owner of its own on the testbed of three clusters: a chart, an Application for each cluster,
//! a node whose `deploy` is told of them.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde_json::{Value, json};
use testbed::chart::{Chart, Shop};
use testbed::client::Member;
use testbed::fleet;
use testbed::supervisor::Ask;

use crate::harness::{Bed, Helm, Node, Signal, kubectl, until};
use crate::readme::block_in;
use crate::rights::kubeconfig_of;

/// The clusters, in the order of their waves. The first has Argo CD.
pub const PLACES: [&str; 3] = ["canary", "eu", "us"];

/// The image of each pod that runs; with the time where it is going.
const RUNNING: &str = "jsonpath={range .items[?(@.status.phase==\"Running\")]}\
    {.metadata.deletionTimestamp}{.spec.containers[*].image}{\"\\n\"}{end}";

/// Held to write by a scenario that takes a part away that others need.
static WHOLE: RwLock<()> = RwLock::new(());

/// How a scenario shares the testbed.
enum Share {
    WithOthers(#[expect(dead_code, reason = "held")] RwLockReadGuard<'static, ()>),
    Alone(#[expect(dead_code, reason = "held")] RwLockWriteGuard<'static, ()>),
}

/// Where `deploy` reads the hub's kubeconfig.
const HUB: &str = ".kube/hub";

/// The chart of a version.
pub fn shop(version: &str) -> Chart {
    let chart = Shop::new("shop", version).grace(1).chart();
    chart.with("values-us.yaml", "cluster: us\n")
}

/// The clusters as one scenario has them.
pub struct Fleet {
    /// Calls `deploy`; its name is the app, the owner, and the namespace in each cluster.
    pub node: Node,
    places: Vec<Member>,
    share: Share,
    /// What it stopped and has not started again.
    stopped: RefCell<BTreeSet<String>>,
}

impl Fleet {
    /// Beside other scenarios.
    pub fn new(scenario: &str) -> Self {
        let share = WHOLE.read().unwrap_or_else(PoisonError::into_inner);
        Self::shared(scenario, Share::WithOthers(share), Bed::fleet())
    }

    /// For a scenario that stops what others need.
    pub fn alone(scenario: &str) -> Self {
        // First, so that whoever begins at the same time goes before it, and the testbed stays.
        let bed = Bed::fleet();
        let share = WHOLE.write().unwrap_or_else(PoisonError::into_inner);
        Self::shared(scenario, Share::Alone(share), bed)
    }

    fn shared(scenario: &str, share: Share, bed: Arc<Bed>) -> Self {
        let places = bed.testbed.info.fleet.as_ref().unwrap().clusters.clone();
        let node = Node::on(bed, scenario, Helm::V3);
        let own = Self {
            node,
            places,
            share,
            stopped: RefCell::default(),
        };
        own.apply("canary", &fleet::repository(&own.node.name));
        own.account();
        own.configures("");
        own
    }

    /// What `deploy` does in the hub it does with the rights that the page tells, and no other.
    fn account(&self) {
        let name = &self.node.name;
        let hub = |args: &[&str]| self.kubectl_in("canary", fleet::NAMESPACE, args);
        let role = block_in("docs/argocd.md", "hub");
        assert_eq!(role.matches("name: deploy\n").count(), 1, "{role}");
        let role = role.replace("name: deploy\n", &format!("name: {name}\n"));
        self.node.home.write("role.yaml", &role, 0o600);
        let file = self.node.home.inside("role.yaml");
        hub(&["apply", "--filename", file.to_str().unwrap()]);
        hub(&["create", "serviceaccount", name]);
        let account = format!("--serviceaccount={}:{name}", fleet::NAMESPACE);
        hub(&[
            "create",
            "rolebinding",
            name,
            &format!("--role={name}"),
            &account,
        ]);
        self.node.home.write(HUB, &kubeconfig_of(name, hub), 0o600);
    }

    /// The name of the Application in a cluster, which is its release's too.
    pub fn app(&self, place: &str) -> String {
        format!("{}-{place}", self.node.name)
    }

    /// Writes deploy.toml: a wave for each cluster, and more lines of the app's.
    pub fn configures(&self, more: &str) {
        let home = &self.node.home;
        let mut clusters = Vec::new();
        for place in &self.places {
            let file = format!(".kube/{}", place.name);
            let text = std::fs::read_to_string(&place.kubeconfig).unwrap();
            home.write(&file, &text, 0o600);
            clusters.push((self.app(&place.name), format!("/home/github-runner/{file}")));
        }
        let waves: Vec<Vec<String>> = PLACES.map(|place| vec![self.app(place)]).into();
        let hub = format!("/home/github-runner/{HUB}");
        let config = fleet::config(&self.node.name, &hub, &waves, &clusters);
        home.write_etc("deploy/deploy.toml", &format!("{config}{more}\n"), 0o644);
    }

    /// An Application of this cluster is made of a template where it is not there.
    pub fn templated(&self, place: &str) {
        let name = &self.node.name;
        let template = fleet::application("template", place, name, &self.open(place));
        let file = "deploy/application.yaml";
        self.node.home.write_etc(file, &template.to_string(), 0o644);
        self.configures("argocd.template = \"/etc/deploy/application.yaml\"");
    }

    /// The first version, by people alone: it is healthy everywhere. Gives its images.
    pub fn by_people(&self) -> [String; 2] {
        self.node.push(&shop("0.1.0"));
        let images = self.images("t1");
        for place in PLACES {
            self.application(place, &self.source(place, "0.1.0", &images));
        }
        for place in PLACES {
            self.green(place);
        }
        images
    }

    /// Applications that people made, without all that a signal says, and a first signal. Gives
    /// its images, which run everywhere.
    pub fn first(&self) -> [String; 2] {
        self.first_beside(&PLACES)
    }

    /// The same where people made only these.
    pub fn first_beside(&self, made: &[&str]) -> [String; 2] {
        self.node.push(&shop("0.1.0"));
        for place in made {
            self.application(place, &self.open(place));
        }
        let images = self.images("t1");
        let ran = self.signal("0.1.0", &images).run();
        ran.exits(0).says("canary");
        for place in PLACES {
            self.runs(place, &images);
        }
        images
    }

    /// Images of api and web.
    pub fn images(&self, tag: &str) -> [String; 2] {
        ["api", "web"].map(|key| self.node.image(key, tag).by_tag())
    }

    /// A signal for a version and its images.
    pub fn signal(&self, version: &str, [api, web]: &[String; 2]) -> Signal<'_> {
        self.node
            .signal(version)
            .image("api", api)
            .image("web", web)
    }

    /// A source with what a signal says left out: in each cluster people write their values in
    /// another way.
    pub fn open(&self, place: &str) -> Value {
        let helm = match place {
            "canary" => json!({"valuesObject": {"cluster": place}}),
            "eu" => json!({"values": format!("cluster: {place}\n")}),
            _ => json!({"valueFiles": [format!("values-{place}.yaml")]}),
        };
        json!({"repoURL": fleet::charts(&self.node.name), "helm": helm})
    }

    /// A source with all of it.
    pub fn source(&self, place: &str, version: &str, images: &[String; 2]) -> Value {
        let image = |reference: &String| {
            let (repository, tag) = reference.rsplit_once(':').unwrap();
            json!({"image": {"repository": repository, "tag": tag}})
        };
        let [api, web] = images;
        json!({
            "repoURL": fleet::charts(&self.node.name),
            "chart": "shop",
            "targetRevision": version,
            "helm": {"valuesObject": {"cluster": place, "api": image(api), "web": image(web)}},
        })
    }

    /// Makes the Application of a cluster, as people do.
    pub fn application(&self, place: &str, source: &Value) {
        let (app, namespace) = (self.app(place), &self.node.name);
        let application = fleet::application(&app, place, namespace, source);
        self.apply("canary", &application);
    }

    /// Changes the Application of a cluster, as a person with kubectl does.
    pub fn patch(&self, place: &str, change: &Value) {
        let (app, change) = (self.app(place), change.to_string());
        let args = ["patch", "application", &app, "--type=merge", "-p", &change];
        self.kubectl_in("canary", fleet::NAMESPACE, &args);
    }

    /// What Argo CD says of the Application of a cluster.
    pub fn of(&self, place: &str) -> Value {
        let args = ["get", "application", &self.app(place), "-o", "json"];
        serde_json::from_str(&self.kubectl_in("canary", fleet::NAMESPACE, &args)).unwrap()
    }

    /// Waits until an Application is what it shall be.
    #[track_caller]
    pub fn green(&self, place: &str) {
        until(&format!("{place} is green"), || {
            let status = &self.of(place)["status"];
            status["sync"]["status"] == "Synced"
                && status["health"]["status"] == "Healthy"
                && status["operationState"]["phase"] == "Succeeded"
        });
    }

    /// What kubectl says in the scenario's namespace of a cluster.
    #[track_caller]
    pub fn kubectl(&self, place: &str, args: &[&str]) -> String {
        self.kubectl_in(place, &self.node.name, args)
    }

    #[track_caller]
    fn kubectl_in(&self, place: &str, namespace: &str, args: &[&str]) -> String {
        kubectl(self.node.info(), self.kubeconfig(place), namespace, args)
    }

    fn kubeconfig(&self, place: &str) -> &Path {
        let mut places = self.places.iter();
        &places.find(|known| known.name == place).unwrap().kubeconfig
    }

    /// Hands an object to a cluster, in the name of people.
    pub fn apply(&self, place: &str, object: &Value) {
        let file = self.node.home.inside("object.json");
        std::fs::write(&file, object.to_string()).unwrap();
        let file = file.to_str().unwrap();
        let namespace = object["metadata"]["namespace"].as_str().unwrap();
        let manager = "--field-manager=people";
        self.kubectl_in(
            place,
            namespace,
            &["apply", "--server-side", manager, "-f", file],
        );
    }

    /// What must stay as it is where a wave was not reached: all that a signal can change of the
    /// Application, and the state of what it deployed.
    pub fn untouched(&self, place: &str) -> (Value, Value, String) {
        let of = self.of(place);
        let all =
            "jsonpath={range .items[*]}{.metadata.name} {.metadata.resourceVersion}{\"\\n\"}{end}";
        let deployments = self.kubectl(place, &["get", "deployments", "-o", all]);
        assert_eq!(deployments.lines().count(), 2, "{deployments}");
        (
            of["spec"].clone(),
            of["status"]["operationState"]["startedAt"].clone(),
            deployments,
        )
    }

    /// What became of each Application by the last run, as its journal has it.
    pub fn outcomes(&self) -> Vec<String> {
        let journal = self.node.journal();
        let targets = journal.last().unwrap()["targets"].clone();
        let targets = targets.as_array().unwrap().iter();
        targets
            .map(|target| target["outcome"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits until these images run in a cluster and no other.
    #[track_caller]
    pub fn runs(&self, place: &str, images: &[String]) {
        until(&format!("{place} runs {images:?}"), || {
            let said = self.kubectl(place, &["get", "pods", "-o", RUNNING]);
            let mut running: Vec<&str> = said.lines().collect();
            running.sort_unstable();
            running == images
        });
    }

    /// Kills a program of the testbed; its name has the cluster behind it, but for the first.
    pub fn stop(&self, program: &str) {
        assert!(
            matches!(self.share, Share::Alone(_)),
            "others need what this stops"
        );
        self.node.ask(&Ask::Stop(program.to_owned()));
        self.stopped.borrow_mut().insert(program.to_owned());
    }

    /// Starts one again.
    pub fn start(&self, program: &str) {
        self.node.ask(&Ask::Start(program.to_owned()));
        self.stopped.borrow_mut().remove(program);
    }

    /// A cluster goes away.
    pub fn offline(&self, place: &str) {
        self.stop(&format!("kube-apiserver-{place}"));
    }

    /// It comes back, and is ready.
    pub fn online(&self, place: &str) {
        self.start(&format!("kube-apiserver-{place}"));
        until(&format!("{place} is ready"), || {
            std::process::Command::new(&self.node.info().kubectl)
                .arg("--kubeconfig")
                .arg(self.kubeconfig(place))
                .args(["get", "--raw", "/readyz"])
                .output()
                .unwrap()
                .status
                .success()
        });
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        // The next scenario needs it, however this one ended.
        for program in std::mem::take(&mut *self.stopped.borrow_mut()) {
            self.node.ask(&Ask::Start(program));
        }
        // The clusters go by themselves; this only keeps them small.
        let info = self.node.info();
        let delete = |kubeconfig: &Path, args: &[&str]| {
            let _ = std::process::Command::new(&info.kubectl)
                .arg("--kubeconfig")
                .arg(kubeconfig)
                .args([
                    "--namespace",
                    fleet::NAMESPACE,
                    "delete",
                    "--wait=false",
                    "--ignore-not-found",
                ])
                .args(args)
                .output();
        };
        let apps = PLACES.map(|place| format!("application/{}", self.app(place)));
        let mut own: Vec<&str> = apps.iter().map(String::as_str).collect();
        let kinds = ["secret", "role", "rolebinding", "serviceaccount"];
        let named = kinds.map(|kind| format!("{kind}/{}", self.node.name));
        own.extend(named.iter().map(String::as_str));
        delete(self.kubeconfig("canary"), &own);
        for place in &self.places {
            delete(
                &place.kubeconfig,
                &[&format!("namespace/{}", self.node.name)],
            );
        }
    }
}
