//! The bodies of requests and answers as types, for the description of the API alone.
//! Statements are parsed and answers written by hand; the tests beside this file hold both against these.

#![expect(dead_code, reason = "they are only schemas")]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::{Map, Value};

/// What to run: one statement, or several that are kept together or not at all.
#[derive(JsonSchema)]
#[serde(untagged)]
pub(super) enum ExecuteRequest {
    One(Statement),
    Several(Statements),
}

/// Several statements.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Statements {
    #[schemars(length(min = 1, max = tombolo::BATCH_STATEMENTS_MAX))]
    statements: Vec<Statement>,
}

/// One statement.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Statement {
    /// The DQL statement. `query` is an older name of it.
    #[schemars(example = &"SELECT * FROM tasks WHERE done = :done")]
    pub(super) statement: String,
    /// A value for each `:name` of the statement. `query_args` is an older name of it.
    #[schemars(example = serde_json::json!({ "done": false }))]
    pub(super) args: Option<Map<String, Value>>,
}

/// What one statement gave, or several.
#[derive(JsonSchema)]
#[serde(untagged)]
pub(super) enum ExecuteResponse {
    One(Executed),
    Several(ExecutedAll),
}

/// What several statements gave.
#[derive(JsonSchema)]
pub(super) struct ExecutedAll {
    /// Which commit holds what was written; missing if nothing was.
    #[serde(rename = "transactionId")]
    transaction_id: Option<u64>,
    /// The same as `transactionId`.
    #[serde(rename = "commitId")]
    commit_id: Option<u64>,
    /// One for each statement, in their order.
    results: Vec<Executed>,
}

/// What a statement gave.
#[derive(JsonSchema)]
pub(super) struct Executed {
    /// Which commit holds what was written; missing if nothing was.
    #[serde(rename = "transactionId")]
    transaction_id: Option<u64>,
    /// The same as `transactionId`.
    #[serde(rename = "commitId")]
    commit_id: Option<u64>,
    #[serde(rename = "queryType")]
    query_type: QueryType,
    /// The rows of a SELECT.
    items: Vec<Value>,
    /// The ids of the documents that were written.
    #[serde(rename = "mutatedDocumentIds")]
    mutated_document_ids: Vec<Value>,
    /// Empty, as nothing failed.
    error: BTreeMap<String, Value>,
    /// At most ten of them.
    warnings: Vec<Warning>,
    /// How many there were.
    #[serde(rename = "totalWarningsCount")]
    total_warnings_count: u64,
}

/// What kind of statement it was.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
enum QueryType {
    Select,
    Mutation,
    Unknown,
}

/// What a statement could not do.
#[derive(JsonSchema)]
struct Warning {
    description: String,
}

/// A failure, in the shape of the answer to a statement.
#[derive(JsonSchema)]
pub(super) struct Failure {
    #[serde(rename = "queryType")]
    query_type: Unknown,
    items: Vec<Value>,
    #[serde(rename = "mutatedDocumentIds")]
    mutated_document_ids: Vec<Value>,
    error: FailureReason,
    warnings: Vec<Warning>,
    #[serde(rename = "totalWarningsCount")]
    total_warnings_count: u64,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
enum Unknown {
    Unknown,
}

/// Why it failed.
#[derive(JsonSchema)]
struct FailureReason {
    /// For people.
    description: String,
    /// For machines; never changes its spelling.
    code: String,
    /// Where in the statement or the body, from 1.
    line: Option<u64>,
    /// Where in the line, from 1.
    column: Option<u64>,
}

/// The process answers.
#[derive(JsonSchema)]
pub(super) struct Health {
    status: String,
}

/// Who is in the mesh, as this node sees it.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PresenceGraph {
    local_peer: Peer,
    remote_peers: Vec<Peer>,
}

/// One peer.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Peer {
    peer_key: String,
    /// The same under an older name.
    peer_key_string: String,
    device_name: String,
    os: Option<String>,
    ditto_sdk_version: Option<String>,
    is_connected_to_ditto_server: bool,
    is_compatible: bool,
    /// Whether it is a neighbour.
    direct: bool,
    connections: Vec<Connection>,
    peer_metadata: Map<String, Value>,
    identity_service_metadata: Map<String, Value>,
}

/// A link between two peers.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Connection {
    id: String,
    peer1: String,
    peer2: String,
    peer_key_string1: String,
    peer_key_string2: String,
    connection_type: String,
}

/// A failure of the identity service.
#[derive(JsonSchema)]
pub(super) struct LoginFailure {
    /// For machines; never changes its spelling.
    code: String,
    /// For people.
    message: String,
}

/// An attachment that was stored.
#[derive(JsonSchema)]
pub(super) struct Uploaded {
    /// The hash of the content, which names it.
    id: String,
    /// Its bytes.
    len: u64,
}
