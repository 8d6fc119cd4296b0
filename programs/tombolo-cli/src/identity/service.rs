//! The identity service as the edge server holds it: its routes, and the parts that they join.
//! It never reads the database; who logged in is told to nobody but the log.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use tokio::time::{MissedTickBehavior, interval};
use tombolo_http::{BodyError, Request, Response, json_response};
use tombolo_identity::{
    AuthorityKey, CA_PATH, CHALLENGE_PATH, Certificate, JWKS_PATH, LOGIN_PATH,
    LOGIN_REQUEST_BYTES_MAX, NONCE_BYTES, PLAYGROUND_PROVIDER, PeerKeyPair, REVOCATIONS_PATH,
    key_id, render_challenge,
};

use super::ca::CaError;
use super::live::Live;
use super::login::{self, Gate, Reason, Turned};
use super::provider::Provider;
use super::reply::{Refused, fresh, text_response};
use super::web::WebSetupError;
use crate::audit::{self, AdminAct, Audit};
use crate::clock::unix_ms as now_ms;
use crate::config::IdentitySettings;
use crate::edge::LoginTold;

/// What all routes begin with.
const PREFIX: &str = "/_ditto/auth/";
/// How often the directory of the authority is looked at: a revocation counts after this.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);
const GET: &str = "GET, HEAD";

/// Why the service did not start. All are the operator's to mend but the randomness.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    #[error("error: identity_service.ca: {0}")]
    Ca(#[from] CaError),
    #[error("error: identity_service.providers.{name}: {source}")]
    Provider { name: String, source: WebSetupError },
    #[error("error: the system gave no randomness: {0}")]
    NoRandomness(getrandom::Error),
    #[error("error: identity_service: no certificate for this node itself: {0}")]
    Own(String),
}

/// Whether a path is one of the service's, if there is one.
pub(crate) fn serves(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// The identity service of one database.
pub(crate) struct IdentityService {
    database_id: String,
    live: Live,
    gate: Gate,
    providers: BTreeMap<String, Provider>,
}

impl fmt::Debug for IdentityService {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("IdentityService")
            .field("database_id", &self.database_id)
            .field("providers", &self.providers.keys())
            .finish_non_exhaustive()
    }
}

