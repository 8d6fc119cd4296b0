//! The key `database.auth.server`: the identity service that this node logs in to, and as whom.

use tombolo::AuthServer;

use super::meaning::Login;
use super::raw::{RawAuthServer, Spanned};
use super::resolve::Findings;
use super::resolve_database::filled;
use super::resolve_secret::secret;
use super::secret::SecretText;

const SERVER: &str = "database.auth.server";
/// Longest name of a provider, in bytes.
const PROVIDER_BYTES_MAX: usize = 128;

pub(super) fn login(raw: Spanned<RawAuthServer>, findings: &mut Findings) -> Option<Login> {
    let RawAuthServer {
        access_token,
        auth_url,
        provider,
        enable_cloud_sync,
        ca_file,
    } = raw.value;
    let token = secret(&format!("{SERVER}.access_token"), access_token, findings);
    let url = url(auth_url, findings);
    let provider = provider_name(provider, findings);
    let ca_file = ca_file.map(|file| filled(format!("{SERVER}.ca_file"), file, findings));
    let server = AuthServer {
        url: url?,
        // A name that was refused is a problem by itself.
        ca_file: ca_file.flatten().map(Into::into),
    };
    Some(Login {
        server,
        token: SecretText::new(token?.text),
        provider: provider?,
        is_synced: enable_cloud_sync.is_none_or(|enable| enable.value),
    })
}

fn url(raw: Spanned<String>, findings: &mut Findings) -> Option<String> {
    match AuthServer::check_url(&raw.value) {
        Ok(()) => Some(raw.value),
        Err(error) => {
            let path = format!("{SERVER}.auth_url");
            let remedy = "write the URL of the identity service, for example https://auth.example";
            findings.refuse(path, raw.referenced, error.to_string(), remedy);
            None
        }
    }
}

fn provider_name(raw: Spanned<String>, findings: &mut Findings) -> Option<String> {
    let name = raw.value;
    let fits = (1..=PROVIDER_BYTES_MAX).contains(&name.len()) && !name.contains(char::is_control);
    if !fits {
        let remedy =
            "write the name of a provider of the identity service, or __playgroundProvider";
        let path = format!("{SERVER}.provider");
        findings.refuse(path, raw.referenced, "is no name of a provider", remedy);
        return None;
    }
    Some(name)
}
