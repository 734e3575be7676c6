//! A relay between a node and the cluster's apiserver, which breaks off,
//! freezes or comes back when a scenario wants it.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use super::Node;

/// Leads to the cluster's apiserver until it is told otherwise.
pub struct Relay {
    address: SocketAddr,
    target: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    frozen: bool,
    stopped: bool,
    streams: Vec<TcpStream>,
}

impl Relay {
    /// The node's kubeconfig leads through it from now on.
    pub fn before_the_cluster(node: &Node) -> Self {
        let admin = ["config", "view", "--raw", "--output=json"];
        let mut config: serde_json::Value = serde_json::from_str(&node.kubectl(&admin)).unwrap();
        let server = &mut config["clusters"][0]["cluster"]["server"];
        let target = server.as_str().unwrap().trim_start_matches("https://");
        let target = target.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::default();
        let relay = Self {
            address,
            target,
            shared,
        };
        relay.listen(listener);
        *server = format!("https://{address}").into();
        node.home.write(".kube/config", &config.to_string(), 0o600);
        relay
    }

    fn listen(&self, listener: TcpListener) {
        let (target, ours) = (self.target, Arc::clone(&self.shared));
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let (near, far) = (near.unwrap(), TcpStream::connect(target).unwrap());
                let mut state = ours.state.lock().unwrap();
                if state.stopped {
                    return;
                }
                let copy = |stream: &TcpStream| stream.try_clone().unwrap();
                state.streams.extend([copy(&near), copy(&far)]);
                for (from, to) in [(copy(&near), copy(&far)), (far, near)] {
                    let shared = Arc::clone(&ours);
                    std::thread::spawn(move || shared.carry(from, to));
                }
            }
        });
    }

    /// What is sent is taken, and never answered.
    pub fn freeze(&self) {
        self.shared.state.lock().unwrap().frozen = true;
    }

    /// Every connection breaks, and no other is taken.
    pub fn stop(&self) {
        let mut state = self.shared.state.lock().unwrap();
        state.stopped = true;
        for stream in state.streams.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.shared.changed.notify_all();
        drop(state);
        // Wakes the listener, which sees that it shall end.
        let _ = TcpStream::connect(self.address);
    }

    /// After a stop: it leads there again.
    pub fn resume(&self) {
        let bound = || TcpListener::bind(self.address);
        let mut listener = bound();
        super::until("the port is free again", || {
            if listener.is_err() {
                listener = bound();
            }
            listener.is_ok()
        });
        self.shared.state.lock().unwrap().stopped = false;
        self.listen(listener.unwrap());
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn carry(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut bytes = [0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut bytes) {
            let state = self.state.lock().unwrap();
            let thawed = |state: &mut State| state.frozen && !state.stopped;
            drop(self.changed.wait_while(state, thawed).unwrap());
            if to.write_all(&bytes[..length]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    }
}
