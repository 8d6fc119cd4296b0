//! Nodes of a mesh as real processes on loopback, and the questions that tests ask them.
//! Nothing here waits for a fixed time: a condition is looked at again and again, so many times at most.

#![allow(clippy::panic, reason = "a test fails by panicking")]

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tombolo::SharedKey;

use super::talk;

/// Looks at a condition before it is given up.
const LOOKS_MAX: u32 = 3000;
/// What a node gets of the processor between two looks.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// Returns as soon as `holds`; fails with `explain` if that never comes.
pub fn until(mut holds: impl FnMut() -> bool, explain: impl FnOnce() -> String) {
    for _ in 0..LOOKS_MAX {
        if holds() {
            return;
        }
        // HTTP has no way to wait for a change, so it is asked again.
        std::thread::park_timeout(LOOK_PAUSE);
    }
    panic!("this never came: {}", explain());
}

/// How a node of a mesh is described.
#[derive(Clone)]
pub struct Plan {
    pub name: &'static str,
    /// The section `database.auth`, and sections of its own.
    pub auth: String,
    pub sections: String,
    /// Where it listens for peers; port 0 takes a free one.
    pub listen: String,
    pub servers: Vec<String>,
    /// The list `known_ws_servers`.
    pub ws_servers: String,
    pub subscriptions: Vec<&'static str>,
}

impl Plan {
    pub fn new(name: &'static str, key: &SharedKey) -> Self {
        Self {
            name,
            auth: format!(
                "auth: {{ small_peer_only: {{ key_b64: \"{}\" }} }}",
                *key.to_base64()
            ),
            sections: String::new(),
            listen: format!("{}:0", own_address()),
            servers: Vec::new(),
            ws_servers: "[]".to_owned(),
            subscriptions: vec!["SELECT * FROM cars", "SELECT * FROM stock"],
        }
    }

    /// One that joins otherwise than by a shared key: `auth` is a line of the
    /// section `database`, or empty.
    pub fn joining(name: &'static str, auth: String, sections: String) -> Self {
        Self {
            name,
            auth,
            sections,
            listen: format!("{}:0", own_address()),
            servers: Vec::new(),
            ws_servers: "[]".to_owned(),
            subscriptions: vec!["SELECT * FROM cars", "SELECT * FROM stock"],
        }
    }

    pub fn dialling(mut self, servers: &[&Peer]) -> Self {
        self.servers = servers.iter().map(|peer| peer.address.clone()).collect();
        self
    }

    /// Its configuration.
    pub fn yaml(&self) -> String {
        let Self {
            name,
            auth,
            sections,
            listen,
            servers,
            ws_servers,
            subscriptions,
        } = self;
        let (ip, port) = listen.rsplit_once(':').unwrap();
        format!(
            "database:\n  db_id: mesh-test\n  device_name: {name}\n  persistence_dir: {{ path: data }}\n  \
             {auth}\n  subscriptions: {subscriptions:?}\n  \
             transport_config:\n    connect_config: {{ known_tcp_servers: {servers:?}, known_ws_servers: {ws_servers}, retry_interval_msec: 50 }}\n    \
             listen_config: {{ tcp_listen: {{ enable: true, ip: \"{ip}\", port: {port} }} }}\n\
             http_server: {{ listen_addr: \"127.0.0.1:0\", tls_config: dev_mode, http_api: true }}\n\
             auth: dev_mode\nlogging: {{ ditto_sdk: info, edge_server: {{ level: info }} }}\n{sections}"
        )
    }
}

/// A loopback address that no other test program uses, so that a node which comes back finds its port free:
/// on 127.0.0.1 any outgoing connection may have taken it meanwhile.
fn own_address() -> Ipv4Addr {
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 | (high & 63), middle, low.clamp(1, 254))
}

/// A running node of a mesh; killed when dropped.
pub struct Peer {
    plan: Plan,
    /// Where its peers reach it.
    pub address: String,
    http: String,
    child: Child,
    home: TempDir,
}

