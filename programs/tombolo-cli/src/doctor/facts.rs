//! What the checklist asks about, taken from a configuration that was read and checked. Holds no secret.

use std::net::{IpAddr, SocketAddr};

use tombolo_http::About;

use crate::acme::Kept;
use crate::config::{
    CertificateSource, Checked, Clients, Encryption, Enrolment, Http, Identity, PermissionSet,
    ProviderSettings,
};

/// Who has its token has all rights.
const PLAYGROUND: &str = "__playgroundProvider";
const DAY_S: i64 = 24 * 60 * 60;

/// A node as the checklist sees it.
#[derive(Debug)]
pub(super) struct Facts {
    /// `None`: it serves no HTTP.
    pub(super) http: Option<HttpFacts>,
    pub(super) membership: Membership,
    /// Where clients and peers are let in.
    pub(super) addresses: Vec<Address>,
    /// Keys of the configuration whose secrets stand in it.
    pub(super) typed_secrets: Vec<String>,
    /// Files with secrets that other users of the machine can read.
    pub(super) open_secret_files: Vec<String>,
    pub(super) has_audit: bool,
    pub(super) version: &'static str,
}

/// How the node and its peers prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Membership {
    /// It joins no mesh.
    None,
    Playground,
    SharedKey,
    /// By logins that somebody judges.
    Logins,
}

/// A socket that the node listens on.
#[derive(Debug)]
pub(super) struct Address {
    /// `host:port`.
    pub(super) text: String,
    pub(super) reach: Reach,
}

/// From where it is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    ThisMachine,
    OneNetwork,
    AllNetworks,
}

/// The HTTP server.
#[derive(Debug)]
pub(super) struct HttpFacts {
    /// `host:port`.
    pub(super) address: String,
    pub(super) is_local: bool,
    /// `None`: plain HTTP.
    pub(super) certificate: Option<CertificateFacts>,
    /// `None`: `auth: dev_mode`.
    pub(super) keys: Option<Vec<KeyFacts>>,
    pub(super) has_health: bool,
    pub(super) is_throttled: bool,
    pub(super) has_time_limit: bool,
    pub(super) connections_max: usize,
    /// Of `/execute`; `None`: the route is off.
    pub(super) execute_bytes_max: Option<u64>,
    /// Of an upload; `None`: the route is off.
    pub(super) upload_bytes_max: Option<u64>,
}

#[derive(Debug)]
pub(super) enum CertificateFacts {
    /// Of files that somebody else renews.
    Files {
        is_self_signed: bool,
        days_left: i64,
    },
    /// Of an ACME server, which the node asks by itself.
    Acme {
        /// `None`: there is none that can be used.
        days_left: Option<i64>,
        /// Why the last try to get one failed, if it did.
        failure: Option<String>,
    },
}

/// One identity.
#[derive(Debug)]
pub(super) struct KeyFacts {
    pub(super) name: String,
    pub(super) maker: Maker,
    /// Everything it may do ends on some day.
    pub(super) expires: bool,
    /// It has a permission set that allows everything.
    pub(super) is_full: bool,
}

/// Who made a key, as far as its hash tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    ThisProgram,
    /// Another one that hashes at the same cost.
    AsCostly,
    Unknown,
}

