//! The edge server: one order of steps for every request, and one file for each endpoint.
//! A permit stands between a client and the database, and every request is told to the recorder.

mod attachments;
mod authorize;
mod cbor;
mod cbor_reply;
mod clock;
mod docs;
mod endpoint;
mod execute;
mod health;
mod idempotency;
mod joined;
mod least_transaction;
mod media;
mod node;
mod observe;
mod openapi;
mod origins;
mod presence;
mod proxies;
mod question;
mod record;
mod refuse;
mod reply;
mod routes;
#[cfg(test)]
mod tests;
mod throttle;
mod upkeep;
mod websocket;

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use http::Method;
use http::request::Parts;
use tombolo_http::{Answer, Refusal, Request, Response, TimeLimit};

use crate::config::{Api, Config, Proxies};
use crate::identity::IdentityService;
use crate::upkeep::Upkeep;
use attachments::Transfers;
use authorize::{Asking, AuthRefusal, Caller};
use clock::Clock;
use docs::Docs;
use media::Media;
use node::Node;
use observe::Observing;
use openapi::Keys;
use origins::Judged;
use proxies::client_address;
use record::Recording;
use refuse::{refuse_client, refuse_often, refuse_unrecorded};
use reply::Refused;
use routes::Routes;

pub(crate) use authorize::Guard;
pub(crate) use clock::SystemClock;
pub(crate) use endpoint::Endpoint;
pub(crate) use joined::{JoinedDatabase, chain};
pub(crate) use origins::Origins;
pub(crate) use record::{LoginTold, Record, RecordPlace, Recorder};
pub(crate) use throttle::Throttle;

/// The description of the HTTP API as OpenAPI 3.1; of all that can be turned on, if `config` is `None`.
pub(crate) fn describe(config: Option<&Config>) -> serde_json::Value {
    let (api, clients) = match config.map(|config| config.http.as_ref()) {
        None => (Api::EVERYTHING, Keys::Needed),
        Some(None) => (Api::NOTHING, Keys::Needed),
        Some(Some(http)) => (http.api, Keys::of(&http.clients)),
    };
    let login = config.is_none_or(|config| config.identity_service.is_some());
    let database_id = config.map(|config| config.database.id.clone());
    let base_path = config.and_then(|config| config.http.as_ref()?.base_path.clone());
    let routes = Routes::new(api, database_id.unwrap_or_default(), login).also_below(base_path);
    openapi::document(&routes, clients)
}

/// Answers the HTTP API of one node.
#[derive(Debug)]
pub(crate) struct Edge<N> {
    routes: Routes,
    origins: Origins,
    proxies: Proxies,
    throttle: Arc<Throttle>,
    guard: Arc<Guard>,
    request_timeout: Option<Duration>,
    identity: Option<Arc<IdentityService>>,
    /// `None`: it is not served.
    docs: Option<Docs>,
    clock: Arc<dyn Clock>,
    recorder: Arc<dyn Recorder>,
    transfers: Transfers,
    observing: Arc<Observing<N>>,
    node: Arc<N>,
    upkeep: Option<Arc<Upkeep>>,
}

/// What the configuration says about the routes.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) api: Api,
    pub(crate) origins: Origins,
    pub(crate) proxies: Proxies,
    pub(crate) throttle: Throttle,
    pub(crate) guard: Arc<Guard>,
    pub(crate) database_id: String,
    /// What may stand in front of each path, without slashes.
    pub(crate) base_path: Option<String>,
    /// Told to the node with each statement; the server itself answers 408.
    pub(crate) request_timeout: Option<Duration>,
    /// `None`: nobody logs in here.
    pub(crate) identity: Option<Arc<IdentityService>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) recorder: Arc<dyn Recorder>,
    /// `None`: nobody looks after the node.
    pub(crate) upkeep: Option<Arc<Upkeep>>,
}

impl<N: Node> Edge<N> {
    pub(crate) fn new(settings: Settings, node: N) -> Self {
        let Settings {
            api,
            origins,
            proxies,
            throttle,
            guard,
            database_id,
            base_path,
            request_timeout,
            identity,
            clock,
            recorder,
            upkeep,
        } = settings;
        let keys = guard.keys();
        let routes = Routes::new(api, database_id, identity.is_some()).also_below(base_path);
        let docs = api
            .docs
            .then(|| Docs::new(&openapi::document(&routes, keys)));
        let node = Arc::new(node);
        let throttle = Arc::new(throttle);
        let door = observe::Door {
            guard: Arc::clone(&guard),
            throttle: Arc::clone(&throttle),
            clock: Arc::clone(&clock),
            recorder: Arc::clone(&recorder),
        };
        Self {
            routes,
            docs,
            origins,
            proxies,
            throttle,
            guard,
            request_timeout,
            identity,
            clock,
            recorder,
            transfers: Transfers::new(),
            observing: Arc::new(Observing::new(Arc::clone(&node), request_timeout, door)),
            upkeep,
            node,
        }
    }

