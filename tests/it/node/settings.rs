//! deploy.toml and what stands beside the script, as they work in a deploy.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};

use snapbox::str;
use testbed::ghcr::{Asked, PUSH_USER};

use super::Shop;
use crate::harness::{Helm, RUNNER, SCRIPT, on_both_helms};

on_both_helms! {
    /// The values file beside the script counts where nothing is configured.
    fn no_configuration_at_all(node) {
        let shop = Shop::new("zero", node.helm);
        let file = format!("{}.values.yaml", shop.node.name);
        shop.node.home.write(&file, "web:\n  replicas: 2\n", 0o600);
        shop.signal().run().exits(0);
        let replicas = |name: &str| shop.node.kubectl(&[
            "get", "deployment", &format!("{}-{name}", shop.node.name), "--output=jsonpath={.spec.replicas}",
        ]);
        assert_eq!((replicas("api"), replicas("web")), ("1".into(), "2".into()));

        // The old script's variables.
        let ran = shop.signal().env("DEPLOY_TIMEOUT", "1ms").run();
        assert_ne!(ran.status.code(), Some(0));
        shop.dry().env("DEPLOY_TIMEOUT", "5 minutes").run().exits(3).says("DEPLOY_TIMEOUT");
        shop.dry().env("DEPLOY_ATOMIC", "perhaps").run().exits(3).says("DEPLOY_ATOMIC");
        shop.settings("[defaults]\ntimeout = \"5m\"\n");
        shop.dry().env("DEPLOY_TIMEOUT", "1ms").run().exits(0).says("DEPLOY_TIMEOUT is ignored");
    }
}

on_both_helms! {
    /// Where an app goes, and with which values.
    fn where_an_app_goes(node) {
        let shop = Shop::new("goes", node.helm);
        let other = format!("{}-prod", shop.node.name);
        shop.node.home.write_etc("deploy/first.yaml", "web:\n  replicas: 3\napi:\n  replicas: 2\n", 0o644);
        shop.node.home.write_etc("deploy/second.yaml", "web:\n  replicas: 1\n", 0o644);
        shop.settings(&format!(
            "[apps.APP]\nnamespace = \"{other}\"\nrelease = \"front\"\nvalues = [\"first.yaml\", \"second.yaml\"]\n\
             chart = \"oci://ghcr.io/APP/charts/shop\"\n"
        ));
        shop.signal().run().exits(0).says("front");
        let kept = shop.node.kubectl(&[
            "--namespace", &other, "get", "deployments",
            "--output=jsonpath={range .items[*]}{.metadata.name}={.spec.replicas} {end}",
        ]);
        assert_eq!(kept, "front-api=2 front-web=1 ");
        shop.node.kubectl(&["delete", "namespace", &other, "--wait=false"]);
    }
}

/// A umask that takes a file's rights from its own owner: helm's directory is
/// usable all the same, and nobody else's.
#[test]
fn a_umask_against_ourselves() {
    let shop = Shop::new("umask", Helm::V4);
    let (name, api, web) = (&shop.node.name, shop.api.by_tag(), shop.web.by_tag());
    let script = format!(
        "umask 0177; exec {SCRIPT} --app {name} --chart oci://ghcr.io/{name}/charts/shop \
         --chart-version 1.0.0 --images '{{\"api\":\"{api}\",\"web\":\"{web}\"}}'"
    );
    shop.node.shell(&script).exits(0);
}

/// What policy refuses (4), before anything is asked of the network.
#[test]
fn what_the_node_refuses() {
    let shop = Shop::new("refuses", Helm::V4);
    for (settings, said) in [
        ("[apps.other]\n", "is not listed"),
        (
            "[apps.APP]\nchart = \"oci://ghcr.io/APP/charts/other\"\n",
            "pinned",
        ),
        ("[apps.APP]\nowners = [\"acme\"]\n", "this node trusts acme"),
        ("[defaults]\nowners = []\n", "no owner is trusted"),
        (
            "[apps.APP]\nimages.cron = [\"cron.image\"]\nrequired = [\"cron\"]\n",
            "key 'cron': missing",
        ),
    ] {
        shop.settings(settings);
        let ran = shop.signal().run();
        // What an app must carry is part of the contract: an invalid request.
        let code = if said.contains("cron") { 2 } else { 4 };
        assert_eq!(ran.status.code(), Some(code), "{settings}: {}", ran.stderr);
    }
    // Only the push of the chart and the images was seen.
    let pulled = |asked: &Asked| asked.user.as_deref() != Some(PUSH_USER);
    assert!(!shop.node.asked().iter().any(pulled));
}

