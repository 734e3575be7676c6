//! What forwarding, receiving and a token cost beside a direct deploy: upgrades that change
//! nothing, so that no pod's start is in the figure.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, anyhow, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::json;

use super::{Figure, beyond, pairs, time};
use testbed::chart::Shop;
use testbed::client::Info;
use testbed::image::Spec;
use testbed::push::Pusher;
use testbed::site::Site;

const OWNER: &str = "bench-receive";
const VERSION: &str = "1.0.0";
const TAGS: [&str; 2] = ["a", "a"];
const ISSUER: &str = "https://issuer.invalid";

/// The most that it may cost, in milliseconds.
const BAR: f64 = 50.0;

/// A key of the tests' own issuer: it opens nothing.
const KEY: &[u8] = include_bytes!("../../../../tests/data/issuer.pk8");
const MODULUS: &str = include_str!("../../../../tests/data/issuer.modulus");

/// The figure of so many pairs.
pub fn received(info: &Info, deploy: &Path, rounds: usize) -> Result<Vec<Figure>> {
    let pusher = Pusher::new(info)?;
    pusher.chart(OWNER, &Shop::new("shop", VERSION).grace(1).chart())?;
    for key in ["api", "web"] {
        pusher.image(&format!("{OWNER}/shop/{key}"), TAGS[0], &Spec::default())?;
    }
    let id = std::process::id();
    let (direct, through) = (format!("direct-{id}"), format!("received-{id}"));
    let namespaces = vec![direct.clone(), through.clone()];
    let site = Site::new(info, &info.helm4, deploy, "", namespaces)?;
    let receiver = Receiver::start(&site)?;
    let audience = receiver.audience(&through)?;
    let signal = |round: usize| {
        let mut signal = site.signal(&through, OWNER, VERSION, TAGS);
        signal
            .env("DEPLOY_CONFIG", site.path("client.toml"))
            .env("DEPLOY_STATE_DIR", site.path("client-state"))
            .env("DEPLOY_TOKEN", token(&audience, round)?);
        time(&mut signal, 0)
    };
    let plain = |_: usize| time(&mut site.signal(&direct, OWNER, VERSION, TAGS), 0);
    // The first are installs.
    signal(rounds)?;
    plain(rounds)?;
    let pairs = pairs(rounds, signal, plain)?;
    let what = "an unchanged upgrade by forward, receive and a token";
    Ok(vec![beyond(what, "a direct deploy", &pairs, BAR)])
}

/// A receiver that runs.
struct Receiver<'a> {
    site: &'a Site<'a>,
    process: Child,
}

impl<'a> Receiver<'a> {
    fn start(site: &'a Site<'a>) -> Result<Self> {
        let socket = site.path("deploy.sock");
        let callers = format!(
            "callers = [{{ repository_id = \"74\" }}]\ntoken_issuer = {ISSUER:?}\n[receive]\n"
        );
        let settings = fs::read_to_string(site.path("deploy.toml"))? + &callers;
        fs::write(site.path("receive.toml"), settings)?;
        let forward = format!("unix:{}", socket.display());
        let client = format!("[defaults]\nforward = {forward:?}\ntimeout = \"40m\"\n");
        fs::write(site.path("client.toml"), client)?;
        // The issuer's keys are kept, as they are from the first token of a day on.
        let kept = json!({
            "issuer": ISSUER, "asked": now()?,
            "keys": [{ "kid": "k1", "kty": "RSA", "n": MODULUS, "e": "AQAB" }],
        });
        fs::create_dir_all(site.path("receiver-state/tokens"))?;
        fs::write(
            site.path("receiver-state/tokens/keys.json"),
            kept.to_string(),
        )?;
        let mut command = site.command(&site.path("deploy.sh"));
        command
            .arg("receive")
            .arg("--config")
            .arg(site.path("receive.toml"))
            .arg("--listen")
            .arg(&forward)
            .env_remove("DEPLOY_CONFIG")
            .env("DEPLOY_STATE_DIR", site.path("receiver-state"));
        let process = command.stdin(Stdio::null()).spawn()?;
        let receiver = Self { site, process };
        let deadline = Instant::now() + Duration::from_secs(10);
        while UnixStream::connect(&socket).is_err() {
            ensure!(Instant::now() < deadline, "the receiver does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(receiver)
    }

    /// What a token for the signal has to be for.
    fn audience(&self, app: &str) -> Result<String> {
        let signal = self.site.signal(app, OWNER, VERSION, TAGS);
        let mut command: Command = self.site.command(&self.site.path("deploy.sh"));
        let output = command.arg("audience").args(signal.get_args()).output()?;
        ensure!(
            output.status.success(),
            "deploy audience: {}",
            output.status
        );
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}

impl Drop for Receiver<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn now() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

/// A token for this audience, another one each round.
fn token(audience: &str, round: usize) -> Result<String> {
    let now = now()?;
    let claims = json!({
        "iss": ISSUER, "aud": audience, "jti": format!("round-{round}"), "iat": now,
        "nbf": now, "exp": now + 300, "repository": "acme/shop", "repository_id": "74",
        "repository_visibility": "private", "ref": "refs/heads/main", "sha": "8f3c2d1",
        "event_name": "push", "actor": "mona", "run_id": "1", "workflow_ref": "w@r",
        "runner_environment": "github-hosted",
    });
    let head = json!({ "alg": "RS256", "kid": "k1" });
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(&head), part(&claims));
    let key = RsaKeyPair::from_pkcs8(KEY).map_err(|error| anyhow!("the key: {error}"))?;
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        text.as_bytes(),
        &mut signature,
    )
    .map_err(|_| anyhow!("no token can be signed"))?;
    Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
}
