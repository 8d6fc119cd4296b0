//! From a TCP connection to a verified peer: TLS, then one byte from the side
//! that accepts, so that the side that dials knows whether it was let in. In
//! TLS 1.3 it would otherwise learn of its refusal only when it next listens.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::credential::{Credential, Surroundings};
use crate::refusal::HandshakeError;
use crate::standing::Basis;
use crate::tls::{ALPN, Witness, client_config, provider, server_config};
use crate::wire::{ByteStream, PeerStream, Wire};

/// A handshake that takes longer is given up.
pub const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// How long the answer that refuses a peer may take to leave.
const FAREWELL_TIME: Duration = Duration::from_secs(2);

/// Stands where TLS wants a name; an address is never sent.
const NO_NAME: [u8; 4] = [0; 4];

/// The byte that the accepting side says after TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Welcome,
    Full,
    Duplicate,
}

impl Answer {
    const fn byte(self) -> u8 {
        match self {
            Self::Welcome => 1,
            Self::Full => 2,
            Self::Duplicate => 3,
        }
    }
}

/// What every handshake of a node needs.
pub(crate) struct Handshaker {
    pub(crate) credential: Arc<Credential>,
    pub(crate) surroundings: Arc<dyn Surroundings>,
    provider: Arc<CryptoProvider>,
}

/// A connection to a peer that proved its key.
pub(crate) struct Proven {
    pub(crate) stream: PeerStream,
    pub(crate) basis: Arc<Basis>,
    /// How long the peer's certificate stays valid.
    pub(crate) remains: Duration,
}

impl Handshaker {
    pub(crate) fn new(credential: Arc<Credential>, surroundings: Arc<dyn Surroundings>) -> Self {
        Self {
            credential,
            surroundings,
            provider: provider(),
        }
    }

    /// TLS as the side that accepts.
    pub(crate) async fn accept(
        &self,
        stream: impl ByteStream + 'static,
    ) -> Result<Proven, HandshakeError> {
        let (now_ms, witness) = self.witness()?;
        let config = server_config(&witness).map_err(HandshakeError::Tls)?;
        let wire: Wire = Box::new(stream);
        let accepted = within(TlsAcceptor::from(Arc::new(config)).accept(wire)).await?;
        self.prove(accepted.map(TlsStream::from), &witness, now_ms)
    }

    /// TLS as the side that dials.
    pub(crate) async fn dial(
        &self,
        stream: impl ByteStream + 'static,
    ) -> Result<Proven, HandshakeError> {
        let (now_ms, witness) = self.witness()?;
        let config = client_config(&witness).map_err(HandshakeError::Tls)?;
        // The name is sent to nobody; the leaf is checked for its database instead.
        let name = ServerName::from(IpAddr::from(NO_NAME));
        let wire: Wire = Box::new(stream);
        let dialled = within(TlsConnector::from(Arc::new(config)).connect(name, wire)).await?;
        self.prove(dialled.map(TlsStream::from), &witness, now_ms)
    }

    /// What a handshake that begins now goes by, if this node may make one.
    fn witness(&self) -> Result<(u64, Arc<Witness>), HandshakeError> {
        let now_ms = self.surroundings.unix_ms();
        let standing = self.credential.standing(now_ms)?;
        standing.check_own(now_ms)?;
        let witness = Witness::new(standing, Arc::clone(&self.provider), now_ms);
        Ok((now_ms, witness))
    }

    /// Whether this node may make links now.
    pub(crate) fn check_own(&self) -> Result<(), HandshakeError> {
        let now_ms = self.surroundings.unix_ms();
        self.credential.standing(now_ms)?.check_own(now_ms)
    }

    fn prove(
        &self,
        stream: std::io::Result<PeerStream>,
        witness: &Witness,
        now_ms: u64,
    ) -> Result<Proven, HandshakeError> {
        if let Some(Err(refused)) = witness.verdict() {
            return Err(refused.clone().into());
        }
        let stream = stream.map_err(HandshakeError::from_io)?;
        if stream.get_ref().1.alpn_protocol() != Some(ALPN) {
            return Err(HandshakeError::OtherProtocol);
        }
        let Some(Ok(peer)) = witness.verdict() else {
            return Err(HandshakeError::NoCertificate);
        };
        if peer.peer_key() == self.credential.peer_key() {
            return Err(HandshakeError::Myself);
        }
        let shown = stream.get_ref().1.peer_certificates();
        let shown = shown.and_then(<[_]>::first);
        let standing = witness.standing();
        let basis = Arc::new(Basis {
            peer: peer.clone(),
            certificate: shown.map(|der| der.to_vec()).unwrap_or_default(),
            leaf: Arc::clone(&standing.leaf),
            serial: standing.serial,
        });
        Ok(Proven {
            stream,
            basis,
            remains: Duration::from_millis(peer.expires_ms().saturating_sub(now_ms)),
        })
    }
}

/// Tells the side that dialled whether it was let in.
pub(crate) async fn answer(stream: &mut PeerStream, answer: Answer) -> Result<(), HandshakeError> {
    let said = async {
        stream.write_all(&[answer.byte()]).await?;
        stream.flush().await?;
        match answer {
            Answer::Welcome => Ok(()),
            Answer::Full | Answer::Duplicate => stream.shutdown().await,
        }
    };
    match timeout(FAREWELL_TIME, said).await {
        Ok(said) => said.map_err(HandshakeError::from_io),
        Err(_) => Err(HandshakeError::Timeout {
            step: "the answer after TLS",
            limit: FAREWELL_TIME,
        }),
    }
}

/// Waits to be let in.
pub(crate) async fn await_answer(stream: &mut PeerStream) -> Result<(), HandshakeError> {
    match within(stream.read_u8())
        .await?
        .map_err(HandshakeError::from_io)?
    {
        1 => Ok(()),
        2 => Err(HandshakeError::PeerFull),
        3 => Err(HandshakeError::Duplicate),
        other => Err(HandshakeError::UnknownAnswer(other)),
    }
}

async fn within<T>(step: impl Future<Output = T>) -> Result<T, HandshakeError> {
    let limit = HANDSHAKE_TIME;
    timeout(limit, step)
        .await
        .map_err(|_| HandshakeError::Timeout {
            step: "the TLS handshake",
            limit,
        })
}

#[cfg(test)]
mod strangers;
#[cfg(test)]
mod tests;
