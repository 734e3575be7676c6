//! A testbed comes up soon, and leaves nothing behind, however it ends.
//!
//! These tests need root, and say so where they have it not.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod host;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use testbed::build::{self, Cache, PacketFilters};
use testbed::client::{self, Info};
use testbed::progress::Progress;
use testbed::supervisor::{Ask, Instance};
use testbed::{Options, Testbed, ghcr, image};

use host::{Host, Processes};

/// One at a time: each compares the host before and after.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    assert!(
        rustix::process::geteuid().is_root(),
        "these tests start a testbed, which needs root: run them with sudo"
    );
    build::all(&cache(), Progress::stderr()).unwrap();
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn cache() -> Cache {
    Cache::open().unwrap()
}

fn filters() -> PacketFilters {
    PacketFilters::get(&cache(), Progress::stderr()).unwrap()
}

/// A testbed of this test's own. It goes a second after its last user.
fn options(name: &str) -> Options {
    Options {
        name: format!("{name}-{}", std::process::id()),
        idle_seconds: 1,
        ..Options::default()
    }
}

fn start(name: &str) -> Testbed {
    Testbed::join_or_start_with(&options(name)).unwrap()
}

/// One for the tests that do not look at its end. It goes after this process.
fn shared() -> &'static Testbed {
    static SHARED: OnceLock<Testbed> = OnceLock::new();
    SHARED.get_or_init(|| start("shared"))
}

fn instance(info: &Info) -> Instance {
    let all = Instance::all(&cache()).unwrap();
    let found = all
        .into_iter()
        .find(|instance| instance.settings.run == info.run);
    found.expect("a testbed that is up is in the list")
}

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL).unwrap();
}

fn kubectl(info: &Info, arguments: &str) -> String {
    kubectl_at(info, &info.kubeconfig, arguments)
}

fn kubectl_at(info: &Info, kubeconfig: &Path, arguments: &str) -> String {
    let output = Command::new(&info.kubectl)
        .args(arguments.split(' '))
        .env("KUBECONFIG", kubeconfig)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "kubectl {arguments}: {}",
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// Makes the node do some work, so that there is something to leave behind: a pod has mounts,
/// cgroups, a network interface and processes.
fn run_a_pod(info: &Info) {
    let fleet = info.fleet.iter().flat_map(|fleet| &fleet.clusters);
    let mut clusters: Vec<&Path> = fleet.map(|cluster| cluster.kubeconfig.as_path()).collect();
    if clusters.is_empty() {
        clusters.push(&info.kubeconfig);
    }
    for work in [
        "create deployment work --image=testbed.invalid/pause:1 --replicas=2",
        "rollout status deployment/work --timeout=60s",
    ] {
        for cluster in &clusters {
            kubectl_at(info, cluster, work);
        }
    }
}

/// Nothing of its own is left of a testbed.
fn assert_gone(instance: &Instance, processes: &Processes) {
    instance.wait_until_gone().unwrap();
    processes.wait_until_gone();
    for path in [instance.settings.run.as_path(), instance.dir()] {
        assert!(!path.exists(), "{} is still there", path.display());
    }
    let cgroups = host::cgroups_of(&instance.settings);
    assert!(cgroups.is_empty(), "still there: {cgroups:?}");
}

/// Runs a testbed, ends it by `end`, and compares the host before and after.
fn leaves_nothing(name: &str, end: impl FnOnce(Testbed, &Processes)) {
    with_options_leaves_nothing(&options(name), end);
}

fn with_options_leaves_nothing(options: &Options, end: impl FnOnce(Testbed, &Processes)) {
    let _alone = alone();
    let before = Host::look(&filters());
    let testbed = Testbed::join_or_start_with(options).unwrap();
    run_a_pod(&testbed.info);
    let info = testbed.info.clone();
    let instance = instance(&info);
    let processes = Processes::of(&info.run);
    assert!(
        processes.len() > 10,
        "a testbed has more processes than {processes:?}"
    );
    assert!(!host::cgroups_of(&instance.settings).is_empty());
    end(testbed, &processes);
    assert_gone(&instance, &processes);
    before.assert_equal(&Host::look(&filters()));
}

/// A comparison that sees no rules would find every two hosts equal.
#[test]
fn a_rule_would_be_seen() {
    let filters = filters();
    for (program, save) in [
        ("iptables-nft", "iptables-nft-save"),
        ("ip6tables-nft", "ip6tables-nft-save"),
    ] {
        let [change, save] = [program, save].map(|program| filters.command(program));
        let mut alone = Command::new("unshare");
        alone.args([
            "--net",
            "sh",
            "-c",
            "\"$1\" -N KUBE-FIREWALL && \"$2\"",
            "sh",
        ]);
        alone.args([change.get_program(), save.get_program()]);
        alone.envs(
            save.get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        let output = alone.output().unwrap();
        let rules = String::from_utf8_lossy(&output.stdout);
        assert!(rules.contains(":KUBE-FIREWALL "), "{output:?}");
    }
}

/// Of three clusters and Argo CD too.
#[test]
fn nothing_is_left_after_down() {
    let options = Options {
        fleet: true,
        ..options("down")
    };
    with_options_leaves_nothing(&options, |testbed, _| {
        testbed.ask(&Ask::Pin).unwrap();
        testbed.ask(&Ask::Down).unwrap();
    });
}

#[test]
fn nothing_is_left_after_a_killed_supervisor() {
    leaves_nothing("supervisor", |testbed, _| kill(testbed.info.supervisor_pid));
}

#[test]
fn nothing_is_left_after_a_killed_janitor() {
    leaves_nothing("janitor", |_, processes| kill(processes.janitor()));
}

#[test]
fn nothing_is_left_after_a_killed_program() {
    leaves_nothing("program", |_, processes| {
        kill(processes.running("containerd"));
    });
}

/// With both dead nobody is left to tidy up; the next one to look at the list does.
#[test]
fn the_next_one_sweeps() {
    leaves_nothing("sweep", |testbed, processes| {
        let instance = instance(&testbed.info);
        kill(processes.janitor());
        kill(testbed.info.supervisor_pid);
        processes.wait_until_gone();
        assert!(!instance.lives());
        testbed::supervisor::sweep(&cache(), Progress::silent()).unwrap();
    });
}

#[test]
fn nothing_is_left_after_a_killed_owner() {
    let _alone = alone();
    let before = Host::look(&filters());
    let options = options("owner");
    let mut owner = owner(&options.name);
    // The owner and this test would start one together; there is only one.
    let testbed = Testbed::join_or_start_with(&options).unwrap();
    let info = testbed.info.clone();
    run_a_pod(&info);
    let instance = instance(&info);
    let processes = Processes::of(&info.run);
    wait_for("the owner holds it", || holders(&testbed) == 2);
    owner.kill().unwrap();
    owner.wait().unwrap();
    wait_for("the owner is gone", || holders(&testbed) == 1);
    drop(testbed);
    assert_gone(&instance, &processes);
    before.assert_equal(&Host::look(&filters()));
}

/// Another process that uses the testbed.
fn owner(name: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_testbed"))
        .args(["up", "--hold", "--idle", "1", "--name", name])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn holders(testbed: &Testbed) -> usize {
    testbed.ask(&Ask::Status).unwrap().holders
}

fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 30 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn ready_within_fifteen_seconds_and_shared() {
    use std::os::unix::fs::PermissionsExt;
    let _alone = alone();
    let begin = Instant::now();
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(|| start("speed"));
        let two = scope.spawn(|| start("speed"));
        (one.join().unwrap(), two.join().unwrap())
    });
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(15), "it took {took:?}");
    assert_eq!(
        one.info.run, two.info.run,
        "two that start at once share one"
    );
    let info = &one.info;
    assert!(kubectl(info, "get nodes").contains(" Ready "));
    assert!(kubectl(info, "version").contains("Server Version: v1.34.4"));
    let listed = client::status(&cache()).unwrap();
    assert!(listed.iter().any(|up| up.info.run == info.run));
    // Keys and the administrator's kubeconfig are root's alone.
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&info.run), 0o700);
    assert_eq!(mode(&info.kubeconfig), 0o600);
    let instance = instance(info);
    drop((one, two));
    instance.wait_until_gone().unwrap();
}

