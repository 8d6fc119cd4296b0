//! The certificate of the HTTPS port from an ACME server: asked for, proven on that port itself (tls-alpn-01),
//! kept on the disk and renewed in time. Nothing here delays the start of the node or a request.

mod account;
mod https;
mod kept;
mod order;
mod order_error;
mod proof;
mod schedule;
mod standing;
mod task;

use tombolo_http::About;

use crate::config::Acme;

pub(crate) use kept::Kept;
pub(crate) use standing::{Standing, Sums};
pub(crate) use task::AcmeTask;

/// Whether a certificate is for the domains that are asked for, no more and no fewer.
pub(crate) fn is_for(about: &About, acme: &Acme) -> bool {
    let names = |texts: &[String]| {
        let mut names: Vec<String> = texts.iter().map(|name| name.to_lowercase()).collect();
        names.sort();
        names
    };
    names(&about.names) == names(&acme.domains)
}
