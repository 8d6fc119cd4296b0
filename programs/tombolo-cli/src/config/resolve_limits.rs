//! The section `http_server.limits`: what one connection may cost.

use std::time::Duration;

use tombolo_http::Limits;

use super::raw::{Placed, RawHttpLimits, Setting};
use super::resolve::Findings;

const PATH: &str = "http_server.limits";

pub(super) fn limits(raw: Placed<Setting<RawHttpLimits>>, findings: &mut Findings) -> Limits {
    let mut limits = Limits::default();
    let Some(raw) = findings.section(PATH, raw) else {
        return limits;
    };
    let RawHttpLimits {
        header_bytes,
        header_count,
        backlog,
        keep_alive_secs,
        slow_client_secs,
    } = raw.value;
    let mut take = |name: &str, raw: Placed<u64>, least: u64, most: u64| -> Option<u64> {
        let raw = raw?;
        if (least..=most).contains(&raw.value) {
            return Some(raw.value);
        }
        let remedy = format!("write a number from {least} to {most}");
        let path = format!("{PATH}.{name}");
        findings.refuse(path, raw.referenced, "is out of range", remedy);
        None
    };
    let count = |taken: Option<u64>, default: usize| {
        taken
            .and_then(|taken| usize::try_from(taken).ok())
            .unwrap_or(default)
    };
    let time = |taken: Option<u64>, default: Duration| taken.map_or(default, Duration::from_secs);
    let bytes = take("header_bytes", header_bytes, 1024, 1024 * 1024);
    limits.header_bytes_max = count(bytes, limits.header_bytes_max);
    let fields = take(
        "header_count",
        header_count,
        1,
        Limits::HEADER_COUNT_WALL as u64,
    );
    limits.header_count_max = count(fields, limits.header_count_max);
    let waiting = take("backlog", backlog, 1, u64::from(u16::MAX));
    let waiting = waiting.and_then(|count| u32::try_from(count).ok());
    limits.backlog = waiting.unwrap_or(limits.backlog);
    let idle = take("keep_alive_secs", keep_alive_secs, 1, 3600);
    limits.keep_alive_timeout = time(idle, limits.keep_alive_timeout);
    let slow = take("slow_client_secs", slow_client_secs, 1, 600);
    limits.slow_client_timeout = time(slow, limits.slow_client_timeout);
    // A handshake is a step of the client like any other.
    limits.handshake_timeout = limits.handshake_timeout.min(limits.slow_client_timeout);
    limits
}
