//! The section `database`: the local replica, what it asks its peers for, and where it lies.

use serde_saphyr::Location;
use tombolo::OnLostAccess;

use super::meaning::{Database, Directory};
use super::raw::{Placed, RawDatabase, Spanned};
use super::resolve::Findings;
use super::resolve_mesh::{Door, OwnService};
use super::{resolve_directory, resolve_mesh, resolve_subscriptions};

/// Longest database id, in bytes; it appears in paths of the HTTP API.
const ID_BYTES_MAX: usize = 128;
/// Longest device name, in bytes; every peer is told it.
const DEVICE_NAME_BYTES_MAX: usize = 128;

pub(super) fn database(
    raw: RawDatabase,
    surroundings: (OwnService, Door),
    findings: &mut Findings,
) -> Option<Database> {
    let id = database_id(raw.db_id, findings);
    let name_bytes = raw.device_name.value.len();
    if !(1..=DEVICE_NAME_BYTES_MAX).contains(&name_bytes) {
        let what = match name_bytes {
            0 => "is empty".to_owned(),
            _ => format!("has {name_bytes} bytes"),
        };
        let remedy = format!("give the device a name of 1 to {DEVICE_NAME_BYTES_MAX} bytes");
        findings.refuse(
            "database.device_name",
            raw.device_name.referenced,
            what,
            remedy,
        );
    }
    let mesh = resolve_mesh::mesh(raw.auth, raw.transport_config, surroundings, findings);
    let subscriptions = resolve_subscriptions::subscriptions(raw.subscriptions, findings);
    let on_lost_access = on_lost_access(raw.on_lost_access, findings);
    let directory = match raw.persistence_dir {
        None => Some(Directory::NextToExecutable),
        Some(raw) => resolve_directory::directory("database.persistence_dir", raw, findings),
    };
    Some(Database {
        id: id?,
        device_name: raw.device_name.value,
        directory: directory?,
        subscriptions,
        on_lost_access: on_lost_access?,
        auto_fetch_attachments: raw.auto_fetch_attachments.is_some_and(|raw| raw.value),
        mesh,
    })
}

fn database_id(raw: Spanned<String>, findings: &mut Findings) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let id = raw.value;
    if (1..=ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(is_plain) {
        return Some(id);
    }
    let remedy = "use a UUID, or up to 128 letters, digits, dashes, dots and underscores";
    findings.refuse(
        "database.db_id",
        raw.referenced,
        "is not a database id",
        remedy,
    );
    None
}

/// What becomes of documents that a login no longer lets this node read.
fn on_lost_access(raw: Placed<String>, findings: &mut Findings) -> Option<OnLostAccess> {
    let Some(raw) = raw else {
        return Some(OnLostAccess::default());
    };
    match raw.value.as_str() {
        "keep" => Some(OnLostAccess::Keep),
        "purge" => Some(OnLostAccess::Purge),
        _ => {
            let path = "database.on_lost_access";
            let remedy = "write keep or purge";
            findings.refuse(path, raw.referenced, "names no policy", remedy);
            None
        }
    }
}

/// A text that is not empty.
pub(super) fn filled(
    path: String,
    text: Spanned<String>,
    findings: &mut Findings,
) -> Option<String> {
    let place: Location = text.referenced;
    if text.value.is_empty() {
        findings.refuse(path, place, "is empty", "write a path or a name");
        return None;
    }
    Some(text.value)
}
