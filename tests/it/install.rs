//! install.sh, run as root would: in a scratch root, under the system's `sh`.
//!
//! It writes to two names below the scratch folder and reads nothing outside.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A user that owns the runner's home and nothing else.
const RUNNER: u32 = 64_001;

/// A node: `usr/local`, and the runner's home below `home`.
struct Node {
    root: TempDir,
}

impl Node {
    fn new() -> Self {
        let node = Self {
            root: tempfile::tempdir().expect("a scratch folder"),
        };
        fs::create_dir_all(node.home()).expect("the runner's home");
        chown(node.home(), Some(RUNNER), Some(RUNNER))
            .expect("these tests are about root and run as root");
        node
    }

    fn home(&self) -> PathBuf {
        self.root.path().join("home/github-runner")
    }

    fn script(&self) -> PathBuf {
        self.home().join("deploy.sh")
    }

    fn prefix(&self) -> PathBuf {
        self.root.path().join("usr/local")
    }

    fn binary(&self) -> PathBuf {
        self.prefix().join("bin/deploy")
    }

    /// A file outside of what is installed, to install from.
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.root.path().join(name);
        fs::write(&path, text).expect("a file");
        path
    }

    /// Another release of `deploy`, as far as install.sh looks at it.
    fn release(&self, version: &str) -> PathBuf {
        self.file(
            &format!("deploy-{version}"),
            &format!("#!/bin/sh\necho deploy {version}\n"),
        )
    }

    fn install(&self, from: &Path) -> Output {
        self.install_to(from, &self.script())
    }

    fn install_to(&self, from: &Path, link: &Path) -> Output {
        let arguments = arguments(from, &self.prefix(), link);
        run(
            Command::new("sh").arg(root().join("install.sh")),
            &arguments,
        )
    }

    /// Every path below the scratch folder, with what is there.
    fn listing(&self) -> Vec<String> {
        let mut paths = Vec::new();
        list(self.root.path(), &mut paths);
        paths.sort();
        paths
            .iter()
            .map(|path| {
                let here = path.strip_prefix(self.root.path()).expect("below");
                match fs::read_link(path) {
                    Ok(target) => format!("{} -> {}", here.display(), target.display()),
                    Err(_) => format!("{} {:?}", here.display(), fs::read(path).ok()),
                }
            })
            .collect()
    }
}

fn list(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let real = !path.is_symlink() && path.is_dir();
        paths.push(path.clone());
        if real {
            list(&path, paths);
        }
    }
}

