//! The only HTTPS client, and whom a client of TLS believes. It asks an identity
//! service, with a deadline, a cap on the answer and no redirects. Its runtime is its own and it blocks, so it must
//! not be used from asynchronous code.

use std::error::Error;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Response, Url, header, redirect};
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;
use tokio::runtime::Runtime;
use tombolo_identity::LOGIN_REPLY_BYTES_MAX;

use super::error::LoginError;
use super::server::{AuthServer, parse_url};
use super::service::{Answer, Ask, LoginService, ServiceError};

/// How long one question may take in all.
const REQUEST_TIME: Duration = Duration::from_secs(30);
/// How long a connection may take, TLS included.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// Longest file of roots, in bytes.
const CA_FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Most roots in such a file.
const CA_ROOTS_MAX: usize = 256;

/// An identity service behind HTTPS, or plain HTTP on this machine.
pub struct HttpsService {
    client: Client,
    runtime: Runtime,
    base: Url,
}

impl HttpsService {
    /// A client for one service. Nothing is asked yet.
    ///
    /// # Errors
    /// The URL is none, the file of roots cannot be used, or the process has no
    /// room for another runtime.
    pub fn new(server: &AuthServer) -> Result<Self, LoginError> {
        let base = parse_url(&server.url)?;
        let unusable = |error: &dyn Error| ServiceError::NoTls {
            reason: reason(error),
        };
        let client = Client::builder()
            .tls_backend_preconfigured(tls(server.ca_file.as_deref())?)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .http1_only()
            .referer(false)
            .connect_timeout(CONNECT_TIME)
            .timeout(REQUEST_TIME)
            .user_agent(concat!("tombolo/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| unusable(&error))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| unusable(&error))?;
        Ok(Self {
            client,
            runtime,
            base,
        })
    }

    fn address(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        let prefix = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{prefix}{path}"));
        url
    }
}

impl LoginService for HttpsService {
    fn ask(&mut self, ask: Ask<'_>) -> Result<Answer, ServiceError> {
        let address = self.address(ask.path());
        let request = match ask {
            Ask::Challenge => self.client.get(address),
            Ask::Login(body) => self
                .client
                .post(address)
                .header(header::CONTENT_TYPE, "application/json")
                .body(body.to_vec()),
        };
        let request = request.header(header::ACCEPT, "application/json");
        self.runtime.block_on(async {
            let response = request.send().await.map_err(failed)?;
            read(response).await
        })
    }
}

/// Reads an answer as it arrives, so that its announced length means nothing.
async fn read(mut response: Response) -> Result<Answer, ServiceError> {
    let retry_after = response.headers().get(header::RETRY_AFTER);
    let retry_after = retry_after.and_then(|value| value.to_str().ok());
    let mut answer = Answer {
        status: response.status().as_u16(),
        retry_after_s: retry_after.and_then(|text| text.parse().ok()),
        body: Vec::new(),
    };
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if answer.body.len() + chunk.len() > LOGIN_REPLY_BYTES_MAX {
            let bytes_max = LOGIN_REPLY_BYTES_MAX;
            return Err(ServiceError::TooLarge { bytes_max });
        }
        answer.body.extend_from_slice(&chunk);
    }
    Ok(answer)
}

/// What failed, by whose fault it probably is.
fn failed(error: reqwest::Error) -> ServiceError {
    let error = error.without_url();
    let reason = reason(&error);
    if error.is_timeout() {
        let limit_s = REQUEST_TIME.as_secs();
        return ServiceError::Timeout { limit_s };
    }
    if is_tls(&error) {
        return ServiceError::Tls { reason };
    }
    if error.is_connect() {
        return ServiceError::Connect { reason };
    }
    ServiceError::Broken { reason }
}

/// Whether TLS is among the causes. An I/O error gives the causes of what it
/// wraps and not the thing itself, so that is looked at first.
fn is_tls(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(inner) = cause {
        if inner.is::<rustls::Error>() {
            return true;
        }
        let io = inner.downcast_ref::<std::io::Error>();
        let wrapped = io.and_then(std::io::Error::get_ref);
        cause = match wrapped {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => inner.source(),
        };
    }
    false
}

/// The innermost cause: what stands around it names libraries.
fn reason(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(inner) = innermost.source() {
        innermost = inner;
    }
    innermost.to_string()
}

/// TLS as a client that believes in the roots of a file, or in those of the system.
pub(crate) fn tls(ca_file: Option<&Path>) -> Result<ClientConfig, ServiceError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let no_tls = |error: rustls::Error| ServiceError::NoTls {
        reason: error.to_string(),
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(no_tls)?;
    Ok(match ca_file {
        Some(path) => builder
            .with_root_certificates(roots(path)?)
            .with_no_client_auth(),
        None => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(system_roots(provider).map_err(no_tls)?))
            .with_no_client_auth(),
    })
}

fn system_roots(provider: Arc<CryptoProvider>) -> Result<Verifier, rustls::Error> {
    Verifier::new(provider)
}

fn roots(path: &Path) -> Result<RootCertStore, ServiceError> {
    let refused = |reason: String| ServiceError::CaFile {
        path: path.display().to_string(),
        reason,
    };
    let mut pem = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| refused(error.to_string()))?;
    let read = file.take(CA_FILE_BYTES_MAX + 1).read_to_end(&mut pem);
    read.map_err(|error| refused(error.to_string()))?;
    if pem.len() as u64 > CA_FILE_BYTES_MAX {
        return Err(refused(format!(
            "it has more than {CA_FILE_BYTES_MAX} bytes"
        )));
    }
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate =
            certificate.map_err(|error| refused(format!("it is not PEM: {error}")))?;
        if roots.len() == CA_ROOTS_MAX {
            return Err(refused(format!(
                "it has more than {CA_ROOTS_MAX} certificates"
            )));
        }
        let added = roots.add(certificate);
        added.map_err(|error| refused(format!("a certificate in it cannot be a root: {error}")))?;
    }
    if roots.is_empty() {
        return Err(refused("it holds no PEM certificate".to_owned()));
    }
    Ok(roots)
}
