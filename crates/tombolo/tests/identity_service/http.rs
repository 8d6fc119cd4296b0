//! The same service over HTTP/1.1 on this machine, in the clear or with TLS.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tombolo::login::Ask;

use super::Service;

/// A listener that answers until it is dropped.
pub struct Listener {
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A certificate of its own for `localhost`, in PEM, and how a server proves it.
pub fn own_root() -> (String, Arc<ServerConfig>) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    (certificate.pem(), Arc::new(config))
}

impl Listener {
    pub fn start(service: &Arc<Service>, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (service, stopping) = (Arc::clone(service), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopping.load(Ordering::SeqCst) {
                    return;
                }
                serve(&service, stream.unwrap(), tls.as_ref());
            }
        });
        Self {
            address,
            stop,
            thread: Some(thread),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the one that accepts.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn serve(service: &Service, stream: TcpStream, tls: Option<&Arc<ServerConfig>>) {
    match tls {
        None => answer(service, stream),
        Some(config) => {
            let connection = ServerConnection::new(Arc::clone(config)).unwrap();
            answer(service, StreamOwned::new(connection, stream));
        }
    }
}

/// One request, one answer, one connection. A client that goes away is let go.
fn answer(service: &Service, stream: impl Read + Write) {
    let mut stream = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        match stream.read_line(&mut line) {
            Ok(1..) if line != "\r\n" => head.push(line.trim_end().to_owned()),
            Ok(1..) => break,
            _ => return,
        }
    }
    let length = head.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    if stream.read_exact(&mut body).is_err() {
        return;
    }
    let ask = match head[0].as_str() {
        "GET /_ditto/auth/challenge HTTP/1.1" => Ask::Challenge,
        "POST /_ditto/auth/login HTTP/1.1" => Ask::Login(&body),
        other => panic!("nobody asks {other}"),
    };
    let answer = service.respond(ask);
    let retry = answer
        .retry_after_s
        .map(|s| format!("retry-after: {s}\r\n"));
    let head = format!(
        "HTTP/1.1 {} X\r\ncontent-length: {}\r\nlocation: http://127.0.0.1/elsewhere\r\nconnection: close\r\n{}\r\n",
        answer.status,
        answer.body.len(),
        retry.unwrap_or_default()
    );
    let stream = stream.get_mut();
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(&answer.body);
    let _ = stream.flush();
}