fn arguments(from: &Path, prefix: &Path, link: &Path) -> Vec<String> {
    [("--from", from), ("--prefix", prefix), ("--link", link)]
        .into_iter()
        .flat_map(|(flag, path)| [flag.to_owned(), path.display().to_string()])
        .collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn run(command: &mut Command, arguments: &[String]) -> Output {
    command
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("a shell")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[track_caller]
fn done(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", said(output));
}

#[track_caller]
fn refused(output: &Output, code: i32, why: &str) {
    assert_eq!(output.status.code(), Some(code), "{}", said(output));
    assert!(said(output).contains(why), "{}", said(output));
}

#[test]
fn a_fresh_node_gets_the_binary_and_the_symlink() {
    let node = Node::new();
    let from = Path::new(env!("CARGO_BIN_EXE_deploy"));
    let output = node.install(from);
    done(&output);
    assert!(fs::read(node.binary()).expect("the binary") == fs::read(from).expect("ours"));
    let mode = fs::metadata(node.binary())
        .expect("the binary")
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o755);
    assert_eq!(
        fs::read_link(node.script()).expect("a symlink"),
        node.binary()
    );
    let version = run(&mut Command::new(node.script()), &["--version".to_owned()]);
    done(&version);
    assert!(
        said(&output).contains(said(&version).trim()),
        "{}",
        said(&output)
    );
}

#[test]
fn installing_again_changes_nothing_and_an_upgrade_the_binary_alone() {
    let node = Node::new();
    let old = node.release("1.0.0");
    done(&node.install(&old));
    let before = node.listing();
    done(&node.install(&old));
    assert_eq!(node.listing(), before);
    done(&node.install(&node.release("2.0.0")));
    let version = run(&mut Command::new(node.script()), &["--version".to_owned()]);
    assert_eq!(said(&version), "deploy 2.0.0\n");
    assert_eq!(
        node.listing().len(),
        before.len() + 1,
        "only the release's own file is new"
    );
}

#[test]
fn what_was_there_before_is_kept() {
    let node = Node::new();
    let from = node.release("1.0.0");
    fs::write(node.script(), "the old script").expect("a file");
    let output = node.install(&from);
    done(&output);
    let kept = node.home().join("deploy.sh.before");
    assert!(
        said(&output).contains(&kept.display().to_string()),
        "{}",
        said(&output)
    );
    assert_eq!(fs::read_to_string(&kept).expect("kept"), "the old script");

    // Someone puts a symlink of theirs back: that is kept too, the first stays.
    fs::remove_file(node.script()).expect("ours");
    symlink("/opt/old/deploy.sh", node.script()).expect("a symlink");
    done(&node.install(&from));
    assert_eq!(fs::read_to_string(&kept).expect("kept"), "the old script");
    let second = fs::read_link(node.home().join("deploy.sh.before.2")).expect("a symlink");
    assert_eq!(second, Path::new("/opt/old/deploy.sh"));
    assert_eq!(
        fs::read_link(node.script()).expect("a symlink"),
        node.binary()
    );
}

#[test]
fn what_does_not_run_as_deploy_is_not_installed() {
    let node = Node::new();
    done(&node.install(&node.release("1.0.0")));
    let text = node.file("notes.txt", "not a program");
    let other = node.file("other", "#!/bin/sh\necho other 1.0.0\n");
    let failing = node.file("failing", "#!/bin/sh\necho deploy 1.0.0\nexit 1\n");
    let before = node.listing();
    for from in [text, other, failing] {
        refused(&node.install(&from), 1, "does not run here as deploy");
    }
    refused(
        &node.install(&node.root.path().join("nothing")),
        1,
        "there is no file",
    );
    assert_eq!(node.listing(), before);
}

#[test]
fn nothing_is_installed_where_the_link_has_no_place() {
    let node = Node::new();
    let from = node.release("1.0.0");
    fs::create_dir(node.home().join("folder")).expect("a folder");
    let before = node.listing();
    let missing = node.root.path().join("home/nobody/deploy.sh");
    refused(
        &node.install_to(&from, &missing),
        1,
        "there is no directory",
    );
    assert_eq!(node.listing(), before);
    refused(
        &node.install_to(&from, &node.home().join("folder")),
        1,
        "is a directory",
    );
    refused(
        &node.install_to(&from, &node.home().join("folder/")),
        2,
        "--link",
    );
}

#[test]
fn no_symlink_in_the_runners_home_is_followed() {
    let node = Node::new();
    let from = node.release("1.0.0");
    let outside = node.root.path().join("etc");
    fs::create_dir(&outside).expect("a folder");
    // On the way to the link.
    symlink(&outside, node.home().join("way")).expect("a symlink");
    let output = node.install_to(&from, &node.home().join("way/deploy.sh"));
    refused(&output, 1, "is a symlink");
    // At every name that install.sh uses, leading to a folder of root's.
    for name in ["deploy.sh", "deploy.sh.before"] {
        symlink(&outside, node.home().join(name)).expect("a symlink");
    }
    done(&node.install(&from));
    assert_eq!(
        fs::read_link(node.script()).expect("a symlink"),
        node.binary()
    );
    let kept = fs::read_link(node.home().join("deploy.sh.before.2")).expect("a symlink");
    assert_eq!(kept, outside);
    assert_eq!(fs::read_dir(&outside).expect("a folder").count(), 0);
    // A binary that the runner could replace is no installation.
    let bin = node.home().join("bin");
    fs::create_dir(&bin).expect("a folder");
    chown(&bin, Some(RUNNER), Some(RUNNER)).expect("root");
    let arguments = arguments(&from, &node.home(), &node.script());
    let output = run(
        Command::new("sh").arg(root().join("install.sh")),
        &arguments,
    );
    refused(&output, 1, "is not root's");
    assert_eq!(fs::metadata(&bin).expect("a folder").uid(), RUNNER);
    assert_eq!(fs::read_dir(&bin).expect("a folder").count(), 0);
}

#[test]
fn a_cut_download_does_nothing() {
    let node = Node::new();
    let script = fs::read_to_string(root().join("install.sh")).expect("install.sh");
    let cut = node.file("cut.sh", "");
    let arguments = arguments(&node.release("1.0.0"), &node.prefix(), &node.script());
    let lines: Vec<&str> = script.split_inclusive('\n').collect();
    for count in 0..lines.len() {
        fs::write(&cut, lines[..count].concat()).expect("a file");
        run(Command::new("sh").arg(&cut), &arguments);
        assert!(
            !node.binary().exists() && !node.script().exists(),
            "after {count} lines"
        );
    }
}

#[test]
fn a_wrong_command_line_is_told() {
    let script = root().join("install.sh");
    for (arguments, why) in [
        (&[][..], "--from FILE is needed"),
        (&["--from"], "--from needs a value"),
        (&["--from", ""], "--from needs a value"),
        (&["--form", "x"], "unknown argument '--form'"),
        (&["x"], "unknown argument 'x'"),
    ] {
        let arguments: Vec<String> = arguments.iter().map(|&text| text.to_owned()).collect();
        let output = run(Command::new("sh").arg(&script), &arguments);
        refused(&output, 2, why);
        assert!(output.stdout.is_empty());
    }
    let help = run(Command::new("sh").arg(&script), &["--help".to_owned()]);
    done(&help);
    assert!(help.stderr.is_empty() && said(&help).starts_with("Usage:"));
}
