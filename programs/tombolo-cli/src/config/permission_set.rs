//! What an identity may do, checked: endpoints, kinds of statements, and rules on documents.

use std::collections::BTreeSet;
use std::sync::Arc;

use tombolo::{Rules, StatementKind};

use crate::edge::Endpoint;

/// The endpoints of the level `data`: documents and attachments, not what tells of the node.
const DATA_ENDPOINTS: [Endpoint; 4] = [
    Endpoint::Execute,
    Endpoint::Observe,
    Endpoint::AttachmentsUpload,
    Endpoint::AttachmentsDownload,
];
/// The statements of the level `data`: on documents, not on indexes or parameters that all share.
const DATA_STATEMENTS: [StatementKind; 6] = [
    StatementKind::Select,
    StatementKind::Insert,
    StatementKind::Update,
    StatementKind::Delete,
    StatementKind::Evict,
    StatementKind::Show,
];
const READ_ONLY_ENDPOINTS: [Endpoint; 3] = [
    Endpoint::Execute,
    Endpoint::Observe,
    Endpoint::AttachmentsDownload,
];
const READ_ONLY_STATEMENTS: [StatementKind; 2] = [StatementKind::Select, StatementKind::Show];

/// One grant. An identity with several may do what one of them allows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PermissionSet {
    pub(crate) endpoints: BTreeSet<Endpoint>,
    pub(crate) statements: BTreeSet<StatementKind>,
    pub(crate) read: Arc<Rules>,
    pub(crate) write: Arc<Rules>,
    /// Unix milliseconds from which on it grants nothing.
    pub(crate) expires_ms: Option<u64>,
}

impl PermissionSet {
    /// The documented level of this name, or ours.
    pub(crate) fn level(name: &str) -> Option<Self> {
        let everything = || Arc::new(Rules::everything());
        match name {
            "full" => Some(Self {
                endpoints: Endpoint::ALL.into(),
                statements: StatementKind::ALL.into(),
                read: everything(),
                write: everything(),
                expires_ms: None,
            }),
            "data" => Some(Self {
                endpoints: DATA_ENDPOINTS.into(),
                statements: DATA_STATEMENTS.into(),
                read: everything(),
                write: everything(),
                expires_ms: None,
            }),
            "read_only" => Some(Self {
                endpoints: READ_ONLY_ENDPOINTS.into(),
                statements: READ_ONLY_STATEMENTS.into(),
                read: everything(),
                write: Arc::new(Rules::nothing()),
                expires_ms: None,
            }),
            _ => None,
        }
    }

    /// Whether it grants anything at this moment.
    pub(crate) fn is_valid(&self, now_ms: u64) -> bool {
        self.expires_ms.is_none_or(|expires_ms| now_ms < expires_ms)
    }

    pub(crate) fn allows(&self, endpoint: Endpoint, kind: StatementKind) -> bool {
        self.endpoints.contains(&endpoint) && self.statements.contains(&kind)
    }
}
