//! Releases that are got from a server: whole, cut, changed, and with a
//! provenance that does not hold.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;

use super::machine::{Machine, PROGRAMS, Shell, in_both_shells, release};
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

fn name() -> String {
    format!(
        "deploy-2.0.0-{}-unknown-linux-musl.tar.gz",
        std::env::consts::ARCH
    )
}

/// The files of a release that holds this program.
pub(crate) fn files(program: &[u8]) -> Vec<File> {
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

in_both_shells! {
    /// A release is got, checked and installed.
    fn a_release(machine) {
        let server = Server::of(good());
        machine.install(&["--base-url", &server.url]).exits(0).says("its checksum is right").says("gh is not here");
        assert_eq!(installed(machine), "deploy 2.0.0");
    }
}

in_both_shells! {
    /// Whatever is wrong with it, nothing is installed and the reason is told.
    fn releases_that_are_no_good(machine) {
        let (archive, sums) = (0, 1);
        let changed = |at: usize, change: &dyn Fn(&mut File)| {
            let mut files = good();
            change(&mut files[at]);
            files
        };
        let before = machine.listing();
        for (files, why) in [
            (Vec::new(), "SHA256SUMS"),
            (changed(archive, &|file| file.2 = 1), "cannot get"),
            (changed(archive, &|file| "other".clone_into(&mut file.0)), "cannot get"),
            (changed(archive, &|file| *file.1.last_mut().unwrap() ^= 1), "is not whole: its SHA-256 is"),
            (changed(sums, &|file| file.1.truncate(90)), "does not name one archive"),
            (changed(sums, &|file| file.1 = file.1.repeat(2)), "does not name one archive"),
            (changed(sums, &|file| file.1 = String::from_utf8_lossy(&file.1).replace("deploy-2.0.0-x86", "../deploy-2.0.0-x86").into()), "does not name one archive"),
            (changed(sums, &|file| file.2 = 10), "cannot get"),
            (files(b"#!/bin/sh\necho other\n"), "does not run here as deploy"),
        ] {
            let server = Server::of(files);
            machine.install(&["--base-url", &server.url]).exits(1).says(why);
            assert_eq!(machine.listing(), before, "{why}");
        }
        for url in ["http://example.org/v1", "ftp://127.0.0.1/", "http://127.0.0.1:80@example.org/"] {
            machine.install(&["--base-url", url]).exits(1);
            assert_eq!(machine.listing(), before, "{url}");
        }
    }
}

/// busybox's wget takes any certificate for good, so it is not asked.
#[test]
fn no_way_to_check_certificates() {
    let machine = Machine::new(Shell::Busybox);
    machine
        .install(&["--base-url", "https://127.0.0.1:1"])
        .exits(1)
        .says("neither curl nor GNU wget");
}

in_both_shells! {
    /// Where `gh` is there, the provenance must hold.
    fn provenance(machine) {
        let server = Server::of(good());
        let install = |extra: &[&str]| machine.install(&[&["--base-url", &server.url], extra].concat());
        let gh = |script: &str| machine.program(&format!("{PROGRAMS}/gh"), &format!("#!/bin/sh\n{script}\n"));
        let repository = ["--repository", "acme/deploy"];
        gh("echo \"$@\"; echo 'no attestation matches'; exit 1");
        let before = machine.listing();
        install(&[]).exits(1).says("name the repository that built it");
        install(&repository).exits(1).says("is not what its provenance says").says("no attestation matches")
            .says("attestation verify").says("--repo acme/deploy").says("do not install it");
        assert_eq!(machine.listing(), before);
        let mut files = good();
        files.pop();
        let bare = Server::of(files);
        gh("exit 0");
        machine.install(&["--base-url", &bare.url, "--repository", "acme/deploy"]).exits(1).says("without it nobody knows who built this");
        assert_eq!(machine.listing(), before);
        install(&repository).exits(0).says("its provenance is right: built by acme/deploy");
        assert!(machine.read(BINARY).is_some());
    }
}
