//! The parts of the HTTP API by name: as the configuration turns them on, as permission sets
//! grant them, and as records of requests tell them.

use std::fmt;

/// One part of the HTTP API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Endpoint {
    Execute,
    AttachmentsUpload,
    AttachmentsDownload,
    Presence,
    Logs,
    Metrics,
    Docs,
    Observe,
    Health,
    Ready,
    Sync,
    Login,
}

impl Endpoint {
    /// Every endpoint.
    pub(crate) const ALL: [Self; 12] = [
        Self::Execute,
        Self::AttachmentsUpload,
        Self::AttachmentsDownload,
        Self::Presence,
        Self::Logs,
        Self::Metrics,
        Self::Docs,
        Self::Observe,
        Self::Health,
        Self::Ready,
        Self::Sync,
        Self::Login,
    ];

    /// Its name, which never changes.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Execute => "execute",
            Self::AttachmentsUpload => "attachments_upload",
            Self::AttachmentsDownload => "attachments_download",
            Self::Presence => "presence",
            Self::Logs => "logs",
            Self::Metrics => "metrics",
            Self::Docs => "docs",
            Self::Observe => "observe",
            Self::Health => "health",
            Self::Ready => "ready",
            Self::Sync => "sync",
            Self::Login => "login",
        }
    }

    /// The endpoint with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|endpoint| endpoint.name() == name)
    }

    /// Whether its requests belong into the audit log. Others hand out nothing of the database, and are asked every
    /// few seconds by whoever watches the node.
    pub(crate) const fn is_recorded(self) -> bool {
        !matches!(
            self,
            Self::Metrics | Self::Docs | Self::Health | Self::Ready
        )
    }

    /// The endpoint at this path, as documented.
    pub(crate) fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/execute" => Self::Execute,
            "/attachments/upload" => Self::AttachmentsUpload,
            "/attachments" => Self::AttachmentsDownload,
            "/presence" => Self::Presence,
            "/logs" => Self::Logs,
            "/metrics" => Self::Metrics,
            "/docs" => Self::Docs,
            "/observe" => Self::Observe,
            "/health" => Self::Health,
            "/health/ready" => Self::Ready,
            _ => return None,
        })
    }

    /// Whether a client needs an API key for it. Peers that sync and devices that log in
    /// prove themselves in other ways; health and docs tell nothing that is worth a key.
    pub(crate) const fn needs_key(self) -> bool {
        match self {
            Self::Execute
            | Self::AttachmentsUpload
            | Self::AttachmentsDownload
            | Self::Presence
            | Self::Logs
            | Self::Metrics
            | Self::Observe => true,
            Self::Docs | Self::Health | Self::Ready | Self::Sync | Self::Login => false,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_is_found_by_its_name() {
        for endpoint in Endpoint::ALL {
            assert_eq!(Endpoint::named(endpoint.name()), Some(endpoint));
        }
        assert_eq!(Endpoint::named("EXECUTE"), None);
    }
}
