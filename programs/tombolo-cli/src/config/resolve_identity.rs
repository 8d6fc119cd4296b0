//! The section `identity_service`: who recognizes users, and where the keys of the fleet lie.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_saphyr::Location;
use tombolo::{Object, Value};
use tombolo_identity::{
    EXPIRATION_S_MAX, Grants, PLAYGROUND_PROVIDER, PROVIDER_BYTES_MAX, ProviderAnswer,
    SIGNATURES_MAX, TokenRules, WebhookSecret,
};

use super::meaning::{Encryption, Http};
use super::meaning_identity::{Endpoint, IdentityService, KeysFrom, LoginLimits, Provider};
use super::raw::{
    Placed, RawIdentityService, RawJwt, RawLoginLimits, RawProvider, RawSecret, RawWebhook,
    Setting, Spanned,
};
use super::resolve::Findings;
use super::resolve_database::filled;
use super::resolve_secret::secret;
use super::secret::SecretText;
use super::url;

const PATH: &str = "identity_service";
const PROVIDERS_MAX: usize = 32;
const TIMEOUT_MS: u64 = 5000;
const TIMEOUT_MS_RANGE: (u64, u64) = (100, 60_000);
const LOGINS_RANGE: (u64, u64) = (1, 1_000_000);
/// Many devices may share one address behind a gateway.
const LOGINS_PER_ADDRESS: u64 = 120;
const LOGINS_PER_USER: u64 = 20;

pub(super) fn identity_service(
    raw: Placed<Setting<RawIdentityService>>,
    http: Option<&Http>,
    findings: &mut Findings,
) -> Option<IdentityService> {
    let raw = findings.section(PATH, raw)?;
    let Some(http) = http else {
        let remedy = "add http_server: devices log in over HTTPS";
        findings.refuse(
            PATH,
            raw.referenced,
            "cannot be reached without http_server",
            remedy,
        );
        return None;
    };
    let ca = filled(format!("{PATH}.ca.path"), raw.value.ca.value.path, findings);
    let providers = providers(raw.value.providers, findings);
    notice_late_webhooks(&providers, http, findings);
    let limits = limits(raw.value.limits, findings);
    Some(IdentityService {
        ca: ca?.into(),
        providers,
        limits,
        is_development: matches!(http.encryption, Encryption::Plain),
    })
}

/// The HTTP server would answer 408 before the webhook is given up.
fn notice_late_webhooks(providers: &[(String, Provider)], http: &Http, findings: &mut Findings) {
    let Some(request_timeout) = http.request_timeout else {
        return;
    };
    for (name, provider) in providers {
        if let Provider::Webhook { timeout, .. } = provider
            && *timeout >= request_timeout
        {
            findings.notice(format!(
                "{PATH}.providers.{name}.webhook.timeout_ms: is not below http_server.request_timeout_ms, so a slow webhook ends as 408"
            ));
        }
    }
}

fn providers(
    raw: Spanned<BTreeMap<String, Spanned<RawProvider>>>,
    findings: &mut Findings,
) -> Vec<(String, Provider)> {
    let path = format!("{PATH}.providers");
    if !(1..=PROVIDERS_MAX).contains(&raw.value.len()) {
        let remedy = format!("name 1 to {PROVIDERS_MAX} providers: without one nobody can log in");
        findings.refuse(path, raw.referenced, "has no entries, or too many", remedy);
        return Vec::new();
    }
    let mut providers = Vec::new();
    for (name, entry) in raw.value {
        if name.is_empty() || name.len() > PROVIDER_BYTES_MAX || name.contains(char::is_control) {
            let remedy = "use 1 to 128 bytes without control characters";
            findings.refuse(&path, entry.referenced, "has a name that is none", remedy);
            continue;
        }
        let place = entry.referenced;
        let provider = provider(
            (&name, &format!("{path}.{name}")),
            entry.value,
            place,
            findings,
        );
        providers.extend(provider.map(|provider| (name, provider)));
    }
    providers
}