/// What the node says of an app's images.
#[test]
fn what_the_node_says_of_images() {
    let shop = Shop::new("images", Helm::V4);
    shop.settings("[apps.APP]\nimages.api = [\"api.image\"]\nabsent = [\"worker\"]\n");
    shop.dry().run().exits(0);
    shop.settings("[apps.APP]\nimages.api = [\"nowhere.image\"]\n");
    shop.dry().run().exits(6).says("nowhere.image");

    // A container beside the app's, of one of its repositories at another tag.
    let sidecar = format!(
        "extra:\n  image: {}:1.0\n",
        shop.api.by_tag().rsplit_once(':').unwrap().0
    );
    let chart = testbed::chart::Shop::new("shop", "1.0.0")
        .chart()
        .with("templates/extra.yaml", EXTRA);
    shop.node.push(&chart);
    shop.node
        .home
        .write_etc("deploy/extra.yaml", &sidecar, 0o644);
    shop.settings("[apps.APP]\nvalues = [\"extra.yaml\"]\n");
    shop.dry().run().exits(6).says(":1.0").says("allow_images");
    shop.settings(
        "[apps.APP]\nvalues = [\"extra.yaml\"]\nallow_images = [\"ghcr.io/APP/shop/api:1.0\"]\n",
    );
    shop.dry().run().exits(0);
}

const EXTRA: &str = "{{- with .Values.extra }}
apiVersion: v1
kind: Pod
metadata:
  name: extra
spec:
  containers:
    - name: extra
      image: {{ .image }}
{{- end }}
";

/// `[env]` reaches helm and the registry's client; a proxy in deploy.toml
/// outranks the workflow's.
#[test]
fn what_the_node_sets_in_the_environment() {
    let shop = Shop::new("env", Helm::V4);
    let proxy = shop.node.env["HTTPS_PROXY"].clone();
    let settings = format!("[env]\nHTTPS_PROXY = \"{proxy}\"\nNO_PROXY = \"127.0.0.1\"\n");
    shop.settings(&settings);
    for name in ["HTTPS_PROXY", "https_proxy"] {
        shop.dry().env(name, "http://127.0.0.1:1").run().exits(0);
    }
    shop.settings("[env]\nHTTPS_PROXY = \"http://127.0.0.1:1\"\nNO_PROXY = \"127.0.0.1\"\n");
    let ran = shop.dry().run();
    assert_ne!(ran.status.code(), Some(0), "{}", ran.stderr);
}

/// A mistake in deploy.toml is shown as people read it, whole.
#[test]
fn mistakes_are_shown_with_their_line() {
    let shop = Shop::new("mistakes", Helm::V4);
    shop.settings("[defaults]\ntimeout = \"10m\"\non_failures = \"keep\"\n\n[apps.shop]\nvalue = [\"a.yaml\"]\n");
    let ran = shop.signal().run();
    ran.exits(3);
    snapbox::assert_data_eq!(
        ran.stderr,
        str![[r"
error: /etc/deploy/deploy.toml:3:1: unknown key 'on_failures' in [defaults]; did you mean on_failure?
  | 3 | on_failures = …
  |   | ^^^^^^^^^^^
  | /etc/deploy/deploy.toml:6:1: unknown key 'value' in [apps.shop]; did you mean values?
  | 6 | value = …
  |   | ^^^^^
  → correct /etc/deploy/deploy.toml; docs/configuration.md lists its keys
  → more about it: deploy explain invalid-configuration

"]]
    );
}

/// Files that others may write, or that are not the node's.
#[test]
fn files_that_others_may_write() {
    let shop = Shop::new("modes", Helm::V4);
    let home = &shop.node.home;
    let values = "[apps.APP]\nvalues = [\"app.yaml\"]\n";
    shop.settings(values);
    shop.signal().run().exits(3).says("/etc/deploy/app.yaml");
    home.write_etc("deploy/app.yaml", "{}\n", 0o666);
    shop.signal()
        .run()
        .exits(3)
        .says("/etc/deploy/app.yaml")
        .says("chmod");
    home.write_etc("deploy/app.yaml", "{}\n", 0o644);
    shop.dry().run().exits(0);
    chown(home.etc("deploy/app.yaml"), Some(RUNNER + 1), None).unwrap();
    shop.signal().run().exits(3).says("/etc/deploy/app.yaml");
    home.write_etc("deploy/app.yaml", ": [", 0o644);
    chown(home.etc("deploy/app.yaml"), Some(0), None).unwrap();
    shop.dry().run().exits(3).says("/etc/deploy/app.yaml");

    let toml = home.etc("deploy/deploy.toml");
    fs::set_permissions(&toml, fs::Permissions::from_mode(0o666)).unwrap();
    shop.signal()
        .run()
        .exits(3)
        .says("deploy.toml")
        .says("chmod");
    // A file that is not the node's is not passed over for one beside the script.
    home.write("deploy.toml", "", 0o600);
    shop.signal().run().exits(3);
    fs::remove_file(&toml).unwrap();
    shop.dry().run().exits(0);
    home.write("deploy.toml", "", 0o606);
    shop.signal()
        .run()
        .exits(3)
        .says("/home/github-runner/deploy.toml");
}
