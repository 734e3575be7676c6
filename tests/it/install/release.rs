//! Releases that are got from a server: whole, cut, changed, and with a
//! provenance that does not hold.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;

use super::machine::{Machine, PROGRAMS, Shell, release};
use super::{BINARY, installed};

/// A directory of files, served on the loopback.
pub(crate) struct Server {
    pub(crate) url: String,
}

/// A file as it is served: its name, its bytes, and how many at its end are not sent.
type File = (String, Vec<u8>, usize);

impl Server {
    /// Serves them for as long as this process lives.
    pub(crate) fn of(files: Vec<File>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let files = Arc::new(files);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let files = Arc::clone(&files);
                std::thread::spawn(move || answer(&stream.unwrap(), &files));
            }
        });
        Self { url }
    }
}

fn answer(mut stream: &TcpStream, files: &[File]) {
    let mut lines = BufReader::new(stream).lines();
    let Some(Ok(asked)) = lines.next() else {
        return;
    };
    // The rest of the question, up to its empty line.
    while lines
        .next()
        .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
    {}
    let name = asked
        .split_whitespace()
        .nth(1)
        .unwrap()
        .trim_start_matches("/v1/");
    let found = files.iter().find(|(file, _, _)| file == name);
    // A client that goes away has seen enough.
    let _ = match found {
        None => stream
            .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        Some((_, bytes, cut)) => stream
            .write_all(
                format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    bytes.len()
                )
                .as_bytes(),
            )
            .and_then(|()| stream.write_all(&bytes[..bytes.len() - *cut])),
    };
}

/// The files of release 2.0.0 that holds this program.
fn files(program: &[u8]) -> Vec<File> {
    files_of("2.0.0", program)
}

