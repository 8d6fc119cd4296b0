//! Binding the listening socket.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream, lookup_host};

/// A bound socket that accepts connections.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    local: SocketAddr,
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
        let unresolved = |source| ListenError::Unresolved {
            address: address.to_owned(),
            source,
        };
        let refused = |source| ListenError::Refused {
            address: address.to_owned(),
            source,
        };
        let candidates: Vec<SocketAddr> = lookup_host(address).await.map_err(unresolved)?.collect();
        let socket = TcpListener::bind(&candidates[..]).await.map_err(refused)?;
        let local = socket.local_addr().map_err(refused)?;
        Ok(Self { socket, local })
    }

    /// The address that was bound, with its real port.
    pub fn local_address(&self) -> SocketAddr {
        self.local
    }

    pub(crate) async fn accept(&self) -> std::io::Result<(TcpStream, SocketAddr)> {
        self.socket.accept().await
    }
}
