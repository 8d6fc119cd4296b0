//! Binding the listening socket.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};

use crate::counts::ConnectionCounts;
use crate::limits::Limits;

/// A bound socket that accepts connections.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    local: SocketAddr,
    counts: Arc<ConnectionCounts>,
}

/// Why the server cannot listen. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The host of the address has no address.
    #[error(
        "cannot resolve the listen address {address}: {source}; use host:port with a name or IP of this machine"
    )]
    Unresolved {
        /// As configured.
        address: String,
        /// From the resolver.
        source: std::io::Error,
    },
    /// Another program has the port, or it needs a privilege.
    #[error(
        "cannot listen on {address}: {source}; choose a free port, or stop the program that holds it"
    )]
    Refused {
        /// As configured.
        address: String,
        /// From the system.
        source: std::io::Error,
    },
}

impl Listener {
    /// Binds `address`, a `host:port`; port 0 lets the system choose.
    /// The first resolved address that can be bound is used.
    ///
    /// # Errors
    /// [`ListenError`], naming the address.
    pub async fn bind(address: &str) -> Result<Self, ListenError> {
        Self::bind_with_backlog(address, Limits::BACKLOG).await
    }

    /// The same, with [`Limits::backlog`].
    ///
    /// # Errors
    /// [`ListenError`], naming the address.
    pub async fn bind_with_backlog(address: &str, backlog: u32) -> Result<Self, ListenError> {
        let unresolved = |source| ListenError::Unresolved {
            address: address.to_owned(),
            source,
        };
        let refused = |source| ListenError::Refused {
            address: address.to_owned(),
            source,
        };
        let candidates: Vec<SocketAddr> = lookup_host(address).await.map_err(unresolved)?.collect();
        let mut outcome = Err(ErrorKind::AddrNotAvailable.into());
        for candidate in candidates {
            outcome = listen(candidate, backlog);
            if outcome.is_ok() {
                break;
            }
        }
        let socket = outcome.map_err(refused)?;
        let local = socket.local_addr().map_err(refused)?;
        Ok(Self {
            socket,
            local,
            counts: Arc::default(),
        })
    }

    /// The address that was bound, with its real port.
    pub fn local_address(&self) -> SocketAddr {
        self.local
    }

    /// What becomes of its connections.
    pub fn counts(&self) -> Arc<ConnectionCounts> {
        Arc::clone(&self.counts)
    }

    pub(crate) async fn accept(&self) -> std::io::Result<(TcpStream, SocketAddr)> {
        self.socket.accept().await
    }
}

fn listen(address: SocketAddr, backlog: u32) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A restart must not wait for the connections of its predecessor to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(backlog)
}
