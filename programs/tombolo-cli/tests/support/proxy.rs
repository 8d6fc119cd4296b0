//! A way between two nodes that lets so many bytes through and then holds the rest, until it is opened:
//! a test stops a transfer in its middle by bytes, never by time.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// Bytes that are taken at once.
const PIECE_BYTES: usize = 16 * 1024;

/// A proxy before one node; it lives as long as the test.
pub struct Proxy {
    /// Where others reach the node through it.
    pub address: String,
    gate: Arc<Gate>,
}

/// How many bytes may still come from the node.
struct Gate {
    left: Mutex<u64>,
    opened: Condvar,
}

impl Gate {
    /// Waits until so many bytes may pass.
    fn pass(&self, bytes: usize) {
        let left = self.left.lock().unwrap();
        let mut left = self
            .opened
            .wait_while(left, |left| *left < bytes as u64)
            .unwrap();
        *left -= bytes as u64;
    }
}

impl Proxy {
    /// Before the node at `target`; lets `bytes` of what it sends through, over all connections together.
    pub fn start(target: &str, bytes: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let gate = Arc::new(Gate {
            left: Mutex::new(bytes),
            opened: Condvar::new(),
        });
        let (target, held) = (target.to_owned(), Arc::clone(&gate));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // A node that is down is dialled again by whoever wants it.
                if let Ok(node) = TcpStream::connect(&target) {
                    carry(&client, &node, Arc::clone(&held));
                }
            }
        });
        Self { address, gate }
    }

    /// Lets everything through from now on.
    pub fn open(&self) {
        *self.gate.left.lock().unwrap() = u64::MAX;
        self.gate.opened.notify_all();
    }
}

/// Carries both directions, each on a thread, until either ends.
fn carry(client: &TcpStream, node: &TcpStream, gate: Arc<Gate>) {
    let ends = || (client.try_clone().unwrap(), node.try_clone().unwrap());
    let (from, to) = ends();
    thread::spawn(move || pour(from, to, |_| ()));
    let (to, from) = ends();
    thread::spawn(move || pour(from, to, |bytes| gate.pass(bytes)));
}

fn pour(mut from: TcpStream, mut to: TcpStream, pass: impl Fn(usize)) {
    let mut piece = vec![0; PIECE_BYTES];
    while let Ok(read @ 1..) = from.read(&mut piece) {
        pass(read);
        if to.write_all(&piece[..read]).is_err() {
            break;
        }
    }
    // Either end that is gone ends the connection for both.
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
