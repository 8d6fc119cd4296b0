//! The answer to an ACME server that asks whether this server holds a domain: for the names under proof, to those
//! who ask nothing else, and never more than the handshake.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

use std::net::SocketAddr;
use std::sync::Arc;

use http::StatusCode;
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tombolo_http::{
    DomainProof, Limits, Listener, Request, Server, TlsIdentity, Transport, json_response,
};

const QUESTION: &[&[u8]] = &[b"acme-tls/1"];
const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12, &rustls::version::TLS13];

/// Takes every certificate: an ACME server looks at the digest in it and at nothing else.
#[derive(Debug)]
struct Unconcerned;

impl ServerCertVerifier for Unconcerned {
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
        aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// What a connection came to.
#[derive(Debug, PartialEq)]
struct Met {
    certificate: CertificateDer<'static>,
    protocol: Option<Vec<u8>>,
    /// What was answered to a request.
    answer: String,
}

async fn meet(
    address: SocketAddr,
    name: &str,
    protocols: &[&[u8]],
    versions: &[&'static SupportedProtocolVersion],
) -> std::io::Result<Met> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Unconcerned))
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(name, stream).await?;
    let connection = stream.get_ref().1;
    let certificate = connection.peer_certificates().unwrap()[0]
        .clone()
        .into_owned();
    let protocol = connection.alpn_protocol().map(<[u8]>::to_vec);
    // The other end may be gone already.
    let request = b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n";
    let _ = stream.write_all(request).await;
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    Ok(Met {
        certificate,
        protocol,
        answer,
    })
}

async fn start(identity: TlsIdentity) -> (SocketAddr, oneshot::Sender<()>) {
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_address();
    let answer = async |_: Request| json_response(StatusCode::OK, "served");
    let server = Server {
        listener,
        transport: Transport::Tls(identity),
        limits: Limits::default(),
        answer: move |request| Box::pin(answer(request)),
        instance: 1,
    };
    let (stop, stopped) = oneshot::channel();
    tokio::spawn(server.run_until(async {
        let _ = stopped.await;
    }));
    (address, stop)
}

fn proof(domain: &str) -> (DomainProof, CertificateDer<'static>) {
    let mut params = CertificateParams::new(vec![domain.to_owned()]).unwrap();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(&[7; 32])];
    let key = KeyPair::generate().unwrap();
    let der = params.self_signed(&key).unwrap().der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    (DomainProof::new(domain, der.clone(), &key).unwrap(), der)
}

#[tokio::test]
async fn a_domain_is_proven_without_any_certificate_and_no_request_is_served() {
    let identity = TlsIdentity::without_certificate();
    let (address, _stop) = start(identity.clone()).await;
    assert!(meet(address, "a.example", QUESTION, BOTH).await.is_err());
    let ((first, first_der), (second, second_der)) = (proof("a.example"), proof("b.example"));
    identity.prove_domains(vec![first, second.clone()]);
    for versions in [BOTH, &BOTH[..1]] {
        for (name, der) in [("a.example", &first_der), ("B.example", &second_der)] {
            let met = meet(address, name, QUESTION, versions).await.unwrap();
            assert_eq!(met.certificate, *der);
            assert_eq!(met.protocol.as_deref(), Some(&b"acme-tls/1"[..]));
            assert_eq!(met.answer, "", "no request is served");
        }
    }
    assert!(meet(address, "c.example", QUESTION, BOTH).await.is_err());
    identity.prove_domains(vec![second]);
    assert!(meet(address, "a.example", QUESTION, BOTH).await.is_err());
    identity.prove_domains(Vec::new());
    assert!(meet(address, "b.example", QUESTION, BOTH).await.is_err());
}

#[tokio::test]
async fn whoever_can_speak_http_is_a_client_and_sees_no_proof() {
    let identity = TlsIdentity::without_certificate();
    let (address, _stop) = start(identity.clone()).await;
    identity.prove_domains(vec![proof("a.example").0]);
    let offers: [&[&[u8]]; 4] = [
        &[],
        &[b"http/1.1"],
        &[b"acme-tls/1", b"http/1.1"],
        &[b"h2", b"acme-tls/1"],
    ];
    for protocols in offers {
        assert!(meet(address, "a.example", protocols, BOTH).await.is_err());
    }
}