impl IdentityService {
    /// Opens the authority, or makes it, and gets ready. `notices` are for the operator.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub(crate) fn open(
        settings: IdentitySettings,
        database_id: &str,
        notices: &mut Vec<String>,
    ) -> Result<Self, ServiceError> {
        let IdentitySettings {
            ca,
            providers: wanted,
            limits,
            is_development,
        } = settings;
        let live = Live::open(&ca, database_id)?;
        let mut providers = BTreeMap::new();
        for (name, settings) in wanted {
            let made = Provider::new(settings).map_err(|source| {
                let name = name.clone();
                ServiceError::Provider { name, source }
            })?;
            providers.insert(name, made);
        }
        let mut random = [[0; 32]; 2];
        for bytes in &mut random {
            getrandom::fill(bytes).map_err(ServiceError::NoRandomness)?;
        }
        let names: Vec<&str> = providers.keys().map(String::as_str).collect();
        let signing = key_id(live.standing().signing().public());
        notices.push(format!(
            "identity: authority {signing} in {} signs; providers: {}",
            ca.display(),
            names.join(", ")
        ));
        if live.is_open_to_others() {
            notices.push(format!(
                "identity: WARNING: other users of this machine can look into {}; take their permission away with: chmod 700",
                ca.display()
            ));
        }
        if providers.contains_key(PLAYGROUND_PROVIDER) && !is_development {
            notices.push(format!(
                "identity: WARNING: {PLAYGROUND_PROVIDER} lets whoever has its token read and write everything; remove it where data matters"
            ));
        }
        Ok(Self {
            database_id: database_id.to_owned(),
            live,
            gate: Gate::new(limits, &random),
            providers,
        })
    }

    /// Looks for changes of the authority's directory for as long as it is polled.
    pub(crate) async fn watch(self: Arc<Self>, audit: Option<Arc<Audit>>) {
        let mut ticks = interval(REFRESH_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_told = false;
        loop {
            ticks.tick().await;
            let service = Arc::clone(&self);
            let refreshed = tokio::task::spawn_blocking(move || service.live.refresh()).await;
            match refreshed {
                Ok(Ok(false)) | Err(_) => {}
                Ok(Ok(true)) => {
                    is_told = false;
                    let standing = self.live.standing();
                    let version = standing.revocations.as_ref().map(|list| list.version());
                    let trusted = standing.keys().len();
                    tracing::info!(trusted, revocations = ?version, "the authority was read again");
                    let detail = format!("{trusted} trusted keys, list of revocations {version:?}");
                    audit::tell(audit.as_deref(), AdminAct::Revocation, detail);
                }
                Ok(Err(error)) if !is_told => {
                    is_told = true;
                    tracing::error!(%error, "the authority cannot be read again; what was read before counts");
                }
                Ok(Err(_)) => {}
            }
        }
    }

    /// A certificate for this node itself, which may read and write everything, and whom to trust.
    ///
    /// # Errors
    /// The key cannot sign, or the clock is impossible.
    pub(crate) fn own_certificate(
        &self,
        device: &PeerKeyPair,
    ) -> Result<(Certificate, Vec<AuthorityKey>), ServiceError> {
        let standing = self.live.standing();
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(ServiceError::NoRandomness)?;
        let parts = (&self.gate, standing.signing(), nonce);
        let certificate = super::own::certificate(parts, device, &self.database_id, now_ms());
        let certificate = certificate.map_err(ServiceError::Own)?;
        Ok((certificate, standing.keys().to_vec()))
    }

    /// Whom this node trusts as of now, the one that signs first.
    pub(crate) fn trusted(&self) -> Vec<AuthorityKey> {
        self.live.standing().keys().to_vec()
    }

    /// The signed list of who is cut off, for this node's own sessions.
    pub(crate) fn revocations(&self) -> Option<Vec<u8>> {
        let standing = self.live.standing();
        standing
            .revocations
            .as_ref()
            .map(|list| list.as_bytes().to_vec())
    }

    /// Answers a request whose path it serves.
    pub(crate) async fn answer(&self, request: Request) -> Response {
        let is_get = matches!(*request.method(), Method::GET | Method::HEAD);
        let is_post = *request.method() == Method::POST;
        let path = request.path().to_owned();
        let answered = match path.as_str() {
            CHALLENGE_PATH if is_get => self.challenge(),
            LOGIN_PATH if is_post => return self.login(request).await,
            CA_PATH if is_get => Ok(self.authorities()),
            JWKS_PATH if is_get => {
                let jwks = self.live.standing().jwks.clone();
                Ok(json_response(StatusCode::OK, jwks))
            }
            REVOCATIONS_PATH if is_get => self.list(),
            CHALLENGE_PATH | CA_PATH | JWKS_PATH | REVOCATIONS_PATH => Err(Refused::Method(GET)),
            LOGIN_PATH => Err(Refused::Method("POST")),
            _ => Err(Refused::UnknownPath),
        };
        answered.unwrap_or_else(Refused::response)
    }

    fn challenge(&self) -> Result<Response, Refused> {
        let mut nonce = [0; NONCE_BYTES];
        let drawn = getrandom::fill(&mut nonce).map_err(|_| Refused::Internal);
        let made = drawn.and_then(|()| {
            let challenges = self.gate.challenges();
            let made = challenges.challenge(&self.database_id, nonce, now_ms());
            made.map_err(|_| Refused::Internal)
        });
        let body = render_challenge(&made?);
        Ok(fresh(json_response(StatusCode::OK, body)))
    }

    fn authorities(&self) -> Response {
        let pem = self.live.standing().pem.clone();
        text_response(StatusCode::OK, "application/x-pem-file", pem)
    }

    fn list(&self) -> Result<Response, Refused> {
        let standing = self.live.standing();
        let list = standing
            .revocations
            .as_ref()
            .ok_or(Refused::NoRevocations)?;
        let bytes = list.as_bytes().to_vec();
        let response = text_response(StatusCode::OK, "application/octet-stream", bytes);
        Ok(fresh(response))
    }

    async fn login(&self, request: Request) -> Response {
        let (address, id) = (request.peer.ip(), request.id);
        let mut told = LoginTold::default();
        let mut response = match self.certify(request, &mut told).await {
            Ok(response) => response,
            Err(turned) => {
                let provider = told.provider.as_deref().unwrap_or_default();
                login::log_turned(&turned, provider, address, id);
                told.code = Some(turned.0.code());
                turned.0.response()
            }
        };
        response.extensions_mut().insert(told);
        response
    }

    /// The steps of a login. `told` takes what is known of it as soon as it is.
    async fn certify(&self, request: Request, told: &mut LoginTold) -> Result<Response, Turned> {
        let Request { body, id, peer, .. } = request;
        self.gate.admit_address(peer.ip(), now_ms())?;
        let body = body.read(LOGIN_REQUEST_BYTES_MAX).await.map_err(unread)?;
        let asked = login::parse(&body)?;
        drop(body);
        let named = asked.provider.clone();
        told.provider = Some(named.clone());
        let provider = self.providers.get(&named);
        // All devices of a playground have one token; they are told apart below, by their keys.
        if !matches!(provider, Some(Provider::Playground { .. })) {
            self.gate.admit_user((&named, &asked.token), now_ms())?;
        }
        let asking = self.gate.prove(asked, &self.database_id, now_ms())?;
        told.peer = Some(asking.proven.peer_key().to_string());
        let granted = login::ask(provider, &asking, now_ms()).await?;
        let user_id = granted.identity().user_id().to_owned();
        told.user = Some(user_id.clone());
        // Under a name of its own, so that no token can stand for a user.
        let name = format!("{named}\0{user_id}");
        self.gate.admit_user(("user", &name), now_ms())?;
        let device = asking.proven.peer_key().to_string();
        let standing = self.live.standing();
        let issued = login::issue(&standing, (asking.proven, granted), now_ms());
        let reply = issued.map_err(|error| (Refused::Internal, Reason::Issue(error)))?;
        let expires_ms = reply.expires_ms;
        tracing::info!(request_id = %id, provider = ?named, user = ?user_id, device, expires_ms, "logged in");
        Ok(fresh(json_response(StatusCode::OK, reply.render())))
    }
}

fn unread(error: BodyError) -> Turned {
    match error {
        BodyError::TooLarge { .. } => (Refused::TooLarge, Reason::Body),
        BodyError::Broken(_) | BodyError::NotGzip(_) | BodyError::UnknownEncoding => {
            (Refused::Malformed(error.to_string()), Reason::Body)
        }
    }
}
