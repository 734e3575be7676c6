//! What lies in the registry, for a node's own owner and for others.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use testbed::chart::{Chart, Shop};
use testbed::ghcr::{Asked, Policy};
use testbed::image::Spec;
use testbed::push::Pusher;

use super::{Node, bed};

/// Fills the registry, also with what a scenario wants beside its images.
pub static PUSHER: LazyLock<Pusher> = LazyLock::new(|| Pusher::new(&bed().info).unwrap());

/// An image in the registry, as a signal may name it.
pub struct Image {
    pub name: String,
    pub tag: String,
    pub digest: String,
}

impl Image {
    pub fn by_tag(&self) -> String {
        format!("{}:{}", self.name, self.tag)
    }

    pub fn by_digest(&self) -> String {
        format!("{}@{}", self.name, self.digest)
    }
}

/// Pushes the test application as `ghcr.io/<repository>:<tag>`, for an owner
/// that is no node's own.
pub fn push_image(repository: &str, tag: &str) -> Image {
    push(repository, tag, &Spec::default())
}

/// Pushes a chart of an owner that is no node's own.
pub fn push_chart(owner: &str, chart: &Chart) {
    PUSHER.chart(owner, chart).unwrap();
}

/// What the registry was asked for an owner's packages.
pub fn asked_of(owner: &str) -> Vec<Asked> {
    PUSHER.asked(owner).unwrap()
}

/// How the registry answers for an owner.
pub fn policy_of(owner: &str, policy: &Policy) {
    PUSHER.policy(owner, policy).unwrap();
}

fn push(repository: &str, tag: &str, spec: &Spec) -> Image {
    Image {
        name: format!("ghcr.io/{repository}"),
        tag: tag.to_owned(),
        digest: PUSHER.image(repository, tag, spec).unwrap(),
    }
}

impl Node {
    fn pusher(&self) -> &Pusher {
        self.own
            .as_ref()
            .map_or_else(|| &*PUSHER, |own| &own.pusher)
    }

    /// Pushes the test application as `ghcr.io/<owner>/<app>/<component>:<tag>`.
    pub fn image(&self, component: &str, tag: &str) -> Image {
        self.image_with(component, tag, Spec::default())
    }

    /// Pushes an image that behaves as told.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "a scenario hands over what it just made"
    )]
    pub fn image_with(&self, component: &str, tag: &str, spec: Spec) -> Image {
        let repository = format!("{}/shop/{component}", self.name);
        Image {
            name: format!("ghcr.io/{repository}"),
            tag: tag.to_owned(),
            digest: self.pusher().image(&repository, tag, &spec).unwrap(),
        }
    }

    /// Pushes the test application under a whole reference with a tag; gives its digest.
    pub fn image_named(name: &str, tag: &str) -> String {
        let repository = name.strip_prefix("ghcr.io/").unwrap();
        PUSHER.image(repository, tag, &Spec::default()).unwrap()
    }

    /// Pushes a chart of the owner's; gives its digest.
    pub fn push(&self, chart: &Chart) -> String {
        self.pusher().chart(&self.name, chart).unwrap()
    }

    /// Pushes a small chart: api, web, and a worker where its image is given; gives its digest.
    pub fn shop(&self, version: &str) -> String {
        self.push(&Shop::new("shop", version).grace(1).chart())
    }

    /// How the registry answers for this node's owner.
    pub fn registry(&self, policy: &Policy) {
        self.pusher().policy(&self.name, policy).unwrap();
    }

    /// What the registry was asked for this owner's packages.
    pub fn asked(&self) -> Vec<Asked> {
        self.pusher().asked(&self.name).unwrap()
    }

    /// Stores credentials for ghcr.io in a file of the runner's home, as
    /// `helm registry login` and `docker login` do.
    pub fn stores(&self, file: &str, user: &str, password: &str) {
        let auth = STANDARD.encode(format!("{user}:{password}"));
        let content = serde_json::json!({ "auths": { "ghcr.io": { "auth": auth } } });
        self.home.write(file, &content.to_string(), 0o600);
    }
}