impl Facts {
    /// `now_ms` is unix milliseconds.
    pub(super) fn of(checked: &Checked, now_ms: u64) -> Self {
        let config = &checked.config;
        let open_files = config.open_secret_files.iter();
        Self {
            http: config
                .http
                .as_ref()
                .map(|http| served(http, checked, now_ms)),
            membership: membership(checked),
            addresses: addresses(checked),
            typed_secrets: config.typed_secrets.clone(),
            open_secret_files: open_files.map(|file| file.display().to_string()).collect(),
            has_audit: config.logging.audit.is_some(),
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

fn membership(checked: &Checked) -> Membership {
    let mut providers = checked
        .identity
        .iter()
        .flat_map(|service| &service.providers);
    let lets_anybody_in =
        providers.any(|(_, provider)| matches!(provider, ProviderSettings::Playground { .. }));
    match &checked.enrolment {
        _ if lets_anybody_in => Membership::Playground,
        Some(Enrolment::Login(login)) if login.provider == PLAYGROUND => Membership::Playground,
        Some(Enrolment::Login(_) | Enrolment::OwnService) => Membership::Logins,
        None if checked.sync.is_some() => Membership::SharedKey,
        None => Membership::None,
    }
}

fn addresses(checked: &Checked) -> Vec<Address> {
    let http = checked.config.http.iter().map(|http| {
        let address = http.listen_address.parse::<SocketAddr>();
        let reach = match address {
            _ if http.is_local => Reach::ThisMachine,
            Ok(address) => reach(address.ip()),
            Err(_) => Reach::OneNetwork,
        };
        Address {
            text: http.listen_address.clone(),
            reach,
        }
    });
    let mesh = checked.sync.iter().flat_map(|options| &options.listen);
    let mesh = mesh.map(|address| Address {
        text: address.to_string(),
        reach: reach(address.ip()),
    });
    http.chain(mesh).collect()
}

fn reach(ip: IpAddr) -> Reach {
    match ip {
        _ if ip.is_loopback() => Reach::ThisMachine,
        _ if ip.is_unspecified() => Reach::AllNetworks,
        _ => Reach::OneNetwork,
    }
}

fn served(http: &Http, checked: &Checked, now_ms: u64) -> HttpFacts {
    let now_s = i64::try_from(now_ms / 1000).unwrap_or(i64::MAX);
    let certificate = certificate(http, checked, now_s);
    let keys = match &http.clients {
        Clients::Anyone => None,
        Clients::Known(identities) => Some(identities.iter().map(key).collect()),
    };
    HttpFacts {
        address: http.listen_address.clone(),
        is_local: http.is_local,
        certificate,
        keys,
        has_health: http.api.health,
        is_throttled: !http.throttling.is_empty(),
        has_time_limit: http.request_timeout.is_some(),
        connections_max: http.connections_max,
        execute_bytes_max: http.api.execute_body_bytes_max.map(|bytes| bytes as u64),
        upload_bytes_max: http.api.attachments_upload_bytes_max,
    }
}

fn certificate(http: &Http, checked: &Checked, now_s: i64) -> Option<CertificateFacts> {
    let days_left = |about: &About| about.not_after_unix_s.saturating_sub(now_s) / DAY_S;
    let Encryption::Tls(tls) = &http.encryption else {
        return None;
    };
    if let CertificateSource::Acme(acme) = &tls.source {
        let kept = Kept::of(&checked.data_directory, &acme.directory_url);
        let certificate = kept.certificate(now_s).ok().flatten();
        let failure = match kept.tries() {
            Ok(tries) => tries.failure.map(|failure| failure.reason),
            Err(error) => Some(error.to_string()),
        };
        return Some(CertificateFacts::Acme {
            days_left: certificate.map(|certificate| days_left(certificate.about())),
            failure,
        });
    }
    let about = checked.tls.as_ref()?.certificate.as_ref()?.about();
    Some(CertificateFacts::Files {
        is_self_signed: about.is_self_signed,
        days_left: days_left(about),
    })
}

fn key(identity: &Identity) -> KeyFacts {
    let hash = &identity.hash;
    let maker = match (hash.id(), hash.is_of_generated_form()) {
        (Some(_), true) => Maker::ThisProgram,
        (None, true) => Maker::AsCostly,
        (_, false) => Maker::Unknown,
    };
    let sets = &identity.permissions;
    KeyFacts {
        name: identity.audit_id.clone(),
        maker,
        expires: sets.iter().all(|set| set.expires_ms.is_some()),
        is_full: sets.iter().any(|set| allows_everything(set)),
    }
}

fn allows_everything(set: &PermissionSet) -> bool {
    PermissionSet::level("full").is_some_and(|full| {
        PermissionSet {
            expires_ms: full.expires_ms,
            ..set.clone()
        } == full
    })
}
