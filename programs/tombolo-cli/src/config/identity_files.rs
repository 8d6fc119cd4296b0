//! The files that the section `identity_service` names, read and checked before the node starts.
//! The directory of the authority is left to whoever opens it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use tombolo_identity::{JWKS_BYTES_MAX, KeySet, KeySetError};

use super::meaning_identity::{
    Endpoint, IdentityService, IdentitySettings, Keys, KeysFrom, Provider, ProviderSettings,
    WebServer,
};

/// Longest file of roots, in bytes.
const ROOTS_BYTES_MAX: usize = 1024 * 1024;

/// Why the identity service cannot start. All are the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityFileError {
    #[error("{key}: cannot read {}: {source}\n  = help: check the path and its permissions", path.display())]
    Unreadable {
        key: String,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{key}: {}: {source}", path.display())]
    KeySet {
        key: String,
        path: PathBuf,
        source: Box<KeySetError>,
    },
}

/// Reads everything. Paths are relative to `base`, the directory of the configuration.
///
/// # Errors
/// [`IdentityFileError`], which names the key and the file.
pub(super) fn load(
    service: IdentityService,
    base: &Path,
) -> Result<IdentitySettings, IdentityFileError> {
    let mut providers = Vec::with_capacity(service.providers.len());
    for (name, provider) in service.providers {
        let key = format!("identity_service.providers.{name}");
        let loaded = load_provider(&key, provider, base)?;
        providers.push((name, loaded));
    }
    Ok(IdentitySettings {
        ca: base.join(service.ca),
        providers,
        limits: service.limits,
        is_development: service.is_development,
    })
}

fn load_provider(
    key: &str,
    provider: Provider,
    base: &Path,
) -> Result<ProviderSettings, IdentityFileError> {
    match provider {
        Provider::Playground { shared_token } => {
            let shared_token = shared_token.into_text();
            Ok(ProviderSettings::Playground { shared_token })
        }
        Provider::Webhook {
            endpoint,
            timeout,
            signing_secrets,
        } => Ok(ProviderSettings::Webhook {
            server: load_endpoint(&format!("{key}.webhook"), endpoint, base)?,
            timeout,
            secrets: signing_secrets,
        }),
        Provider::Jwt { keys, rules } => {
            let keys = load_keys(&format!("{key}.jwt"), keys, base)?;
            Ok(ProviderSettings::Jwt { keys, rules })
        }
    }
}

fn load_keys(key: &str, keys: KeysFrom, base: &Path) -> Result<Keys, IdentityFileError> {
    match keys {
        KeysFrom::Url(endpoint) => Ok(Keys::Url(load_endpoint(key, endpoint, base)?)),
        KeysFrom::File(path) => {
            let key = format!("{key}.jwks_file");
            let path = base.join(path);
            let bytes = read(&key, &path, JWKS_BYTES_MAX)?;
            let keys = KeySet::parse(&bytes).map_err(|source| IdentityFileError::KeySet {
                key,
                path,
                source: Box::new(source),
            })?;
            Ok(Keys::Fixed(keys))
        }
    }
}

fn load_endpoint(
    key: &str,
    endpoint: Endpoint,
    base: &Path,
) -> Result<WebServer, IdentityFileError> {
    let Endpoint {
        url,
        allow_private_network,
        ca_file,
    } = endpoint;
    let roots =
        ca_file.map(|path| read(&format!("{key}.ca_file"), &base.join(path), ROOTS_BYTES_MAX));
    Ok(WebServer {
        url,
        allow_private_network,
        roots: roots.transpose()?,
    })
}

fn read(key: &str, path: &Path, bytes_max: usize) -> Result<Vec<u8>, IdentityFileError> {
    let mut bytes = Vec::new();
    let opened = File::open(path);
    let read = opened.and_then(|file| file.take(bytes_max as u64 + 1).read_to_end(&mut bytes));
    let read = read.and_then(|count| {
        let fits = count <= bytes_max;
        let text = format!("it has more than {bytes_max} bytes");
        fits.then_some(())
            .ok_or_else(|| std::io::Error::other(text))
    });
    read.map_err(|source| IdentityFileError::Unreadable {
        key: key.to_owned(),
        path: path.to_owned(),
        source,
    })?;
    Ok(bytes)
}
