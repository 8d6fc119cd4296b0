//! Reloads in the audit log: that one was asked for, whether the configuration could be used, which certificate is new.

use std::sync::Arc;

use super::reload::{Cause, Party, Taken};
use crate::audit::{AdminAct, Audit, Outcome, tell_outcome};
use crate::config::Config;
use crate::health::Node;

/// Writes down what a reload did.
pub(super) struct AuditParty {
    audit: Arc<Audit>,
    node: Node,
    /// When the certificate ended that was told of last.
    expires_s: Option<i64>,
}

impl AuditParty {
    /// `None`: nobody keeps an audit log.
    pub(super) fn of(node: &Node) -> Option<Box<dyn Party>> {
        let audit = node.audit()?;
        Some(Box::new(Self {
            audit,
            node: node.clone(),
            expires_s: node.certificate_expires_s(),
        }))
    }
}

impl Party for AuditParty {
    fn reload(&mut self, config: Option<&Config>, cause: Cause, _: i64) -> Taken {
        let detail = match cause {
            Cause::Asked => "by a signal",
            Cause::Changed => "a file changed",
            // What failed before was told before; only its success is news, and that is told below.
            Cause::Retried => "",
        };
        if cause != Cause::Retried {
            let outcome = config.map_or(Outcome::Failed, |_| Outcome::Done);
            tell_outcome(&self.audit, (AdminAct::ConfigReload, outcome), detail);
        }
        let expires_s = self.node.certificate_expires_s();
        // Of one from an ACME server the task tells by itself.
        if expires_s != self.expires_s && self.node.acme().is_none() {
            self.expires_s = expires_s;
            let ends =
                expires_s.map_or_else(String::new, |at| format!("it ends at {at} s after 1970"));
            let act = (AdminAct::CertificateChange, Outcome::Done);
            tell_outcome(&self.audit, act, ends);
        }
        Taken::All
    }
}
