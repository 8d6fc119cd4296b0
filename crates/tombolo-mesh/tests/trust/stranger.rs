//! Peers that do not play by the rules: they believe everything, and show what
//! a test gives them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::{default_provider, sign::any_ecdsa_type};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    AlertDescription, ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme,
    SupportedProtocolVersion,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

#[derive(Debug)]
struct Credulous;

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// What somebody shows: a chain, with any key.
pub(crate) fn shown(chain: &[Vec<u8>], pkcs8: &[u8]) -> Arc<CertifiedKey> {
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8));
    let chain = chain.iter().cloned().map(CertificateDer::from).collect();
    Arc::new(CertifiedKey::new(chain, any_ecdsa_type(&der).unwrap()))
}

/// A client with a certificate or none. It remembers every ticket that it gets.
pub(crate) fn client(
    version: &'static SupportedProtocolVersion,
    key: Option<Arc<CertifiedKey>>,
) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous));
    let mut config = match key {
        None => config.with_no_client_auth(),
        Some(key) => config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))),
    };
    config.alpn_protocols = vec![b"tombolo/1".to_vec()];
    config.enable_early_data = true;
    Arc::new(config)
}

/// A server that asks nobody who he is.
pub(crate) fn server(
    version: &'static SupportedProtocolVersion,
    key: Arc<CertifiedKey>,
) -> Arc<ServerConfig> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    config.alpn_protocols = vec![b"tombolo/1".to_vec()];
    Arc::new(config)
}

/// What a stranger gets to read: the byte that lets it in, or an error.
pub(crate) async fn dial(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
) -> io::Result<(u8, TlsStream<TcpStream>)> {
    let tcp = TcpStream::connect(address).await?;
    let name = ServerName::try_from("any.example").unwrap();
    let connector = TlsConnector::from(Arc::clone(config));
    let mut stream = connector.connect(name, tcp).await?;
    let byte = stream.read_u8().await?;
    Ok((byte, stream))
}

/// The alert that a stranger was told, which read nothing else.
pub(crate) fn alert(told: io::Result<(u8, TlsStream<TcpStream>)>) -> Option<AlertDescription> {
    let error = told.map(|(byte, _)| byte).unwrap_err();
    match error.get_ref()?.downcast_ref()? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

/// Sends bytes as they are; gives what comes back until the end.
pub(crate) async fn say(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(bytes).await.unwrap();
    let mut heard = Vec::new();
    // A refusal may reset the connection behind its alert.
    let _ = tcp.read_to_end(&mut heard).await;
    heard
}
