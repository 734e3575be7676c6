//! The commands of the README and of docs/, for the scenarios that run them.
//! What the pages say is held against the code in tests/docs.rs.

#[allow(
    dead_code,
    unreachable_pub,
    reason = "others include it, too, and need more of it"
)]
#[path = "../docs/markdown.rs"]
mod markdown;

use std::fs;
use std::process::Command;

use testbed::build::{self, Cache};
use testbed::progress::Progress;

use testbed::push::Pusher;

use crate::harness::{asked_of, bed, deploy_binary, root};

/// The commands of the block after `<!-- test: NAME -->`, on whatever page.
pub(crate) fn block(name: &str) -> String {
    let pages = markdown::pages(root());
    let found = pages.iter().find_map(|page| find(page, name));
    found.unwrap_or_else(|| panic!("no page has a block after <!-- test: {name} -->"))
}

/// The same of one page.
pub(crate) fn block_in(page: &str, name: &str) -> String {
    find(page, name).unwrap_or_else(|| panic!("{page} has no block after <!-- test: {name} -->"))
}

fn find(page: &str, name: &str) -> Option<String> {
    let blocks = markdown::blocks(&markdown::read(root(), page));
    let mut blocks = blocks.into_iter();
    let found = blocks.find(|block| block.marked("test") == Some(name))?;
    Some(found.text)
}

/// Language and text of every block of a page.
pub(crate) fn blocks_of(page: &str) -> Vec<(String, String)> {
    let blocks = markdown::blocks(&markdown::read(root(), page)).into_iter();
    blocks.map(|block| (block.language, block.text)).collect()
}

/// What docs/developing.md says of the testbed for one's own things: with what
/// `cargo testbed env` hands over, the example's chart is pushed and deployed.
#[test]
fn your_own_things_in_the_testbed() {
    let pusher = Pusher::new(&bed().info).unwrap();
    let cache = Cache::open().unwrap();
    let example = root().join("examples/shop");
    let built = build::shop(&example, &cache, Progress::stderr()).unwrap();
    for name in ["api", "web", "worker"] {
        let program = fs::read(built.path().join(name).join("bin").join(name)).unwrap();
        let repository = format!("me/shop/{name}");
        pusher
            .program(&repository, "dev", (name, &program), "dev")
            .unwrap();
    }
    let scratch = tempfile::tempdir().unwrap();
    let home = scratch.path().to_str().unwrap();
    let run = |name: &str| {
        let commands = block(name)
            // First: the programs may lie there themselves.
            .replace("/tmp", home)
            .replace("cargo testbed", env!("CARGO_BIN_EXE_testbed"))
            .replace("target/debug/deploy", deploy_binary().to_str().unwrap());
        let output = Command::new("/bin/sh")
            .args(["-euc", &commands])
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", home)
            .env("DEPLOY_TESTBED_CACHE", cache.root())
            .current_dir(root())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{commands}\n{out}{err}");
        out
    };
    run("own-chart");
    let asked = asked_of("me");
    assert!(
        asked
            .iter()
            .any(|asked| asked.user.as_deref() == Some(testbed::ghcr::PUSH_USER)),
        "the login that was handed over is used"
    );
    let told = run("own-deploy");
    for part in ["deployed shop revision 1", "shop-api-", "Running"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}
