//! A started node and a client that speaks HTTP by hand, for the tests of the real program.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test program uses a part of it"
)]

pub mod identity;
pub mod peer;
pub mod proxy;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use tempfile::TempDir;

/// A database beside the configuration.
pub const DATABASE: &str =
    "database: { db_id: db-1, device_name: edge, persistence_dir: { path: data } }\n";

pub fn http_server(more: &str) -> String {
    format!(
        "{DATABASE}http_server:\n  listen_addr: \"127.0.0.1:0\"\n  http_api: true\n  enable_healthcheck: true\n{more}"
    )
}

pub fn plain(more: &str) -> String {
    http_server(&format!("  tls_config: dev_mode\n{more}auth: dev_mode\n"))
}

pub fn tombolo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tombolo"))
        .args(arguments)
        .output()
        .unwrap()
}

pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A started node; killed when dropped.
pub struct Node {
    pub child: Child,
    messages: BufReader<ChildStderr>,
    pub said: Vec<String>,
    pub address: String,
    directory: Option<TempDir>,
}

impl Node {
    pub fn start(config: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), config)
    }

    pub fn start_in(directory: TempDir, config: &str) -> Self {
        let file = directory.path().join("config.yaml");
        std::fs::write(&file, config).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_tombolo"))
            .args(["run", "-c"])
            .arg(&file)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let messages = BufReader::new(child.stderr.take().unwrap());
        let mut node = Self {
            child,
            messages,
            said: Vec::new(),
            address: String::new(),
            directory: Some(directory),
        };
        node.address = node
            .wait_for("listening on ")
            .split("://")
            .nth(1)
            .unwrap()
            .to_owned();
        node
    }

    /// Reads messages until one starts with `text`.
    pub fn wait_for(&mut self, text: &str) -> String {
        self.wait_until(|line| line.starts_with(text))
    }

    /// Reads messages until one holds `text`.
    pub fn wait_for_part(&mut self, text: &str) -> String {
        self.wait_until(|line| line.contains(text))
    }

    fn wait_until(&mut self, is_meant: impl Fn(&str) -> bool) -> String {
        loop {
            let mut line = String::new();
            let count = self.messages.read_line(&mut line).unwrap();
            assert!(count > 0, "ended after: {:?}", self.said);
            let line = line.trim_end().to_owned();
            self.said.push(line.clone());
            if is_meant(&line) {
                return line;
            }
        }
    }

    pub fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).unwrap()
    }

    pub fn send(&self, request: &str) -> String {
        talk(self.connect(), request)
    }

    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([name, &id])
                .status()
                .unwrap()
                .success()
        );
    }

    pub fn exit_code(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Where its configuration and its data are.
    pub fn directory(&self) -> &std::path::Path {
        self.directory.as_ref().unwrap().path()
    }

    /// Gives up its directory, for a node that has ended.
    pub fn take_directory(mut self) -> TempDir {
        self.directory.take().unwrap()
    }

    /// Ends it in good order and gives back its directory.
    pub fn stop(self) -> TempDir {
        self.stop_and_tell().0
    }

    /// The same, with all that it said.
    pub fn stop_and_tell(mut self) -> (TempDir, String) {
        self.signal("-TERM");
        self.wait_for("stopped");
        assert!(self.child.wait().unwrap().success());
        (self.directory.take().unwrap(), self.said.join("\n"))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn talk(mut stream: impl Read + Write, request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
}

pub fn assert_status(answer: &str, status: u16) {
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status} ")),
        "{answer}"
    );
}
