//! Deploys through the receiver end as direct ones do, whatever becomes of it.

use rustix::process::Signal;
use serde_json::json;

use super::{RUNNER, Site};
use crate::harness::until;
use testbed::image::Spec;

/// Good, doomed, refused, cancelled: code, cause and journal are those of a direct
/// deploy, and the runner's user holds nothing of it.
#[test]
fn each_end_is_that_of_a_direct_deploy() {
    let site = Site::new("received", "");
    let receiver = site.receiver();
    let node = &site.node;
    node.shop("0.1.0");
    site.signal("t1")
        .wait()
        .exits(0)
        .says("revision 1")
        .never_says("other users of this node are not excluded");
    assert_eq!(node.running().len(), 2);

    let web = node.image("web", "t1").by_tag();
    let missing = format!("ghcr.io/{}/shop/api:nowhere", node.name);
    let signal = |api: &str| node.signal("0.1.0").image("api", api).image("web", &*web);
    signal(&missing).run().exits(5).says(&missing);
    signal("ghcr.io/elsewhere/shop/api:t1").run().exits(4);

    let stuck = Spec::behaving("unready the database is down");
    let stuck = node.image_with("api", "stuck", stuck);
    let running = signal(&stuck.by_tag()).start();
    until("the upgrade is rolled out", || node.is_rolling_out());
    // A second one waits, and is told for whom.
    let next = signal(&node.image("api", "t2").by_tag()).start();
    next.until_says("waiting for run ");
    running.signal(Signal::INT);
    running.wait().exits(130).says("cancelled");
    next.wait().exits(0).says("deployed ");

    let lines = site.journal();
    let exits: Vec<_> = lines.iter().map(|line| &line["exit"]).collect();
    // The one whose images are not the chart owner's is refused by the client.
    assert_eq!(
        exits,
        [&json!(0), &json!(5), &json!(143), &json!(0)],
        "{lines:#?}"
    );
    assert!(lines.iter().all(|line| line["who"]["uid"] == RUNNER));
    // The same runs on both sides, so that what a log names is found on the node.
    let own = node.journal();
    assert_eq!(own.last().unwrap()["run"], lines.last().unwrap()["run"]);
    let run = lines[1]["run"].as_str().unwrap();
    site.ask(&["show", run]).exits(0).says("nowhere");
    let told = site.raw(format!("GET /v1/deploys/{run} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
    assert!(told.contains("\"exit_code\":5"), "{told}");
    receiver.signal(Signal::TERM);
    assert_eq!(receiver.ends(), Some(0));
}
