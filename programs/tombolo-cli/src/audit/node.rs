//! The audit log of a node as it runs: opened by its configuration, told of acts that nobody requested.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use super::{AdminAct, AdminRecord, Audit, AuditError, Outcome, Owner};
use crate::clock::unix_ms;
use crate::config::{Database, Logging};

/// Opens the audit log in `directory`, if the operator wants one.
///
/// # Errors
/// [`AuditError`].
pub(crate) fn of_node(
    directory: Option<&Path>,
    logging: &Logging,
    database: &Database,
) -> Result<Option<Arc<Audit>>, AuditError> {
    let (Some(directory), Some(wanted)) = (directory, &logging.audit) else {
        return Ok(None);
    };
    let owner = Owner {
        database: database.id.clone(),
        device: database.device_name.clone(),
    };
    let wanted = (wanted.rotation, wanted.reads);
    Audit::open(directory, wanted, owner, unix_ms()).map(|audit| Some(Arc::new(audit)))
}

/// Writes down an act that succeeded. `detail` is ours and holds no secret.
pub(crate) fn tell(audit: Option<&Audit>, act: AdminAct, detail: impl Into<Cow<'static, str>>) {
    if let Some(audit) = audit {
        tell_outcome(audit, (act, Outcome::Done), detail);
    }
}

/// Writes down an act and how it ended.
pub(crate) fn tell_outcome(
    audit: &Audit,
    (act, result): (AdminAct, Outcome),
    detail: impl Into<Cow<'static, str>>,
) {
    let detail = detail.into();
    audit.note(
        AdminRecord {
            act,
            result,
            detail,
        },
        unix_ms(),
    );
}
