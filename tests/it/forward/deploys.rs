//! The receiver calls the real `deploy`, as another user of the node would,
//! with a configuration and a state directory of its own.

use serde_json::json;

use super::{RECEIVER, Receiver, SOCKET};
use crate::harness::{RUNNER, deploy_binary, on_both_helms};

on_both_helms! {
    /// From the signal through the receiver to what runs; a failure's code and
    /// cause come back the same way.
    fn a_receiver_that_really_deploys(node) {
        node.shop("0.1.0");
        let (api, web) = (node.image("api", "t1"), node.image("web", "t1"));
        let toml = format!("[apps.{}]\nforward = \"unix:{SOCKET}\"\n", node.name);
        node.home.write_etc("deploy/deploy.toml", &toml, 0o644);
        node.home.write_etc("deploy/controller.toml", "", 0o644);
        node.home.write("controller-state/keep", "", 0o600);
        node.home.write("receiver.py", RECEIVER, 0o755);
        let mut command = node.home.command(
            deploy_binary(), Some(node.helm.path()), RUNNER, "/home/github-runner",
        );
        command
            .args(["/home/github-runner/receiver.py", SOCKET, "/usr/local/bin/deploy"])
            .envs(&node.env)
            .env("DEPLOY_CONFIG", "/etc/deploy/controller.toml")
            .env("DEPLOY_STATE_DIR", "/home/github-runner/controller-state");
        let _receiver = Receiver::start(command, &node.home.inside("controller.sock"));

        node.signal("0.1.0").image("api", api.by_tag()).image("web", web.by_tag()).run()
            .exits(0).says("· deployed ").says("revision 1").says(&format!("by unix:{SOCKET}"));
        node.runs(&[api.by_tag(), web.by_tag()]);

        let gone = format!("ghcr.io/{}/shop/api:gone", node.name);
        node.signal("0.1.0").image("api", gone).image("web", web.by_tag()).run()
            .exits(5).says("error: the controller at unix:").says("says: ghcr.io does not have the image of api");
        node.runs(&[api.by_tag(), web.by_tag()]);
        let exits: Vec<_> = node.journal().iter().map(|line| line["exit"].clone()).collect();
        assert_eq!(exits, [json!(0), json!(5)]);
    }
}
