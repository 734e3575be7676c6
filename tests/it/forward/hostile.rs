//! A controller that does as a test tells it, good or bad.

use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// What begins an answer whose end is the connection's.
pub const OPEN: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";

/// What begins an answer that says where it ends.
pub const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// A host that only [`proxy`] leads to.
pub const ELSEWHERE: &str = "controller.elsewhere.test";

/// A connection.
pub trait Stream: Read + Write {
    /// No more is written.
    fn finish(&mut self) {}
}

impl Stream for UnixStream {}
impl Stream for TcpStream {}
impl Stream for rustls::StreamOwned<rustls::ServerConnection, TcpStream> {
    fn finish(&mut self) {
        self.conn.send_close_notify();
        let _ = self.flush();
    }
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub line: String,
    pub head: String,
    pub body: String,
}

impl Asked {
    /// The signal in it.
    pub fn signal(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// The requests that came so far.
#[derive(Clone, Default)]
pub struct Requests(Arc<Mutex<Vec<Asked>>>);

impl Requests {
    pub fn all(&self) -> Vec<Asked> {
        self.0.lock().unwrap().clone()
    }

    /// Whether one like this came: "DELETE /v1/deploys/".
    pub fn has(&self, start: &str) -> bool {
        self.all().iter().any(|asked| asked.line.starts_with(start))
    }
}

/// How it answers: the connection is closed when this returns.
pub type Answer = dyn Fn(&mut dyn Stream, &Asked) + Send + Sync;

/// Listens at a socket until the process ends.
pub fn on_socket(path: &Path, answer: Box<Answer>) -> Requests {
    let listener = UnixListener::bind(path).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(0o666)).unwrap();
    let accept = move || listener.accept().map(|(stream, _)| stream);
    serve(accept, answer, |stream| stream)
}

/// Listens on the loopback; says at which port.
pub fn on_loopback(answer: Box<Answer>) -> (u16, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let accept = move || listener.accept().map(|(stream, _)| stream);
    (port, serve(accept, answer, |stream| stream))
}

/// The same with TLS; the last value is the certificate to trust, in PEM.
pub fn on_tls(answer: Box<Answer>) -> (u16, Requests, String) {
    on_tls_as(ELSEWHERE, answer)
}

/// The same, as a host that only [`proxy`] leads to.
pub fn on_tls_as(host: &str, answer: Box<Answer>) -> (u16, Requests, String) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let names = ["127.0.0.1".to_owned(), host.to_owned()];
    let signed = rcgen::generate_simple_self_signed(names).unwrap();
    let key =
        rustls::pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let accept = move || listener.accept().map(|(stream, _)| stream);
    let tls = move |stream| {
        let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        rustls::StreamOwned::new(connection, stream)
    };
    (port, serve(accept, answer, tls), signed.cert.pem())
}

/// A proxy whose tunnels all end at this port of the loopback: where it
/// listens, and what it was asked.
pub fn proxy(to: u16) -> (u16, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let requests = Requests::default();
    let seen = requests.clone();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let seen = seen.clone();
            thread::spawn(move || tunnel(stream, to, &seen));
        }
    });
    (port, requests)
}

fn tunnel(mut near: TcpStream, to: u16, seen: &Requests) -> Option<()> {
    let asked = read(&mut near)?;
    seen.0.lock().unwrap().push(asked);
    near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
    let far = TcpStream::connect(("127.0.0.1", to)).ok()?;
    let (mut from, mut into) = (near.try_clone().ok()?, far.try_clone().ok()?);
    let there = thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut into);
        into.shutdown(std::net::Shutdown::Write)
    });
    let _ = std::io::copy(&mut &far, &mut near);
    let _ = near.shutdown(std::net::Shutdown::Write);
    there.join().ok()?.ok()
}

fn serve<Plain: Send + 'static, S: Stream + 'static>(
    accept: impl Fn() -> std::io::Result<Plain> + Send + 'static,
    answer: Box<Answer>,
    wrap: impl Fn(Plain) -> S + Send + Sync + 'static,
) -> Requests {
    let requests = Requests::default();
    let seen = requests.clone();
    let (answer, wrap) = (Arc::new(answer), Arc::new(wrap));
    thread::spawn(move || {
        while let Ok(stream) = accept() {
            let (answer, seen, wrap) = (Arc::clone(&answer), seen.clone(), Arc::clone(&wrap));
            thread::spawn(move || {
                let mut stream = wrap(stream);
                let Some(asked) = read(&mut stream) else {
                    return;
                };
                seen.0.lock().unwrap().push(asked.clone());
                answer(&mut stream, &asked);
                stream.finish();
            });
        }
    });
    requests
}

fn read(stream: &mut impl Read) -> Option<Asked> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|line| {
            line.to_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        })
        .unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(Asked {
        line: head.lines().next().unwrap().to_owned(),
        body: String::from_utf8(body).unwrap(),
        head,
    })
}

/// The last word on a signal, with its line's end.
pub fn last(signal: &Value, more: &Value) -> String {
    let mut event = serde_json::json!({
        "event": "finished",
        "id": signal["id"],
        "app": signal["app"],
        "chart_version": signal["chart_version"],
    });
    let fields = more.as_object().unwrap().clone();
    event.as_object_mut().unwrap().extend(fields);
    format!("{event}\n")
}

/// A line of progress.
pub fn progress(text: &str) -> String {
    format!(
        "{}\n",
        serde_json::json!({ "event": "progress", "message": text })
    )
}

/// A piece of an answer that says where it ends.
pub fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

/// Writes; false once nobody takes it any more.
pub fn say(stream: &mut dyn Stream, text: &str) -> bool {
    stream
        .write_all(text.as_bytes())
        .and_then(|()| stream.flush())
        .is_ok()
}

/// Answers a question beside the signal's own with a status.
pub fn status(stream: &mut dyn Stream, status: u16) {
    say(
        stream,
        &format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
    );
}

/// Says nothing more until the other side has gone.
pub fn wait_for_the_end(stream: &mut dyn Stream) {
    let mut some = [0; 64];
    while matches!(stream.read(&mut some), Ok(length) if length > 0) {}
}

/// A while that is no while for a test.
pub fn pause() {
    thread::sleep(Duration::from_millis(100));
}
