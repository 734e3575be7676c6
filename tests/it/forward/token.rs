//! A job of this node asks GitHub itself for the signal's token, where `callers` takes
//! one of its own runner.

use serde_json::Value;

use super::{Site, always, good, hostile};
use crate::forward::hostile::{ELSEWHERE, OPEN};
use crate::receive::issuer::{Issuer, REQUEST_TOKEN};

/// A node whose `callers` takes tokens of this runner's, behind a proxy.
fn site(issuer: &Issuer, runner: &str) -> (Site, hostile::Requests) {
    let mut site = Site::on_socket();
    let (proxy, tunnels) = hostile::proxy(issuer.port);
    let toml = format!(
        "[defaults]\ncallers = [{{ repository_id = \"74\", runner = \"{runner}\" }}]\n\
         token_issuer = \"https://{ELSEWHERE}\"\n\
         [env]\nNO_PROXY = \"127.0.0.1\"\nHTTPS_PROXY = \"http://127.0.0.1:{proxy}\"\nSSL_CERT_FILE = \"/etc/ghcr-ca.pem\"\n\
         [apps.shop]\nforward = \"unix:/home/github-runner/controller.sock\"\n"
    );
    site.home.write_etc("deploy/deploy.toml", &toml, 0o644);
    issuer.is_trusted_on(&site.home);
    site.in_step("{}");
    (site, tunnels)
}

/// The job may ask, at this URL with this.
fn may_ask(site: &mut Site, url: &str, token: &str) {
    site.env
        .retain(|(key, _)| !key.starts_with("ACTIONS_ID_TOKEN_REQUEST_"));
    for (key, value) in [("URL", url), ("TOKEN", token)] {
        let key = format!("ACTIONS_ID_TOKEN_REQUEST_{key}");
        site.env.push((key, value.to_owned()));
    }
}

#[test]
fn a_job_of_this_node_asks_for_its_own() {
    let issuer = Issuer::start();
    let (mut site, tunnels) = site(&issuer, "self-hosted");
    let url = format!("https://{ELSEWHERE}/token?runner=self-hosted");
    site.run()
        .exits(4)
        .says("came without a token")
        .says("or grant this job `id-token: write`");
    may_ask(&mut site, &url, "another");
    let refused = "GitHub gives this job no token for the signal: it answers 401";
    site.run().exits(4).says(refused).never_says("another");
    may_ask(&mut site, "http://127.0.0.1:1/token", REQUEST_TOKEN);
    site.run().exits(3).says("is no https URL");
    may_ask(&mut site, "https://127.0.0.1:1/token", REQUEST_TOKEN);
    let silent = "GitHub cannot be asked for the signal's token: it cannot be reached";
    site.run().exits(3).says(silent).never_says(REQUEST_TOKEN);
    assert!(
        tunnels
            .all()
            .iter()
            .any(|asked| asked.line.contains(ELSEWHERE))
    );

    // It goes on to the controller; what opens GitHub goes nowhere.
    may_ask(&mut site, &url, REQUEST_TOKEN);
    let sent = site.controller(always(|signal| format!("{OPEN}{}", good(signal))));
    site.run()
        .exits(0)
        .says("GitHub signed it for acme/shop")
        .never_says(REQUEST_TOKEN);
    let asked = sent.all().remove(0);
    assert!(!asked.head.contains(REQUEST_TOKEN) && !asked.body.contains(REQUEST_TOKEN));
    let token = asked.signal()["token"].as_str().unwrap().to_owned();
    assert_eq!(token.split('.').count(), 3);
    let journal = site.journal();
    let proven: Vec<&Value> = journal.iter().map(|line| &line["who"]["proven"]).collect();
    assert_eq!(proven.last().unwrap()["runner"], "self-hosted");
    let kept = serde_json::to_string(&journal).unwrap();
    assert!(!kept.contains(REQUEST_TOKEN) && !kept.contains(&token));
}

/// Where only hosted runners sign, a job of this node is not even asked for.
#[test]
fn a_job_of_this_node_asks_for_none_where_it_may_not() {
    let issuer = Issuer::start();
    let (mut site, _) = site(&issuer, "github-hosted");
    let url = format!("https://{ELSEWHERE}/token?runner=self-hosted");
    may_ask(&mut site, &url, REQUEST_TOKEN);
    site.run().exits(4).never_says("id-token");
    assert!(issuer.asked.all().is_empty());
}