    /// Every request goes this way: origin, route, throttle, key, throttle, permit, handler.
    async fn steps(
        &self,
        mut request: Box<Request>,
        (record, now): (&mut Record, Duration),
    ) -> Result<Response, Refused> {
        if let Some(target) = self.routes.without_base_path(&request.head.uri) {
            request.head.uri = target;
        }
        let route = self.routes.find(request.path(), request.method());
        record.endpoint = route.as_ref().ok().copied();
        let asking = throttle::Origin {
            address: record.address,
            endpoint: record.endpoint,
        };
        self.throttle.admit(asking, now).map_err(refuse_often)?;
        let endpoint = route?;
        if self.recorder.needs_reads() && endpoint.is_recorded() {
            record.require_place().map_err(refuse_unrecorded)?;
        }
        let caller = self.identify(&request, endpoint, (record, now)).await?;
        match endpoint {
            Endpoint::Health => Ok(health::health()),
            Endpoint::Ready => upkeep::ready(self.upkeep.as_deref()),
            Endpoint::Metrics => upkeep::metrics(self.upkeep.as_deref()),
            Endpoint::Logs => upkeep::logs(self.upkeep.as_deref(), request.method()),
            Endpoint::Docs => match &self.docs {
                Some(docs) => docs.answer(request.path()),
                None => Err(routes::unknown_path()),
            },
            // What is asked seldom lies on the heap, so that no other request pays for its size.
            Endpoint::Login => Box::pin(self.log_in(*request, record)).await,
            Endpoint::Sync => Ok(websocket::switch(*request, self.node.websocket_door())),
            Endpoint::AttachmentsUpload => {
                Box::pin(attachments::upload(self, *request, &caller, record)).await
            }
            Endpoint::AttachmentsDownload => {
                Box::pin(attachments::download(self, *request, &caller, record)).await
            }
            Endpoint::Presence => {
                Box::pin(presence::presence(self, *request, &caller, record)).await
            }
            Endpoint::Execute => execute::execute(self, request, &caller, record).await,
            Endpoint::Observe => Box::pin(observe::observe(self, *request, &caller, record)).await,
        }
    }

    /// Who asks, and whether this endpoint is for them at all.
    async fn identify(
        &self,
        request: &Request,
        endpoint: Endpoint,
        (record, now): (&mut Record, Duration),
    ) -> Result<Caller, Refused> {
        let is_public = endpoint == Endpoint::Metrics && self.routes.api().metrics_public;
        if !endpoint.needs_key() || is_public {
            return Ok(Caller::Nobody);
        }
        let now_ms = record.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ms = u64::try_from(now_ms.as_millis()).unwrap_or(u64::MAX);
        let asking = Asking {
            address: record.address,
            now,
            now_ms,
        };
        let headers = &request.head.headers;
        let caller = match self.guard.identify(headers, asking).await {
            Err(AuthRefusal::NoKey) if observe::brings_key_later(endpoint, headers) => {
                return Ok(Caller::Nobody);
            }
            identified => identified.map_err(refuse_client)?,
        };
        record.identity = caller.audit_id().map(str::to_owned);
        if let Some(identity) = caller.audit_id() {
            let admitted = self.throttle.admit_identity(identity, now);
            admitted.map_err(refuse_often)?;
        }
        caller.may_use(endpoint).map_err(refuse_client)?;
        Ok(caller)
    }

    async fn log_in(&self, request: Request, record: &mut Record) -> Result<Response, Refused> {
        if *request.method() == Method::POST {
            record.require_place().map_err(refuse_unrecorded)?;
        }
        let Some(service) = &self.identity else {
            return Err(routes::unknown_path());
        };
        let mut response = service.answer(request).await;
        record.login = response.extensions_mut().remove::<LoginTold>();
        Ok(response)
    }
}

impl<N: Node> Answer for Edge<N> {
    async fn answer(&self, request: Request) -> Response {
        let mut recording = Recording::begin(&request, &*self.clock, &*self.recorder);
        let now = recording.begun();
        let record = &mut recording.record;
        record.address = client_address(record.address, &request.head.headers, &self.proxies);
        let media = Media::of_answer(&request.head.headers);
        // Every step would hold a copy of it otherwise.
        let request = Box::new(request);
        let (origin, early) = match self.origins.judge(&request.head) {
            Ok(Judged::Preflight(origin)) => (Some(origin), Some(Ok(self.origins.preflight()))),
            Ok(Judged::Named(origin)) => (Some(origin), None),
            Ok(Judged::Ordinary) => (None, None),
            Err(refused) => (None, Some(Err(refused))),
        };
        let outcome = match early {
            Some(outcome) => outcome,
            None => self.steps(request, (record, now)).await,
        };
        let mut response = match outcome {
            Ok(response) => response,
            Err(refused) => {
                // A refusal that nobody could read of later is not given.
                let refused = match record.require_place() {
                    Err(full) if refused.is_of_client() => refuse_unrecorded(full),
                    _ => refused,
                };
                record.error = Some(refused.code);
                match record.endpoint {
                    Some(Endpoint::Execute) => refused.response_as(media),
                    _ => refused.response(),
                }
            }
        };
        self.origins.mark(response.headers_mut(), origin);
        record.status = Some(response.status());
        recording.conclude().await;
        response
    }

    /// What moves content takes as long as its bytes move.
    fn time_limit(&self, head: &Parts) -> TimeLimit {
        let below = self.routes.without_base_path(&head.uri);
        let path = below.as_ref().unwrap_or(&head.uri).path();
        match self.routes.find(path, &head.method) {
            Ok(Endpoint::AttachmentsUpload | Endpoint::AttachmentsDownload) => {
                TimeLimit::WhileBytesMove
            }
            _ => TimeLimit::OfServer,
        }
    }

    fn stopping(&self) {
        self.observing.stop();
    }

    async fn farewell(&self) {
        self.observing.gone().await;
    }

    fn refuse(&self, refusal: &Refusal) -> Response {
        let code = match refusal {
            Refusal::HeadTooLarge { .. } => "head_too_large",
            Refusal::TooManyHeaders { .. } => "too_many_headers",
            Refusal::TimedOut { .. } => "timed_out",
            Refusal::TooManyConnections { .. } => "too_many_connections",
            Refusal::Failed => "internal",
        };
        Refused::new(refusal.status(), code, refusal.to_string()).response()
    }
}