/// The files of a release that holds this program.
pub(crate) fn files_of(version: &str, program: &[u8]) -> Vec<File> {
    let name = || {
        let machine = std::env::consts::ARCH;
        format!("deploy-{version}-{machine}-unknown-linux-musl.tar.gz")
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deploy");
    std::fs::write(&file, program).unwrap();
    let archive = folder.path().join(name());
    let packed = Command::new("tar")
        .arg("-czf")
        .arg(&archive)
        .arg("-C")
        .arg(folder.path())
        .arg("deploy")
        .status();
    assert!(packed.unwrap().success());
    let sums = Command::new("sha256sum")
        .arg(name())
        .current_dir(folder.path())
        .output()
        .unwrap();
    let other = format!(
        "{}  deploy-2.0.0-sparc-unknown-linux-musl.tar.gz\n",
        "0".repeat(64)
    );
    let whole = |name: String, bytes: Vec<u8>| (name, bytes, 0);
    vec![
        whole(name(), std::fs::read(&archive).unwrap()),
        whole(
            "SHA256SUMS".to_owned(),
            [other.into_bytes(), sums.stdout].concat(),
        ),
        whole(format!("{}.sigstore.json", name()), b"{}".to_vec()),
    ]
}

fn good() -> Vec<File> {
    files(release("2.0.0").as_bytes())
}

/// A release is got, checked and installed.
#[test]
fn a_release() {
    let machine = Machine::new(Shell::Dash);
    let server = Server::of(good());
    let from = ["--base-url", &server.url];
    let told = machine.install(&from);
    told.exits(0)
        .says("its checksum is right")
        .says("gh is not here");
    assert_eq!(installed(&machine), "deploy 2.0.0");
    let named = [&from[..], &["--release", "v2.0.0"]].concat();
    machine.install(&named).exits(0);
}

/// Whatever is wrong with it, nothing is installed and the reason is told.
#[test]
fn releases_that_are_no_good() {
    let machine = Machine::new(Shell::Dash);
    let (archive, sums) = (0, 1);
    let changed = |at: usize, change: &dyn Fn(&mut File)| {
        let mut files = good();
        change(&mut files[at]);
        files
    };
    let leads_elsewhere = |file: &mut File| {
        let text = String::from_utf8_lossy(&file.1);
        file.1 = text
            .replace("deploy-2.0.0-x86", "../deploy-2.0.0-x86")
            .into();
    };
    let before = machine.listing();
    for (files, why) in [
        (Vec::new(), "SHA256SUMS"),
        (changed(archive, &|file| file.2 = 1), "cannot get"),
        (
            changed(archive, &|file| "other".clone_into(&mut file.0)),
            "cannot get",
        ),
        (
            changed(archive, &|file| *file.1.last_mut().unwrap() ^= 1),
            "is not whole: its SHA-256 is",
        ),
        (
            changed(sums, &|file| file.1.truncate(90)),
            "does not name one archive",
        ),
        (
            changed(sums, &|file| file.1 = file.1.repeat(2)),
            "does not name one archive",
        ),
        (changed(sums, &leads_elsewhere), "does not name one archive"),
        (changed(sums, &|file| file.2 = 10), "cannot get"),
        (
            files(b"#!/bin/sh\necho other\n"),
            "does not run here as deploy",
        ),
        // An older one under the new one's name.
        (files(release("1.0.0").as_bytes()), "holds deploy 1.0.0"),
    ] {
        let server = Server::of(files);
        machine
            .install(&["--base-url", &server.url])
            .exits(1)
            .says(why);
        assert_eq!(machine.listing(), before, "{why}");
    }
    let server = Server::of(good());
    machine
        .install(&["--base-url", &server.url, "--release", "v3.0.0"])
        .exits(1)
        .says("which is not of v3.0.0");
    for url in [
        "http://example.org/v1",
        "ftp://127.0.0.1/",
        "http://127.0.0.1:80@example.org/",
    ] {
        machine.install(&["--base-url", url]).exits(1);
        assert_eq!(machine.listing(), before, "{url}");
    }
}

/// wget follows https to http, and busybox's takes any certificate for good.
#[test]
fn only_curl_is_asked() {
    let machine = Machine::new(Shell::Busybox);
    let server = Server::of(good());
    machine
        .install(&["--base-url", &server.url])
        .exits(1)
        .says("there is no curl");
}

/// Where `gh` is there, the provenance must hold: of the release workflow, run
/// for the tag that the archive is named after.
#[test]
fn provenance() {
    let machine = Machine::new(Shell::Dash);
    let server = Server::of(good());
    let install = |extra: &[&str]| machine.install(&[&["--base-url", &server.url], extra].concat());
    let gh = |version: &str, script: &str| {
        let text =
            format!("#!/bin/sh\n[ $1 != --version ] || {{ echo '{version}'; exit; }}\n{script}\n");
        machine.program(&format!("{PROGRAMS}/gh"), &text);
    };
    let repository = ["--repository", "acme/deploy"];
    let new = "gh version 2.56.0 (2024-09-09)";
    let before = machine.listing();
    for version in [new, "gh version 3.0.1 (2027-01-01)", "another"] {
        gh(
            version,
            "echo \"$@\"; echo 'no attestation matches'; exit 1",
        );
        install(&repository)
            .exits(1)
            .says("is not what its provenance says")
            .says("no attestation matches")
            .says("attestation verify")
            .says("--repo acme/deploy")
            .says("--cert-identity https://github.com/acme/deploy/.github/workflows/release.yml@refs/tags/v2.0.0")
            .says("do not install it");
    }
    install(&[])
        .exits(1)
        .says("name the repository that built it");
    assert_eq!(machine.listing(), before);
    let mut files = good();
    files.pop();
    let bare = Server::of(files);
    gh(new, "exit 0");
    machine
        .install(&["--base-url", &bare.url, "--repository", "acme/deploy"])
        .exits(1)
        .says("without it nobody knows who built this");
    assert_eq!(machine.listing(), before);
    install(&repository)
        .exits(0)
        .says("its provenance is right: built by acme/deploy for v2.0.0");
    assert!(machine.read(BINARY).is_some());
}

/// One that cannot check is no word on who built it.
#[test]
fn a_gh_that_is_too_old() {
    let machine = Machine::new(Shell::Dash);
    let server = Server::of(good());
    for version in ["2.23.0", "2.45.0", "1.99.9"] {
        let text = format!(
            "#!/bin/sh\n[ $1 != --version ] || {{ echo 'gh version {version} (2024-01-01)'; exit; }}\nexit 1\n"
        );
        machine.program(&format!("{PROGRAMS}/gh"), &text);
        let args = ["--base-url", &server.url, "--repository", "acme/deploy"];
        machine
            .install(&args)
            .exits(0)
            .says("gh is older than 2.56 and cannot check");
    }
}
