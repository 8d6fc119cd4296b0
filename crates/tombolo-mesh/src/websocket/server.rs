//! A server that is dialled over WebSocket: where it is, and how it is reached.
//! The outer TLS hides who talks; whom the peer talks to is proven inside it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::Uri;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::error::Error;

use super::{WEBSOCKET_PATH, WebSocketBytes, limits};
use crate::refusal::HandshakeError;
use crate::wire::Wire;

/// Longest URL of a server, in bytes.
pub const WEB_SERVER_BYTES_MAX: usize = 1024;

/// A server that peers dial over WebSocket.
#[derive(Clone)]
pub struct WebServer {
    uri: Uri,
    host: String,
    port: u16,
    /// `None`: in the clear, on this machine.
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

/// Why a text is no server. The operator's to mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebServerError {
    /// It is no URL of a WebSocket.
    #[error("it is not a URL of the form wss://host[:port][/path]")]
    NotWebSocket,
    /// It is too long.
    #[error("it has {bytes} bytes and {WEB_SERVER_BYTES_MAX} are allowed")]
    TooLong {
        /// How many.
        bytes: usize,
    },
    /// It would show to others who talks to whom.
    #[error(
        "it begins with ws://, which is taken for this machine alone, such as ws://127.0.0.1:8080: write wss://"
    )]
    InTheClear,
}

impl WebServer {
    /// A server at `url`, `wss://host[:port][/path]`, or `ws://` on this machine.
    /// Without a path it is [`WEBSOCKET_PATH`]. `tls` says which roots vouch for
    /// it; it must hold no protocols (ALPN).
    ///
    /// # Errors
    /// [`WebServerError`].
    pub fn new(url: &str, tls: Arc<ClientConfig>) -> Result<Self, WebServerError> {
        let parsed = parse(url)?;
        Ok(Self {
            uri: parsed.uri,
            host: parsed.host,
            port: parsed.port,
            tls: parsed.name.map(|name| (tls, name)),
        })
    }

    /// Whether a server can be at `url`, by its form alone.
    ///
    /// # Errors
    /// [`WebServerError`].
    pub fn check_url(url: &str) -> Result<(), WebServerError> {
        parse(url).map(drop)
    }

    /// What resolves to its addresses.
    pub(crate) fn host_and_port(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The outer TLS, if any, and the switch to WebSocket.
    pub(crate) async fn open(&self, tcp: TcpStream) -> Result<Wire, HandshakeError> {
        let outer: Wire = match &self.tls {
            None => Box::new(tcp),
            Some((config, name)) => {
                let connector = TlsConnector::from(Arc::clone(config));
                let opened = connector.connect(name.clone(), tcp).await;
                Box::new(opened.map_err(HandshakeError::OuterTls)?)
            }
        };
        let opened = client_async_with_config(self.uri.clone(), outer, Some(limits())).await;
        let (messages, _) = opened.map_err(refused)?;
        Ok(Box::new(WebSocketBytes::new(messages)))
    }
}

impl fmt::Display for WebServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(f)
    }
}

impl fmt::Debug for WebServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(f)
    }
}

struct Parsed {
    uri: Uri,
    host: String,
    port: u16,
    /// By which the outer certificate is checked.
    name: Option<ServerName<'static>>,
}

fn parse(url: &str) -> Result<Parsed, WebServerError> {
    let bytes = url.len();
    if bytes > WEB_SERVER_BYTES_MAX {
        return Err(WebServerError::TooLong { bytes });
    }
    let uri: Uri = url.parse().map_err(|_| WebServerError::NotWebSocket)?;
    let authority = uri.authority().ok_or(WebServerError::NotWebSocket)?;
    let fits = !authority.as_str().contains('@') && uri.query().is_none() && !url.contains('#');
    let host = authority.host().to_owned();
    if !fits || host.is_empty() {
        return Err(WebServerError::NotWebSocket);
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(bare.to_owned()).map_err(|_| WebServerError::NotWebSocket)?;
    let is_here = bare == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    let (name, default_port) = match uri.scheme_str() {
        Some("wss") => (Some(name), 443),
        Some("ws") if is_here => (None, 80),
        Some("ws") => return Err(WebServerError::InTheClear),
        _ => return Err(WebServerError::NotWebSocket),
    };
    let has_port = authority.as_str().len() > host.len();
    let port = match authority.port_u16() {
        Some(0) => return Err(WebServerError::NotWebSocket),
        None if has_port => return Err(WebServerError::NotWebSocket),
        port => port.unwrap_or(default_port),
    };
    let uri = if matches!(uri.path(), "" | "/") {
        let scheme = uri.scheme_str().unwrap_or("wss");
        let whole = format!("{scheme}://{authority}{WEBSOCKET_PATH}");
        whole
            .parse()
            .map_err(|_: http::uri::InvalidUri| WebServerError::NotWebSocket)?
    } else {
        uri.clone()
    };
    Ok(Parsed {
        uri,
        host,
        port,
        name,
    })
}

fn refused(error: Error) -> HandshakeError {
    match error {
        Error::Http(response) => HandshakeError::NoWebSocket {
            status: response.status().as_u16(),
        },
        Error::Io(error) => HandshakeError::Io(error),
        other => HandshakeError::Io(super::io_error(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_a_host_and_perhaps_a_port_and_a_path() {
        for (url, uri, at) in [
            (
                "wss://hub.example",
                "wss://hub.example/_ditto/sync",
                "hub.example:443",
            ),
            (
                "wss://hub.example:8443/",
                "wss://hub.example:8443/_ditto/sync",
                "hub.example:8443",
            ),
            ("wss://10.0.0.1:1/a/b", "wss://10.0.0.1:1/a/b", "10.0.0.1:1"),
            (
                "ws://[::1]:8080",
                "ws://[::1]:8080/_ditto/sync",
                "[::1]:8080",
            ),
            ("ws://localhost/x", "ws://localhost/x", "localhost:80"),
        ] {
            let parsed = parse(url).unwrap();
            assert_eq!(parsed.uri.to_string(), uri);
            assert_eq!(format!("{}:{}", parsed.host, parsed.port), at);
            assert_eq!(parsed.name.is_some(), url.starts_with("wss"));
        }
    }

    #[test]
    fn what_is_no_server_is_refused() {
        for url in [
            "",
            "hub.example",
            "wss://",
            "https://hub.example",
            "wss:///path",
            "/path",
            "wss://user@hub.example",
            "wss://hub.example?x=1",
            "wss://hub.example/#x",
            "wss://hub.example:0",
            "wss://hub.example:",
            "wss://hub.example:70000",
            "wss://a b",
        ] {
            assert_eq!(
                WebServer::check_url(url),
                Err(WebServerError::NotWebSocket),
                "{url}"
            );
        }
        for url in [
            "ws://hub.example",
            "ws://10.0.0.1:80",
            "ws://localhost.example",
        ] {
            assert_eq!(
                WebServer::check_url(url),
                Err(WebServerError::InTheClear),
                "{url}"
            );
        }
        let long = format!("wss://hub.example/{}", "a".repeat(WEB_SERVER_BYTES_MAX));
        assert!(matches!(
            WebServer::check_url(&long),
            Err(WebServerError::TooLong { .. })
        ));
    }
}
