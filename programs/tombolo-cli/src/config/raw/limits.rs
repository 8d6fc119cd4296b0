//! `http_server.limits` as it was typed.

use schemars::JsonSchema;
use serde::Deserialize;
use tombolo_http::Limits;

use super::Placed;

/// What one connection may cost.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HttpLimits")]
pub(crate) struct RawHttpLimits {
    /// Bytes of the request line and all header fields together, from 1024 to 1048576. More are answered with 431.
    #[schemars(range(min = 1024, max = 1_048_576), extend("default" = Limits::HEADER_BYTES_MAX))]
    pub(crate) header_bytes: Placed<u64>,
    /// Header fields of one request, from 1 to 100. More are answered with 431.
    #[schemars(range(min = 1, max = 100), extend("default" = Limits::HEADER_COUNT_MAX))]
    pub(crate) header_count: Placed<u64>,
    /// Connections that the system holds until they are accepted, from 1 to 65535.
    #[schemars(range(min = 1, max = 65_535), extend("default" = Limits::BACKLOG))]
    pub(crate) backlog: Placed<u64>,
    /// Seconds that a connection may lie idle between two requests, from 1 to 3600.
    #[schemars(range(min = 1, max = 3_600), extend("default" = 30))]
    pub(crate) keep_alive_secs: Placed<u64>,
    /// Seconds that a client may take to send a request head, or to move 1 KiB of a body, from 1 to 600. A slower one is cut off.
    #[schemars(range(min = 1, max = 600), extend("default" = 30))]
    pub(crate) slow_client_secs: Placed<u64>,
}
