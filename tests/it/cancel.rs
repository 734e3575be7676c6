//! Cancelling: helm is stopped, the release is settled, the journal is written.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use testbed::chart::{Hook, Shop};
use testbed::ghcr::{Fault, Kind, Policy};
use testbed::image::Spec;

use crate::harness::{Node, Running, on_both_helms, through, until};

/// What the runner leaves a cancelled step before it kills.
const SETTLED: Duration = Duration::from_secs(7);

/// A good first install.
pub fn install(node: &Node) {
    node.shop("0.1.0");
    let (api, web) = (node.image("api", "t1"), node.image("web", "t1"));
    node.signal("0.1.0")
        .image("api", api.by_tag())
        .image("web", web.by_tag())
        .run()
        .exits(0);
}

/// An upgrade that never becomes ready, and is waited for.
pub fn stuck(node: &Node, in_step: bool) -> Running {
    let unready = node.image_with(
        "api",
        "stuck",
        Spec::behaving("unready the database is down"),
    );
    let web = node.image("web", "t1");
    let signal = node
        .signal("0.1.0")
        .image("api", unready.by_tag())
        .image("web", web.by_tag());
    let running = if in_step { signal.in_step() } else { signal }.start();
    until("the upgrade is rolled out", || node.is_rolling_out());
    running
}

/// An upgrade whose helm is at work: in a hook, before anything is applied.
pub fn stuck_in_hook(node: &Node) -> Running {
    stuck_in_hook_for(node, 15)
}

/// The same, with a hook that takes so many seconds.
pub fn stuck_in_hook_for(node: &Node, seconds: u32) -> Running {
    let hook = Hook {
        args: vec!["once".to_owned(), format!("once-sleep {seconds}000ms")],
        ..Hook::default()
    };
    node.push(&Shop::new("shop", "0.2.0").hook(hook).chart());
    let (api, web) = (node.image("api", "in-hook"), node.image("web", "t1"));
    let running = node
        .signal("0.2.0")
        .image("api", api.by_tag())
        .image("web", web.by_tag())
        .start();
    until("the release is pending", || {
        node.status().starts_with("pending")
    });
    running
}

/// The journal's last line says how it ended.
#[track_caller]
fn noted(node: &Node, code: u8) {
    let lines = node.journal();
    let last = lines.last().unwrap();
    assert_eq!(last["exit"], through::cancelled(code), "{last}");
    assert_eq!(last["outcome"], "cancelled", "{last}");
}

on_both_helms! {
    /// Each signal that cancels, then a signal that deploys.
    fn signals_settle_the_release(node) {
        install(&node);
        for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
            let running = stuck(&node, false);
            let sent = Instant::now();
            running.signal(signal);
            running.wait().exits(code);
            assert!(sent.elapsed() < SETTLED, "{:?}", sent.elapsed());
            assert_eq!(node.status(), "failed");
            noted(&node, code.try_into().unwrap());
        }
        let (api, web) = (node.image("api", "t2"), node.image("web", "t1"));
        node.signal("0.1.0").image("api", api.by_tag()).image("web", web.by_tag()).run()
            .exits(0).says("revision 5");
        node.runs(&[api.by_tag(), web.by_tag()]);
    }
}

on_both_helms! {
    /// The runner signals the step's shell only, and the shell dies of it.
    fn the_death_of_the_step_settles_the_release(node) {
        install(&node);
        let running = stuck(&node, true);
        let sent = Instant::now();
        running.signal(Signal::INT);
        running.signal(Signal::TERM);
        // The end of the output is the end of the last process.
        let ran = running.wait();
        assert!(sent.elapsed() < SETTLED, "{:?}", sent.elapsed());
        ran.says("cancelled by SIGHUP");
        assert_eq!(node.status(), "failed");
        noted(&node, 129);
    }
}

on_both_helms! {
    /// Somebody in a hurry: the second signal does not skip the settling.
    fn a_second_signal_only_hurries(node) {
        install(&node);
        let running = stuck(&node, false);
        let sent = Instant::now();
        running.signal(Signal::INT);
        running.signal(Signal::TERM);
        running.wait().exits(130);
        assert!(sent.elapsed() < SETTLED, "{:?}", sent.elapsed());
        assert_eq!(node.status(), "failed");
        noted(&node, 130);
    }
}

on_both_helms! {
    /// While the chart is on its way, nothing has to be settled.
    fn cancelled_while_pulling(node) {
        node.shop("0.1.0");
        let (api, web) = (node.image("api", "t1"), node.image("web", "t1"));
        node.registry(&Policy::public().fault(Fault::delay(Kind::Manifest, Duration::from_secs(30))));
        let asked = || node.asked().iter().filter(|asked| asked.package == "charts/shop").count();
        let pushed = asked();
        let running = node.signal("0.1.0").image("api", api.by_tag()).image("web", web.by_tag()).start();
        until("the chart is asked for", || asked() > pushed);
        let sent = Instant::now();
        running.signal(Signal::INT);
        running.wait().exits(130);
        assert!(sent.elapsed() < SETTLED, "{:?}", sent.elapsed());
        noted(&node, 130);
    }
}

on_both_helms! {
    /// One deploy of a release at a time: who waits tells for whom, gives up
    /// after `lock_timeout`, and can be cancelled.
    fn one_at_a_time(node) {
        install(&node);
        let (api, web) = (node.image("api", "t2"), node.image("web", "t1"));
        let signal = || node.signal("0.1.0").image("api", api.by_tag()).image("web", web.by_tag());
        let first = stuck(&node, false);

        let second = signal().start();
        second.until_says("waiting for run ");
        second.signal(Signal::INT);
        second.wait().exits(130);
        noted(&node, 130);

        node.home.write_etc("deploy/deploy.toml", "[defaults]\nlock_timeout = \"1s\"\n", 0o644);
        signal().run().exits(9).says("holds its lock; waited 1s").says("held by run ");
        node.home.write_etc("deploy/deploy.toml", "", 0o644);

        let third = signal().start();
        third.until_says("waiting for run ");
        first.signal(Signal::TERM);
        first.wait().exits(143);
        third.wait().exits(0).says("revision 3");
        node.runs(&[api.by_tag(), web.by_tag()]);
    }
}
