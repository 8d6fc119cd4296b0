//! What a data directory holds of a device, without opening its database: for
//! whoever explains why a login fails while the node may be running.

use std::path::Path;

use tombolo_identity::{PeerKeyPair, PeerPublicKey};

use super::credentials::{Credentials, CredentialsError, CredentialsFile};
use crate::peer_key::{PeerKey, PeerKeyError};

/// The key of the device, if it has one; none is made.
///
/// # Errors
/// The file cannot be read, or is no key.
pub fn read_device_key(directory: &Path) -> Result<Option<PeerKeyPair>, PeerKeyError> {
    let Some(key) = PeerKey::load(directory)? else {
        return Ok(None);
    };
    let pkcs8 = key.to_pkcs8().ok_or(PeerKeyError::Generation)?;
    let pair = PeerKeyPair::from_pkcs8(pkcs8.as_ref());
    pair.map(Some).map_err(|_| PeerKeyError::Generation)
}

/// What the device keeps of its last login, if there was one.
///
/// # Errors
/// The file cannot be read, is damaged, or belongs to another device or database.
pub fn kept_credentials(
    directory: &Path,
    database_id: &str,
    peer_key: &PeerPublicKey,
) -> Result<Option<Credentials>, CredentialsError> {
    CredentialsFile::new(Some(directory.to_owned())).load(database_id, peer_key)
}
