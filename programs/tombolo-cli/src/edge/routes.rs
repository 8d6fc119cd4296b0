//! From path and method to an endpoint. What is off is not found, like what never was.

use http::{HeaderValue, Method, StatusCode, header};
use tombolo::WEBSOCKET_PATH;

use super::endpoint::Endpoint;
use super::reply::Refused;
use crate::config::Api;
use crate::identity;

/// The paths of one node.
#[derive(Debug)]
pub(crate) struct Routes {
    api: Api,
    database_id: String,
    /// Whether devices log in here.
    login: bool,
}

impl Routes {
    pub(crate) const fn new(api: Api, database_id: String, login: bool) -> Self {
        Self {
            api,
            database_id,
            login,
        }
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
        let endpoint = match path {
            "/health" => Endpoint::Health,
            "/presence" => Endpoint::Presence,
            WEBSOCKET_PATH => Endpoint::Sync,
            "/execute" | "/api/v4/store/execute" | "/api/v5/store/execute" => Endpoint::Execute,
            _ if self.login && identity::serves(path) => Endpoint::Login,
            _ => self.of_database(path)?,
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

    const fn is_on(&self, endpoint: Endpoint) -> bool {
        match endpoint {
            Endpoint::Execute => self.api.execute_body_bytes_max.is_some(),
            Endpoint::Presence => self.api.presence,
            Endpoint::Health => self.api.health,
            Endpoint::Sync => true,
            Endpoint::Login => self.login,
            _ => false,
        }
    }
}

/// The methods of an endpoint and how `Allow` tells them; `None`: the endpoint sees to it.
const fn methods(endpoint: Endpoint) -> Option<(&'static [Method], &'static str)> {
    match endpoint {
        Endpoint::Execute | Endpoint::AttachmentsUpload => Some((&[Method::POST], "POST")),
        Endpoint::Sync | Endpoint::Login | Endpoint::Observe => None,
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
