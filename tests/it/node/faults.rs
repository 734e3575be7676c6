//! Something that the node needs goes away in the middle of a deploy: each
//! time it ends by itself, with a failure that says what went away.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use testbed::chart::{self, Hook};
use testbed::ghcr::{Fault, Kind, Policy};

use super::Shop;
use crate::harness::relay::Relay;
use crate::harness::{Helm, Ran, Running, on_both_helms};

/// A shop whose migration takes longer than any of these scenarios.
fn slow(scenario: &str, helm: Helm) -> Shop {
    let shop = Shop::new(scenario, helm);
    let hook = Hook {
        args: vec!["once".into(), "once-sleep 2m".into()],
        ..Hook::default()
    };
    shop.node
        .push(&chart::Shop::new("shop", "2.0.0").hook(hook).chart());
    shop
}

/// Sends the slow shop's signal, and waits until its migration runs.
fn started(shop: &Shop, timeout: &str) -> Running {
    let running = shop
        .node
        .signal("2.0.0")
        .image("api", shop.api.by_tag())
        .image("web", shop.web.by_tag())
        .env("DEPLOY_TIMEOUT", timeout)
        .start();
    until("the migration runs", || {
        let pods = ["get", "pods", "--output=jsonpath={.items[*].status.phase}"];
        shop.node.kubectl(&pods).contains("Running")
    });
    running
}

#[track_caller]
fn until(what: &str, mut met: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !met() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// It failed, and told why in its own words.
#[track_caller]
fn fails(ran: &Ran, codes: &[i32], said: &str) {
    let code = ran.status.code().unwrap();
    assert!(codes.contains(&code), "{code}: {}", ran.stderr);
    ran.says(said);
}

/// The `helm upgrade` that a deploy runs.
fn helm_of(deploy: u32) -> Option<Pid> {
    fs::read_dir("/proc").unwrap().find_map(|entry| {
        let path = entry.ok()?.path();
        let pid: i32 = path.file_name()?.to_str()?.parse().ok()?;
        let status = fs::read_to_string(path.join("status")).ok()?;
        let child = status.contains(&format!("PPid:\t{deploy}\n"));
        let args = fs::read(path.join("cmdline")).ok()?;
        let upgrades = args.split(|byte| *byte == 0).any(|arg| arg == b"upgrade");
        (child && upgrades).then(|| Pid::from_raw(pid)).flatten()
    })
}

on_both_helms! {
    /// Somebody, or the kernel, kills helm.
    fn helm_is_killed(node) {
        let shop = slow("helm-killed", node.helm);
        let running = started(&shop, "60s");
        let Some(helm) = helm_of(running.pid()) else {
            panic!("no helm runs: {}", running.wait().stderr);
        };
        kill_process(helm, Signal::KILL).unwrap();
        let ran = running.wait();
        // In the pre-install hook of a first install: nothing serves.
        fails(&ran, &[8], "killed");
        assert!(ran.took < Duration::from_secs(40), "{:?}", ran.took);
    }
}

on_both_helms! {
    /// The apiserver's connections break, and nothing listens there any more.
    fn the_apiserver_stops(node) {
        let shop = slow("apiserver-stops", node.helm);
        let relay = Relay::before_the_cluster(&shop.node);
        let running = started(&shop, "40s");
        relay.stop();
        fails(&running.wait(), &[3, 8], "cluster");
    }
}

/// The apiserver is there and does not answer: the budget ends it.
#[test]
fn the_apiserver_freezes() {
    let shop = slow("apiserver-freezes", Helm::V4);
    let relay = Relay::before_the_cluster(&shop.node);
    let running = started(&shop, "40s");
    relay.freeze();
    let ran = running.wait();
    fails(&ran, &[8], "the cluster does not answer any more");
    assert!(ran.took < Duration::from_secs(90), "{:?}", ran.took);
}

on_both_helms! {
    /// The kubeconfig goes away after it was read, before helm needs it.
    fn the_kubeconfig_is_removed(node) {
        let shop = Shop::new("kubeconfig-removed", node.helm);
        let slow = Fault::delay(Kind::Manifest, Duration::from_secs(3)).package("charts/shop");
        shop.node.registry(&Policy::public().fault(slow));
        let running = shop.signal().start();
        until("helm asks for the chart", || {
            shop.node.asked().iter().any(|asked| asked.user.is_none() && asked.package == "charts/shop")
        });
        fs::remove_file(shop.node.home.inside(".kube/config")).unwrap();
        fails(&running.wait(), &[3], "kubeconfig");
    }
}

on_both_helms! {
    /// The registry breaks off in the middle of the chart.
    fn the_registry_stops(node) {
        let shop = Shop::new("registry-stops", node.helm);
        shop.node.registry(&Policy::public().fault(Fault::cut_off(Kind::Blob, 100)));
        fails(&shop.signal().run(), &[5], "charts/shop");
        shop.node.registry(&Policy::public().fault(Fault::status(Kind::Blob, 503)));
        fails(&shop.signal().run(), &[5], "503");
        shop.node.registry(&Policy::public());
        shop.dry().run().exits(0);
    }
}

on_both_helms! {
    /// No room for temporary files, from none at all to almost enough.
    fn the_disk_is_full(node) {
        let shop = Shop::new("disk-full", node.helm);
        shop.node.home.write("small/keep", "", 0o600);
        let with = |inodes: u32, size: &str| {
            shop.signal()
                .env("SMALL_DISK", &format!("size={size},nr_inodes={inodes}"))
                .env("TMPDIR", "/home/github-runner/small")
                .run()
        };
        for (inodes, size) in [(1, "1m"), (4, "1m"), (7, "1m"), (100, "4k"), (100, "8k")] {
            let ran = with(inodes, size);
            fails(&ran, &[3], "o space left");
        }
        with(1000, "64m").exits(0);
    }
}
