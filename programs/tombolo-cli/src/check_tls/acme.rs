//! What the disk tells of a certificate that the node asks an ACME server for. Nobody is asked.

use std::path::Path;

use tombolo_http::Certificate;

use super::{Report, remedy};
use crate::acme::{Kept, is_for};
use crate::clock::rfc_3339;
use crate::config::Acme;

const FIRST_REMEDY: &str = "start the node, which asks for it as soon as it listens; its messages of acme tell how that goes";
const AGAIN_REMEDY: &str = "mend what the reason names; the node tries again by itself, and at once when it is started anew";

/// The certificate that is kept, if it can be used.
pub(super) fn look(
    acme: &Acme,
    data_directory: &Path,
    now_unix_s: i64,
    report: &mut Report<'_>,
) -> std::io::Result<Option<Certificate>> {
    let names = acme.domains.join(", ");
    let asked = format!("{names} at {}, its terms are agreed to", acme.directory_url);
    report.fine("acme", &asked)?;
    let kept = Kept::of(data_directory, &acme.directory_url);
    report.fine("kept in", &kept.directory().display().to_string())?;
    let failure = match kept.tries() {
        Ok(tries) => tries.failure,
        Err(error) => {
            report.fault("tries", &error.to_string(), "run this as the node's user")?;
            None
        }
    };
    let failure = failure.map(|failure| {
        let at_ms = u64::try_from(failure.at_unix_s)
            .unwrap_or(0)
            .saturating_mul(1000);
        format!(
            "the last try, at {}, failed: {}",
            rfc_3339(at_ms),
            failure.reason
        )
    });
    let found = kept.certificate(now_unix_s);
    match (found, failure) {
        (Err(error), failure) => {
            report.fault("kept", &error.to_string(), remedy(&error))?;
            if let Some(failure) = failure {
                report.note("renewal", &failure)?;
            }
            Ok(None)
        }
        (Ok(None), None) => {
            report.fault("certificate", "none yet", FIRST_REMEDY)?;
            Ok(None)
        }
        (Ok(None), Some(failure)) => {
            report.fault("certificate", &format!("none yet: {failure}"), AGAIN_REMEDY)?;
            Ok(None)
        }
        (Ok(Some(certificate)), failure) => {
            if let Some(failure) = failure {
                report.fault("renewal", &failure, AGAIN_REMEDY)?;
            }
            if !is_for(certificate.about(), acme) {
                let held = certificate.about().names.join(", ");
                let what = format!("the one that is kept is for {held}; a running node asks anew");
                report.note("certificate", &what)?;
            }
            Ok(Some(certificate))
        }
    }
}
