//! An offline-first document database: open, execute, transact, close.
//!
//! ```
//! use tombolo::{Database, Object, Options, Value};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let directory = tempfile::tempdir()?;
//! let database = Database::open(Options::directory("my-database", directory.path()))?;
//! let task = Object::from([("title".to_owned(), Value::from("buy milk"))]);
//! let arguments = Object::from([("task".to_owned(), Value::Object(task))]);
//! let inserted = database.execute("INSERT INTO tasks DOCUMENTS (:task)", arguments)?;
//! assert_eq!(inserted.mutated_document_ids.len(), 1);
//!
//! let found = database.execute("SELECT title FROM tasks", Object::new())?;
//! assert_eq!(tombolo::json::print(&found.items[0]), r#"{"title":"buy milk"}"#);
//! database.close();
//! # Ok(())
//! # }
//! ```

mod access;
mod attachments;
mod check_subscription;
mod commit_feed;
mod database;
mod differ;
mod error;
mod fingerprint;
pub mod login;
mod observe;
mod open;
mod options;
mod parts;
mod peer_key;
mod place;
pub mod replication;
mod response;
mod statements;
mod store_status;
mod surroundings;
mod sync;
mod transaction;

pub use access::{
    Access, AnswerOf, BATCH_ITEM_BYTES_MAX, BATCH_STATEMENTS_MAX, Batch, BatchError, Once, Ran,
    Step,
};
pub use attachments::{COLLECT_INTERVAL, CollectError, NewAttachmentError};
pub use check_subscription::check_subscription;
pub use commit_feed::{COMMIT_LISTENERS_MAX, CommitListener};
pub use database::Database;
pub use differ::{Diff, Differ};
pub use error::{ExecuteError, OpenError, TransactionError};
pub use login::{AuthObserver, AuthServer, AuthStatus, LoginError, LoginOutcome};
pub use observe::{OBSERVERS_MAX, Observer, WATCHES_MAX, Watch};
pub use options::{OnLostAccess, Options, Storage};
pub use peer_key::PeerKeyError;
pub use response::Response;
pub use statements::Prepared;
pub use store_status::StoreStatus;
pub use surroundings::{ObserverDriver, Surroundings};
pub use sync::{
    AttachmentFetch, AttachmentTraffic, FetchError, FetchState, FetchWait, MAX_LINKS_DEFAULT,
    Membership, PeerProgress, RETRY_INTERVAL_DEFAULT, SUBSCRIPTIONS_MAX, Subscription, SyncError,
    SyncOptions, SyncStatus, SyncTraffic, WebSocketDoor, WebSocketServer,
};
pub use tombolo_document::attachment::{
    AttachmentId, AttachmentToken, CHUNK_BYTES as ATTACHMENT_CHUNK_BYTES,
};
pub use tombolo_document::value::MAX_DEPTH;
pub use tombolo_document::{DocumentId, Object, SiteId, Value, json};
pub use tombolo_identity::{
    PeerPublicKey, Permissions, Quoted, RuleError, RuleSyntax, Rules, SharedKey, SharedKeyError,
    VerifyError,
};
pub use tombolo_mesh::presence::PresenceGraph;
pub use tombolo_mesh::{
    DialState, MeshError, MeshStatus, NoUpgrade, ServerStatus, WEBSOCKET_PATH, WebServerError,
    websocket_accept,
};
pub use tombolo_query::{OutcomeKind, Parameters, QueryError, StatementKind};
pub use tombolo_store::attachments::{
    AttachmentContent, AttachmentError, AttachmentReader, AttachmentWriter, Attachments, Collected,
};
pub use tombolo_store::{
    ANSWER_BYTES_MAX, AnswerKey, FLUSH_BOUNDS_US, FlushTimes, Snapshot, Store, Timekeeper, engine,
};
pub use transaction::{ReadTransaction, Transaction};
