#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::{Configs, Match, compare, digests, named};
use crate::signal::Digest;

fn digest(of: char) -> Digest {
    let hex = of.to_string().repeat(64);
    format!("sha256:{hex}").parse().unwrap()
}

fn configs(of: &[(&str, char)]) -> Configs {
    let one = |(platform, of): &(&str, char)| ((*platform).to_owned(), digest(*of));
    of.iter().map(one).collect()
}

/// Two are the same image where their configs are equal; what cannot be told is
/// neither the same nor another.
#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn configs_tell_whether_two_digests_are_one_image() {
    const AMD: &str = "linux/amd64/";
    const ARM: &str = "linux/arm64/";
    let nodes = BTreeSet::from(["linux/amd64".to_owned()]);
    let both = configs(&[(AMD, 'a'), (ARM, 'b')]);
    let manifests = BTreeSet::from([digest('1'), digest('2')]);
    let none = BTreeSet::new();
    let single = configs(&[("", 'a')]);
    for (name, manifests, asked, runs, its, expected) in [
        (
            "a platform's manifest",
            &manifests,
            &both,
            '1',
            None,
            Match::Same,
        ),
        (
            "an imported image's config",
            &manifests,
            &both,
            'a',
            None,
            Match::Same,
        ),
        (
            "the config of a single image",
            &none,
            &single,
            'a',
            None,
            Match::Same,
        ),
        (
            "what the registry does not have",
            &manifests,
            &both,
            '9',
            None,
            Match::Unknown,
        ),
        (
            "another manifest of the same config",
            &none,
            &single,
            '9',
            Some(configs(&[("", 'a')])),
            Match::Same,
        ),
        (
            "a moved tag",
            &none,
            &single,
            '9',
            Some(configs(&[("", 'c')])),
            Match::Other,
        ),
        (
            "a single image of an index's platform",
            &manifests,
            &both,
            '9',
            Some(configs(&[("", 'a')])),
            Match::Same,
        ),
        (
            "an index that has the single image",
            &none,
            &single,
            '9',
            Some(both.clone()),
            Match::Same,
        ),
        (
            "an index that has not",
            &none,
            &single,
            '9',
            Some(configs(&[(AMD, 'c'), (ARM, 'b')])),
            Match::Other,
        ),
        (
            "the same index with annotations",
            &manifests,
            &both,
            '9',
            Some(both.clone()),
            Match::Same,
        ),
        (
            "an index with another image for the nodes",
            &manifests,
            &both,
            '9',
            Some(configs(&[(AMD, 'c'), (ARM, 'b')])),
            Match::Other,
        ),
        (
            "an index with another image for no node",
            &manifests,
            &both,
            '9',
            Some(configs(&[(AMD, 'a'), (ARM, 'c')])),
            Match::Same,
        ),
        (
            "an index without the nodes' platform",
            &manifests,
            &both,
            '9',
            Some(configs(&[(ARM, 'b')])),
            Match::Unknown,
        ),
        (
            "an index whose manifests are gone",
            &manifests,
            &both,
            '9',
            Some(BTreeMap::new()),
            Match::Unknown,
        ),
    ] {
        let verdict = compare(manifests, asked, &digest(runs), its.as_ref(), Some(&nodes));
        assert_eq!(verdict, expected, "{name}");
    }
    let arm = configs(&[(AMD, 'a'), (ARM, 'c')]);
    let anywhere = compare(&manifests, &both, &digest('9'), Some(&arm), None);
    assert_eq!(anywhere, Match::Other, "nodes that may not be known");
}

#[test]
fn the_kubelets_word_is_read() {
    let hex = digest('a');
    for (id, expected) in [
        (format!("ghcr.io/acme/api@{hex}"), Some(digest('a'))),
        (hex.to_string(), Some(digest('a'))),
        (
            format!("docker-pullable://ghcr.io/acme/api@{hex}"),
            Some(digest('a')),
        ),
        (String::new(), None),
        ("ghcr.io/acme/api@sha256:abc".to_owned(), None),
        ("sha512:abc".to_owned(), None),
    ] {
        assert_eq!(named(&id), expected, "{id}");
    }
    let status = |name: &str, of: char| json!({"name": name, "image": "x", "imageID": digest(of).as_str(), "ready": true, "restartCount": 0});
    let pod = serde_json::from_value(json!({
        "metadata": {},
        "spec": {
            "initContainers": [{"name": "wait", "image": "ghcr.io/acme/api:1"}],
            "containers": [{"name": "api", "image": "ghcr.io/acme/api:1"}, {"name": "log", "image": "ghcr.io/acme/log:1"}],
        },
        "status": {
            "initContainerStatuses": [status("wait", 'a')],
            "containerStatuses": [status("log", 'b'), status("api", 'c')],
        },
    }))
    .unwrap();
    let found = digests(&pod, "ghcr.io/acme/api:1");
    let expected = [
        ("api".to_owned(), digest('c')),
        ("wait".to_owned(), digest('a')),
    ];
    assert_eq!(found, expected);
}
