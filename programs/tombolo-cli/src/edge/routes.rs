//! From path and method to an endpoint. What is off is not found, like what never was.

use http::{HeaderValue, Method, StatusCode, Uri, header};
use tombolo::WEBSOCKET_PATH;
use tombolo_identity::{CA_PATH, CHALLENGE_PATH, JWKS_PATH, LOGIN_PATH, REVOCATIONS_PATH};

use super::attachments::{PATH as ATTACHMENTS, UPLOAD_PATH};
use super::endpoint::Endpoint;
use super::reply::Refused;
use crate::config::Api;
use crate::identity;

/// Every path that is served while its endpoint is on, as the description of the API writes it:
/// a step in braces stands for a name.
pub(super) const PATHS: [(&str, Endpoint); 24] = [
    ("/execute", Endpoint::Execute),
    ("/{db_id}/execute", Endpoint::Execute),
    ("/api/v4/store/execute", Endpoint::Execute),
    ("/api/v5/store/execute", Endpoint::Execute),
    (UPLOAD_PATH, Endpoint::AttachmentsUpload),
    ("/attachments/{id}", Endpoint::AttachmentsDownload),
    ("/presence", Endpoint::Presence),
    ("/observe", Endpoint::Observe),
    ("/health", Endpoint::Health),
    ("/health/ready", Endpoint::Ready),
    ("/metrics", Endpoint::Metrics),
    ("/logs", Endpoint::Logs),
    ("/docs", Endpoint::Docs),
    ("/docs/", Endpoint::Docs),
    ("/docs/edge_server_api.json", Endpoint::Docs),
    ("/docs/start.js", Endpoint::Docs),
    ("/docs/swagger-ui-bundle.js", Endpoint::Docs),
    ("/docs/swagger-ui.css", Endpoint::Docs),
    (WEBSOCKET_PATH, Endpoint::Sync),
    (CHALLENGE_PATH, Endpoint::Login),
    (LOGIN_PATH, Endpoint::Login),
    (CA_PATH, Endpoint::Login),
    (JWKS_PATH, Endpoint::Login),
    (REVOCATIONS_PATH, Endpoint::Login),
];

/// The paths of one node.
#[derive(Debug)]
pub(crate) struct Routes {
    api: Api,
    database_id: String,
    /// What may stand in front of each path, without slashes.
    base_path: Option<String>,
    /// Whether devices log in here.
    login: bool,
}

impl Routes {
    pub(crate) const fn new(api: Api, database_id: String, login: bool) -> Self {
        Self {
            api,
            database_id,
            base_path: None,
            login,
        }
    }

    /// Serves all paths below this one too.
    pub(crate) fn also_below(mut self, base_path: Option<String>) -> Self {
        self.base_path = base_path;
        self
    }

    pub(super) fn database_id(&self) -> &str {
        &self.database_id
    }

    pub(super) fn base_path(&self) -> Option<&str> {
        self.base_path.as_deref()
    }

    /// The same request target without the base path, if it begins with it.
    pub(super) fn without_base_path(&self, target: &Uri) -> Option<Uri> {
        let base_path = self.base_path.as_deref()?;
        let rest = target.path().strip_prefix('/')?.strip_prefix(base_path)?;
        let path = match rest {
            "" => "/health",
            rest if rest.starts_with('/') => rest,
            _ => return None,
        };
        let query = target.query().map(|query| format!("?{query}"));
        format!("{path}{}", query.unwrap_or_default()).parse().ok()
    }

    pub(crate) const fn api(&self) -> &Api {
        &self.api
    }

    /// Which endpoint a request is for; its method is one of the endpoint's.
    pub(crate) fn find(&self, path: &str, method: &Method) -> Result<Endpoint, Refused> {
        let endpoint = self.endpoint(path)?;
        match methods(endpoint) {
            Some((methods, names)) if !methods.contains(method) => Err(wrong_method(names)),
            _ => Ok(endpoint),
        }
    }

    fn endpoint(&self, path: &str) -> Result<Endpoint, Refused> {
        let mut whole = PATHS.iter().filter(|(served, _)| !served.contains('{'));
        let endpoint = match whole.find(|(served, _)| *served == path) {
            Some((_, endpoint)) => *endpoint,
            None if self.login && identity::serves(path) => Endpoint::Login,
            None if path.starts_with(ATTACHMENTS) => Endpoint::AttachmentsDownload,
            None => self.of_database(path)?,
        };
        if self.is_on(endpoint) {
            Ok(endpoint)
        } else {
            Err(unknown_path())
        }
    }

    /// Paths that begin with the id of the database.
    fn of_database(&self, path: &str) -> Result<Endpoint, Refused> {
        let database = path
            .strip_prefix('/')
            .and_then(|path| path.strip_suffix("/execute"));
        match database {
            Some(database) if database == self.database_id => Ok(Endpoint::Execute),
            Some(database) if !database.is_empty() && !database.contains('/') => Err(Refused::new(
                StatusCode::NOT_FOUND,
                "unknown_database",
                "this node holds another database; compare the path with database.db_id",
            )),
            _ => Err(unknown_path()),
        }
    }

    pub(super) const fn is_on(&self, endpoint: Endpoint) -> bool {
        match endpoint {
            Endpoint::Execute => self.api.execute_body_bytes_max.is_some(),
            Endpoint::AttachmentsUpload => self.api.attachments_upload_bytes_max.is_some(),
            Endpoint::AttachmentsDownload => self.api.attachments_download,
            Endpoint::Presence => self.api.presence,
            Endpoint::Observe => self.api.observe,
            Endpoint::Health | Endpoint::Ready => self.api.health,
            Endpoint::Metrics => self.api.metrics,
            Endpoint::Logs => self.api.logs,
            Endpoint::Docs => self.api.docs,
            Endpoint::Sync => true,
            Endpoint::Login => self.login,
        }
    }
}

/// The methods of an endpoint and how `Allow` tells them; `None`: the endpoint sees to it.
const fn methods(endpoint: Endpoint) -> Option<(&'static [Method], &'static str)> {
    match endpoint {
        Endpoint::Execute | Endpoint::AttachmentsUpload => Some((&[Method::POST], "POST")),
        Endpoint::Observe => Some((&[Method::GET, Method::POST], "GET, POST")),
        Endpoint::Sync | Endpoint::Login => None,
        _ => Some((&[Method::GET, Method::HEAD], "GET, HEAD")),
    }
}

/// Nothing is there.
pub(super) fn unknown_path() -> Refused {
    let text =
        "nothing is served at this path; check it, and whether the configuration turns it on";
    Refused::new(StatusCode::NOT_FOUND, "unknown_path", text)
}

fn wrong_method(allowed: &'static str) -> Refused {
    let text = format!("this path takes {allowed}");
    let mut refused = Refused::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", text);
    refused.header = Some((header::ALLOW, HeaderValue::from_static(allowed)));
    refused
}
