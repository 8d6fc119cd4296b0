//! The clients of the HTTP API while the node runs: their keys and permission sets are taken anew with the configuration.

use std::sync::Arc;

use super::reload::{Cause, Party, Taken};
use crate::config::{Clients, Config};
use crate::edge::Guard;
use crate::run::say;

/// Keeps the guard at what the configuration says.
pub(crate) struct ClientsKeeper {
    guard: Arc<Guard>,
    /// What the guard has; the same clients are not taken twice, so that checked keys stay checked.
    clients: Clients,
}

impl ClientsKeeper {
    pub(crate) const fn new(guard: Arc<Guard>, clients: Clients) -> Self {
        Self { guard, clients }
    }
}

impl Party for ClientsKeeper {
    fn reload(&mut self, config: Option<&Config>, _: Cause, _: i64) -> Taken {
        let Some(config) = config else {
            return Taken::NotAll;
        };
        let clients = config.http.as_ref().map(|http| &http.clients);
        match (&self.clients, clients) {
            (held, Some(clients)) if held == clients => Taken::All,
            (Clients::Known(_), Some(Clients::Known(identities))) => {
                let count = identities.len();
                self.clients = Clients::Known(identities.clone());
                self.guard.replace(self.clients.clone());
                say(&format!("auth: {count} identities are in use"));
                Taken::All
            }
            _ => {
                tracing::error!(
                    "auth changed to or from dev_mode, or http_server is gone, and the node goes on with the clients before: restart it"
                );
                Taken::All
            }
        }
    }
}