fn provider(
    (name, path): (&str, &str),
    raw: RawProvider,
    place: Location,
    findings: &mut Findings,
) -> Option<Provider> {
    let playground = findings.section(&format!("{path}.playground"), raw.playground);
    let webhook = findings.section(&format!("{path}.webhook"), raw.webhook);
    let jwt = findings.section(&format!("{path}.jwt"), raw.jwt);
    let is_playground = playground.is_some();
    let found = match (playground, webhook, jwt) {
        (Some(raw), None, None) => {
            let token = format!("{path}.playground.shared_token");
            let shared_token = secret(&token, raw.value.shared_token, findings);
            shared_token.map(|token| Provider::Playground {
                shared_token: SecretText::new(token.text),
            })
        }
        (None, Some(raw), None) => webhook_of(&format!("{path}.webhook"), raw.value, findings),
        (None, None, Some(raw)) => jwt_of(&format!("{path}.jwt"), raw, findings),
        _ => {
            let remedy = "write one of playground: {...}, webhook: {...} and jwt: {...}";
            findings.refuse(
                path,
                place,
                "needs exactly one way to recognize users",
                remedy,
            );
            return None;
        }
    };
    if is_playground != (name == PLAYGROUND_PROVIDER) {
        let remedy = format!("call the playground {PLAYGROUND_PROVIDER}, and nothing else");
        findings.refuse(path, place, "is called by the name of another kind", remedy);
    }
    found
}

fn webhook_of(path: &str, raw: RawWebhook, findings: &mut Findings) -> Option<Provider> {
    let RawWebhook {
        url,
        timeout_ms,
        signing_secrets,
        allow_private_network,
        ca_file,
    } = raw;
    let endpoint = endpoint((path, "url"), url, allow_private_network, ca_file, findings);
    let timeout_path = format!("{path}.timeout_ms");
    let timeout_ms = number(&timeout_path, timeout_ms, TIMEOUT_MS_RANGE, findings);
    let secrets_path = format!("{path}.signing_secrets");
    let mut secrets = Vec::new();
    if let Some(raw) = findings.section(&secrets_path, signing_secrets) {
        if raw.value.len() > SIGNATURES_MAX {
            let remedy = format!("keep at most {SIGNATURES_MAX}: two overlap in a rotation");
            findings.refuse(
                &secrets_path,
                raw.referenced,
                "has too many entries",
                remedy,
            );
        }
        for (index, entry) in raw.value.into_iter().enumerate() {
            secrets.extend(webhook_secret(
                &format!("{secrets_path}[{index}]"),
                entry,
                findings,
            ));
        }
    }
    Some(Provider::Webhook {
        endpoint: endpoint?,
        timeout: Duration::from_millis(timeout_ms.unwrap_or(TIMEOUT_MS)),
        signing_secrets: secrets,
    })
}

fn jwt_of(path: &str, raw: Spanned<RawJwt>, findings: &mut Findings) -> Option<Provider> {
    let place = raw.referenced;
    let raw = raw.value;
    let grants = grants(
        path,
        (raw.permissions_claim, raw.permissions),
        place,
        findings,
    );
    let keys = match (raw.jwks_file, raw.jwks_url) {
        (Some(file), None) => filled(format!("{path}.jwks_file"), file, findings)
            .map(|file| KeysFrom::File(file.into())),
        (None, Some(url)) => {
            let private = raw.allow_private_network;
            endpoint((path, "jwks_url"), url, private, raw.ca_file, findings).map(KeysFrom::Url)
        }
        _ => {
            let remedy =
                "write the file with the provider's public keys, or the URL where they are";
            findings.refuse(
                path,
                place,
                "needs exactly one of jwks_file and jwks_url",
                remedy,
            );
            None
        }
    };
    let issuer = filled(format!("{path}.issuer"), raw.issuer, findings);
    let audience = filled(format!("{path}.audience"), raw.audience, findings);
    let user_claim = raw
        .user_claim
        .map(|name| filled(format!("{path}.user_claim"), name, findings));
    let metadata = raw.metadata_claim;
    let metadata = metadata.map(|name| filled(format!("{path}.metadata_claim"), name, findings));
    let session_path = format!("{path}.session_seconds");
    let session_s = number(
        &session_path,
        raw.session_seconds,
        (1, EXPIRATION_S_MAX),
        findings,
    );
    Some(Provider::Jwt {
        keys: keys?,
        rules: Box::new(TokenRules {
            issuer: issuer?,
            audience: audience?,
            user_claim: user_claim.map_or(Some("sub".to_owned()), |name| name)?,
            grants: grants?,
            metadata_claim: metadata.flatten(),
            session_s,
        }),
    })
}

