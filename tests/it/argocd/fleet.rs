//! An owner of its own on the testbed of three clusters: a chart, an Application for each cluster,
//! a node whose `deploy` is told of them.

use std::path::Path;
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde_json::{Value, json};
use testbed::chart::{Chart, Shop};
use testbed::client::Member;
use testbed::fleet;
use testbed::supervisor::Ask;

use crate::harness::{Bed, Helm, Node, Signal, kubectl, until};

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

/// The chart of a version.
pub fn shop(version: &str) -> Chart {
    Shop::new("shop", version).grace(1).chart()
}

/// The clusters as one scenario has them.
pub struct Fleet {
    /// Calls `deploy`; its name is the app, the owner, and the namespace in each cluster.
    pub node: Node,
    places: Vec<Member>,
    share: Share,
}

impl Fleet {
    /// Beside other scenarios.
    pub fn new(scenario: &str) -> Self {
        let share = WHOLE
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        Self::shared(scenario, Share::WithOthers(share))
    }

    /// For a scenario that stops what others need.
    pub fn alone(scenario: &str) -> Self {
        let share = WHOLE
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        Self::shared(scenario, Share::Alone(share))
    }

    fn shared(scenario: &str, share: Share) -> Self {
        let bed = Bed::fleet();
        let places = bed.testbed.info.fleet.as_ref().unwrap().clusters.clone();
        let node = Node::on(bed, scenario, Helm::V3);
        let own = Self {
            node,
            places,
            share,
        };
        own.apply("canary", &fleet::repository(&own.node.name));
        own.configures(&[&["canary"], &["eu"], &["us"]], "");
        own
    }

    /// The name of the Application in a cluster, which is its release's too.
    pub fn app(&self, place: &str) -> String {
        format!("{}-{place}", self.node.name)
    }

    /// Writes deploy.toml: these waves, and more lines of the app's.
    pub fn configures(&self, waves: &[&[&str]], more: &str) {
        let home = &self.node.home;
        let mut clusters = Vec::new();
        for place in &self.places {
            let file = format!(".kube/{}", place.name);
            let text = std::fs::read_to_string(&place.kubeconfig).unwrap();
            home.write(&file, &text, 0o600);
            clusters.push((self.app(&place.name), format!("/home/github-runner/{file}")));
        }
        let apps = |wave: &&[&str]| wave.iter().map(|place| self.app(place)).collect();
        let waves: Vec<Vec<String>> = waves.iter().map(apps).collect();
        let config = fleet::config(&self.node.name, &clusters[0].1, &waves, &clusters);
        home.write_etc("deploy/deploy.toml", &format!("{config}{more}\n"), 0o644);
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
        self.node.push(&shop("0.1.0"));
        for place in PLACES {
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

    /// A source with what a signal says left out.
    pub fn open(&self, place: &str) -> Value {
        json!({
            "repoURL": fleet::charts(&self.node.name),
            "helm": {"valuesObject": {"cluster": place}},
        })
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
    }

    /// Starts one again.
    pub fn start(&self, program: &str) {
        self.node.ask(&Ask::Start(program.to_owned()));
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
        let secret = format!("secret/{}", self.node.name);
        own.push(&secret);
        delete(self.kubeconfig("canary"), &own);
        for place in &self.places {
            delete(
                &place.kubeconfig,
                &[&format!("namespace/{}", self.node.name)],
            );
        }
    }
}
