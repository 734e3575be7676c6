//! Each way in which the registry fails: its own exit code, message and cure,
//! and nothing is touched before it is told.

use std::thread;
use std::time::Duration;

use testbed::ghcr::{Access, AnonymousRefusal, Fault, Kind, Policy, Visibility};

use crate::harness::{Helm, Node, on_both_helms};

/// What opens the registry, and must never be told.
const SECRET: &str = "pa55-4711";
const CHART: &str = "charts/shop";
const API: &str = "shop/api";
const DOCKER: &str = ".docker/config.json";
const HELMS: &str = ".config/helm/registry/config.json";

/// One way to fail, and what is told of it.
struct Case {
    policy: Policy,
    /// Which file holds the user's credentials.
    stored: Option<&'static str>,
    version: &'static str,
    tag: &'static str,
    env: Vec<(&'static str, &'static str)>,
    exit: i32,
    says: Vec<&'static str>,
}

fn case(exit: i32, policy: Policy) -> Case {
    Case {
        policy,
        stored: None,
        version: "0.1.0",
        tag: "t1",
        env: Vec::new(),
        exit,
        says: Vec::new(),
    }
}

impl Case {
    fn stored(mut self, file: &'static str) -> Self {
        self.stored = Some(file);
        self
    }

    fn env(mut self, key: &'static str, value: &'static str) -> Self {
        self.env.push((key, value));
        self
    }

    fn says<const N: usize>(mut self, says: [&'static str; N]) -> Self {
        self.says = says.to_vec();
        self
    }

    /// A dry run on a node of its own: what fails here fails before anything
    /// is applied.
    fn run(self, helm: Helm) {
        let node = Node::new("registry", helm);
        node.shop("0.1.0");
        let (api, web) = (node.image("api", "t1"), node.image("web", "t1"));
        node.registry(&self.policy);
        if let Some(file) = self.stored {
            node.stores(file, "bot", SECRET);
        }
        let mut signal = node
            .signal(self.version)
            .image("api", format!("{}:{}", api.name, self.tag))
            .image("web", web.by_tag());
        for (key, value) in self.env {
            signal = signal.env(key, value);
        }
        // A dry run for those that get through; nothing else differs.
        if self.exit == 0 {
            signal = signal.arg("--dry-run");
        }
        let ran = signal.run();
        ran.exits(self.exit).never_says(SECRET);
        for text in self.says {
            ran.says(text);
        }
        assert_eq!(node.namespaces(), "", "nothing is touched");
        let line = node.journal().pop().expect("a line in the journal");
        assert_eq!(line["exit"], self.exit, "{line}");
    }
}

fn run(helm: Helm, cases: Vec<Case>) {
    thread::scope(|scope| {
        for case in cases {
            scope.spawn(|| case.run(helm));
        }
    });
}

fn bot(access: Access) -> Policy {
    Policy::private().user("bot", SECRET, access)
}

on_both_helms! {
    /// Who may not read the chart is told why, as far as it can be known.
    fn refusals(node) {
        let without = |refusal| {
            case(5, Policy::private().refuse_anonymous_at(refusal)).says([
                "refuses it without credentials: it is private, or not there",
                "log in on the node with a classic token that has read:packages",
                "or make the package public",
            ])
        };
        run(node.helm, vec![
            without(AnonymousRefusal::Token),
            without(AnonymousRefusal::TokenDenied),
            without(AnonymousRefusal::Manifest),
            case(5, bot(Access::None)).stored(DOCKER).says([
                "knows the stored credentials, but they lack the right to read it",
                "credentials: /home/github-runner/.docker/config.json",
                "Manage access",
            ]),
            case(5, bot(Access::Expired)).stored(HELMS).says([
                "refuses it with the stored credentials, and without them",
                "credentials: /home/github-runner/.config/helm/registry/config.json",
                "if the token has expired or was revoked: log in again",
                "if its owner has no access",
                "if it was never pushed",
            ]),
            case(0, bot(Access::Read)).stored(DOCKER).says(["would deploy"]),
        ]);
    }
}

on_both_helms! {
    /// What is definitely not there stops the deploy before it touches
    /// anything.
    fn missing(node) {
        let mut version = case(5, Policy::public())
            .says(["0.2.0: ghcr.io does not have it (404)", "push it first"]);
        version.version = "0.2.0";
        let mut tag = case(5, Policy::public())
            .says(["ghcr.io does not have the image of api: ghcr.io/", "/shop/api:nope"]);
        tag.tag = "nope";
        let mut private = case(5, bot(Access::Read)).stored(DOCKER).says(["the image of api"]);
        private.tag = "nope";
        run(node.helm, vec![version, tag, private]);
    }
}

on_both_helms! {
    /// A registry that is unwell, or a way there that is none.
    fn unwell(node) {
        let fault = |fault: Fault| case(5, Policy::public().fault(fault.package(CHART)));
        let unwell = ["ghcr.io did not answer as it should", "githubstatus.com"];
        run(node.helm, vec![
            fault(Fault::status(Kind::Manifest, 503)).says(unwell),
            fault(Fault::status(Kind::Token, 500)).says(unwell),
            fault(Fault::status(Kind::Manifest, 429)).says(["so many requests (429)"]),
            fault(Fault::cut_off(Kind::Manifest, 0)).says(unwell),
            fault(Fault::cut_off(Kind::Blob, 100)).says(unwell),
            fault(Fault::delay(Kind::Manifest, Duration::from_secs(60)))
                .env("DEPLOY_TIMEOUT", "8s")
                .says(["did not give it within the deploy's time limit", "githubstatus.com"]),
            case(3, Policy::public()).env("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
                .says(["the certificate of ghcr.io is not trusted here", "SSL_CERT_FILE"]),
            case(3, Policy::public()).env("HTTPS_PROXY", "http://127.0.0.1:1")
                .says(["the proxy does not lead to ghcr.io", "HTTPS_PROXY"]),
        ]);
    }
}

on_both_helms! {
    /// What the cluster may still be able to pull is a note, no failure.
    fn images_that_cannot_be_looked_up(node) {
        let goes_on = "the cluster may still have access, so the deploy goes on";
        run(node.helm, vec![
            case(0, Policy::public().package(API, Visibility::Private))
                .says(["note: api: ghcr.io/", "refuses it without credentials", goes_on]),
            case(0, Policy::public().fault(Fault::status(Kind::Manifest, 502).package(API)))
                .says(["did not answer as it should", goes_on]),
            case(0, Policy::public().fault(Fault::cut_off(Kind::Manifest, 0).package(API)))
                .says(["did not answer as it should", goes_on]),
        ]);
    }
}

on_both_helms! {
    /// Dead credentials stand in the way of public packages too: it is tried
    /// without them, and the warning names their file.
    fn dead_credentials_and_a_public_chart(node) {
        node.shop("0.1.0");
        let (api, web) = (node.image("api", "t1"), node.image("web", "t1"));
        node.registry(&Policy::public().user("bot", SECRET, Access::Expired));
        let file = if node.helm == Helm::V3 { DOCKER } else { HELMS };
        node.stores(file, "bot", SECRET);
        let ran = node.signal("0.1.0").image("api", api.by_tag()).image("web", web.by_tag()).run();
        ran.exits(0)
            .says(&format!("warning: the credentials for ghcr.io in /home/github-runner/{file} are refused"))
            .says("helm registry logout ghcr.io")
            .never_says(SECRET);
        assert_eq!(ran.stderr.matches("are refused").count(), 1, "{}", ran.stderr);
        node.runs(&[api.by_tag(), web.by_tag()]);
    }
}