fn grants(
    path: &str,
    (claim, fixed): (Placed<String>, Placed<Setting<BTreeMap<String, Value>>>),
    place: Location,
    findings: &mut Findings,
) -> Option<Grants> {
    let fixed_path = format!("{path}.permissions");
    match (claim, findings.section(&fixed_path, fixed)) {
        (Some(claim), None) => {
            filled(format!("{path}.permissions_claim"), claim, findings).map(Grants::Claim)
        }
        (None, Some(fixed)) => {
            let permissions: Object = fixed.value.into_iter().collect();
            if let Err(what) = check_permissions(&permissions) {
                let remedy = "write what a webhook would answer as permissions: read and write, each with everything and queriesByCollection";
                findings.refuse(fixed_path, fixed.referenced, what, remedy);
                return None;
            }
            Some(Grants::Fixed(permissions))
        }
        _ => {
            let remedy =
                "name the claim that holds the permissions, or write them here for everybody";
            let what = "needs exactly one of permissions_claim and permissions";
            findings.refuse(path, place, what, remedy);
            None
        }
    }
}

/// They are read as they will be at each login.
fn check_permissions(permissions: &Object) -> Result<(), String> {
    let answer = Object::from([
        ("authenticated".to_owned(), Value::Bool(true)),
        ("expirationSeconds".to_owned(), Value::Int(1)),
        ("permissions".to_owned(), Value::Object(permissions.clone())),
        ("userID".to_owned(), Value::from("u")),
    ]);
    let judged = ProviderAnswer::from_object(&answer, "p");
    judged.map(drop).map_err(|error| error.to_string())
}

fn endpoint(
    (path, key): (&str, &str),
    raw: Spanned<String>,
    allow_private_network: Placed<bool>,
    ca_file: Placed<String>,
    findings: &mut Findings,
) -> Option<Endpoint> {
    let allow_private_network = allow_private_network.is_some_and(|allow| allow.value);
    let ca_file = ca_file.map(|file| filled(format!("{path}.ca_file"), file, findings));
    if let Err(what) = url::check(&raw.value, allow_private_network) {
        let remedy = "write it as https://host/path; in a private network also http, with allow_private_network: true";
        findings.refuse(format!("{path}.{key}"), raw.referenced, what, remedy);
        return None;
    }
    Some(Endpoint {
        url: raw.value,
        allow_private_network,
        ca_file: ca_file.flatten().map(Into::into),
    })
}

fn webhook_secret(
    path: &str,
    raw: Spanned<RawSecret>,
    findings: &mut Findings<'_>,
) -> Option<WebhookSecret> {
    let secret = secret(path, raw, findings)?;
    match WebhookSecret::from_base64(&secret.text) {
        Ok(secret) => Some(secret),
        Err(error) => {
            let remedy = "write 24 to 64 random bytes as standard base64";
            findings.refuse(path, secret.place, secret.complaint(error), remedy);
            None
        }
    }
}

fn limits(raw: Placed<Setting<RawLoginLimits>>, findings: &mut Findings) -> LoginLimits {
    let path = format!("{PATH}.limits");
    let raw = findings.section(&path, raw);
    let (address, user) = raw.map_or((None, None), |raw| {
        let RawLoginLimits {
            logins_per_minute_per_address,
            logins_per_minute_per_user,
        } = raw.value;
        (logins_per_minute_per_address, logins_per_minute_per_user)
    });
    let mut of = |name: &str, raw, usual| {
        let found = number(&format!("{path}.{name}"), raw, LOGINS_RANGE, findings);
        u32::try_from(found.unwrap_or(usual)).unwrap_or(u32::MAX)
    };
    LoginLimits {
        per_minute_and_address: of("logins_per_minute_per_address", address, LOGINS_PER_ADDRESS),
        per_minute_and_user: of("logins_per_minute_per_user", user, LOGINS_PER_USER),
    }
}

/// A number in a range, both ends inclusive.
fn number(
    path: &str,
    raw: Placed<u64>,
    (least, most): (u64, u64),
    findings: &mut Findings,
) -> Option<u64> {
    let raw = raw?;
    if (least..=most).contains(&raw.value) {
        return Some(raw.value);
    }
    let remedy = format!("write a number from {least} to {most}");
    findings.refuse(path, raw.referenced, "is out of range", remedy);
    None
}