impl Peer {
    pub fn start(plan: Plan) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), plan)
    }

    /// One that reaches no peer, because it is not let in.
    pub fn start_unjoined(plan: Plan) -> Self {
        Self::launch(tempfile::tempdir().unwrap(), plan)
    }

    /// Starts in a directory that may have the data of another life.
    pub fn start_in(home: TempDir, plan: Plan) -> Self {
        let mut peer = Self::launch(home, plan);
        peer.address = peer.said_after("mesh: listening for peers on ");
        peer.plan.listen.clone_from(&peer.address);
        peer
    }

    fn launch(home: TempDir, plan: Plan) -> Self {
        let config = home.path().join("config.yaml");
        std::fs::write(&config, plan.yaml()).unwrap();
        // A file, because nobody reads a pipe while a test looks elsewhere.
        let log = std::fs::File::create(home.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_tombolo"))
            .args(["run", "-c"])
            .arg(&config)
            .env("NO_COLOR", "1")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut peer = Self {
            plan,
            address: String::new(),
            http: String::new(),
            child,
            home,
        };
        peer.http = peer.said_after("listening on http://");
        peer
    }

    /// The rest of the first line of its log that starts with `text`.
    fn said_after(&mut self, text: &str) -> String {
        let mut found = None;
        let (path, child) = (self.log_path(), &mut self.child);
        let mut log = String::new();
        until(
            || {
                log = std::fs::read_to_string(&path).unwrap();
                let mut lines = log.split_inclusive('\n');
                let line = lines.find(|line| line.starts_with(text) && line.ends_with('\n'));
                found = line.map(|line| line[text.len()..].trim_end().to_owned());
                found.is_some() || child.try_wait().unwrap().is_some()
            },
            || text.to_owned(),
        );
        found.unwrap_or_else(|| panic!("it ended:\n{log}"))
    }

    fn log_path(&self) -> PathBuf {
        self.home.path().join("log")
    }

    /// Where it answers HTTP.
    pub fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap()
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Waits for a line of its log that has all of `parts`.
    pub fn wait_for_log(&self, parts: &[&str]) {
        let has_all = |line: &str| parts.iter().all(|part| line.contains(part));
        until(
            || self.log().lines().any(has_all),
            || {
                format!(
                    "{parts:?} in the log of {}:\n{}",
                    self.plan.name,
                    self.log()
                )
            },
        );
    }

    /// Runs a statement and gives its items as text.
    pub fn run(&self, statement: &str) -> String {
        let body = format!("{{\"statement\":{statement:?}}}");
        let length = body.len();
        let answer = self.ask(&format!(
            "POST /execute HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        ));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{statement}: {answer}");
        let items = answer.split_once("\"items\":").unwrap().1;
        let items = items.split_once(",\"mutatedDocumentIds\":").unwrap().0;
        items.to_owned()
    }

    /// Waits until a write here is later than everything that `other` has written: stamps of one millisecond
    /// are ordered by who wrote them.
    pub fn pass(&self, other: &Self) {
        const CLOCK: &str = "SELECT clock() AS now FROM system:dual";
        let there = other.run(CLOCK);
        until(|| self.run(CLOCK) != there, || there.clone());
    }

    /// The whole answer to a request as it is sent.
    pub fn ask(&self, request: &str) -> String {
        talk(std::net::TcpStream::connect(&self.http).unwrap(), request)
    }

    /// Waits until a query has this answer.
    pub fn wait_for(&self, statement: &str, items: &str) {
        until(
            || self.run(statement) == items,
            || {
                let (name, found) = (self.plan.name, self.run(statement));
                format!(
                    "{name} answers {statement}\nwith   {found}\nnot    {items}\n{}",
                    self.log()
                )
            },
        );
    }

    /// Ends it as a power cut would, and gives back what it takes to start it again.
    pub fn kill(mut self) -> (TempDir, Plan) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.leave()
    }

    /// Ends it in good order.
    pub fn stop(mut self) -> (TempDir, Plan) {
        let id = self.child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(told.success());
        assert!(self.child.wait().unwrap().success(), "{}", self.log());
        self.leave()
    }

    fn leave(mut self) -> (TempDir, Plan) {
        let home = std::mem::replace(&mut self.home, tempfile::tempdir().unwrap());
        (home, self.plan.clone())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Copies a directory as `cp -r` does: new files with the same bytes.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