#[test]
fn two_side_by_side() {
    let _alone = alone();
    let before = Host::look(&filters());
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(|| start("one"));
        let two = scope.spawn(|| start("two"));
        (one.join().unwrap(), two.join().unwrap())
    });
    run_a_pod(&one.info);
    run_a_pod(&two.info);
    kubectl(&one.info, "delete deployment work");
    assert!(kubectl(&two.info, "get deployments").contains("2/2"));
    let gone = [&one.info, &two.info].map(|info| (instance(info), Processes::of(&info.run)));
    drop((one, two));
    for (instance, processes) in &gone {
        assert_gone(instance, processes);
    }
    before.assert_equal(&Host::look(&filters()));
}

/// Scenarios need an apiserver that is away, and one that hangs.
#[test]
fn a_program_can_be_away_for_a_while() {
    let _alone = alone();
    let testbed = shared();
    let version = || {
        Command::new(&testbed.info.kubectl)
            .args(["version", "--request-timeout=1s"])
            .env("KUBECONFIG", &testbed.info.kubeconfig)
            .output()
            .unwrap()
            .status
            .success()
    };
    let name = "kube-apiserver".to_owned();
    for (away, back) in [
        (Ask::Stop(name.clone()), Ask::Start(name.clone())),
        (Ask::Freeze(name.clone()), Ask::Thaw(name.clone())),
    ] {
        testbed.ask(&away).unwrap();
        assert!(!version(), "it answers after {away:?}");
        testbed.ask(&back).unwrap();
        wait_for("the apiserver is back", version);
    }
    let refused = testbed.ask(&Ask::Stop("nginx".to_owned())).unwrap_err();
    assert!(
        refused.to_string().contains("there are containerd, "),
        "{refused}"
    );
}

/// An image goes through the front to the registry, and from there, by the proxy that containerd
/// was given, to the node.
#[test]
fn runs_what_was_pushed() {
    let _alone = alone();
    let info = &shared().info;
    let ca = std::fs::read_to_string(&info.ca).unwrap();
    let client = ghcr::Client::new(&info.proxy, &ca).unwrap();
    let base = image::Base::new(info.app.clone());
    let spec = image::Spec::default();
    let push = image::push(&client, &base, "acme/shop/api", "1", &spec);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let digest = runtime.block_on(push).unwrap();
    kubectl(
        info,
        &format!("create deployment api --image=ghcr.io/acme/shop/api@{digest}"),
    );
    kubectl(info, "rollout status deployment/api --timeout=60s");
    assert!(kubectl(info, "logs deployment/api").starts_with("app 1 starts"));
    let said = kubectl(info, "exec deployment/api -- /app once");
    assert!(said.contains("app 1 is done"), "{said}");
}
