//! A certificate for the node that runs the service: it walks the road of a login within one process.

use tombolo::{Object, Value};
use tombolo_identity::{Authority, Certificate, NONCE_BYTES, PeerKeyPair, ProviderAnswer};

use super::login::Gate;

/// Who let the node in.
const PROVIDER: &str = "__identityService";
/// As long as a device without a service is let in by a shared key: thirty days.
const EXPIRATION_S: i64 = 30 * 24 * 60 * 60;

/// # Errors
/// What stopped it, in words: the node's own key, or the clock.
pub(super) fn certificate(
    (gate, authority, nonce): (&Gate, &Authority, [u8; NONCE_BYTES]),
    device: &PeerKeyPair,
    database_id: &str,
    now_ms: u64,
) -> Result<Certificate, String> {
    let challenges = gate.challenges();
    let challenge = challenges.challenge(database_id, nonce, now_ms);
    let challenge = challenge.map_err(|error| error.to_string())?;
    let signed = challenge.sign(device).map_err(|error| error.to_string())?;
    let proven = challenges.prove(signed, database_id, now_ms);
    let proven = proven.map_err(|error| error.to_string())?;
    let answer = answer(&device.public().to_string());
    let granted = match ProviderAnswer::from_object(&answer, PROVIDER) {
        Ok(ProviderAnswer::Granted(granted)) => *granted,
        Ok(ProviderAnswer::Refused { .. }) => return Err("its own answer refuses it".to_owned()),
        Err(error) => return Err(error.to_string()),
    };
    let issued = authority.issue(proven.grant(granted), now_ms);
    issued.map_err(|error| error.to_string())
}

fn answer(user_id: &str) -> Object {
    let everything = || {
        Value::Object(Object::from([
            ("everything".to_owned(), Value::Bool(true)),
            (
                "queriesByCollection".to_owned(),
                Value::Object(Object::new()),
            ),
        ]))
    };
    let permissions = Object::from([
        ("read".to_owned(), everything()),
        ("remoteQuery".to_owned(), Value::Bool(true)),
        ("write".to_owned(), everything()),
    ]);
    Object::from([
        ("authenticated".to_owned(), Value::Bool(true)),
        ("expirationSeconds".to_owned(), Value::Int(EXPIRATION_S)),
        ("permissions".to_owned(), Value::Object(permissions)),
        ("userID".to_owned(), Value::from(user_id)),
    ])
}

#[cfg(test)]
mod tests {
    use tombolo_identity::{Permissions, Trust, verify_leaf};

    use super::*;
    use crate::config::LoginLimits;

    #[test]
    fn the_node_is_a_peer_like_others_that_may_everything() {
        let limits = LoginLimits {
            per_minute_and_address: 1,
            per_minute_and_user: 1,
        };
        let gate = Gate::new(limits, &[[1; 32], [2; 32]]);
        let authority = Authority::generate().unwrap();
        let device = PeerKeyPair::from_pkcs8(&Authority::generate().unwrap().to_pkcs8()).unwrap();
        let now_ms = 1_795_000_000_000;
        let parts = (&gate, &authority, [3; NONCE_BYTES]);
        let certificate = certificate(parts, &device, "db", now_ms).unwrap();
        let trust = Trust::of_authorities(&[authority.public().clone()], "db").unwrap();
        let none: [&[u8]; 0] = [];
        let peer = verify_leaf(&trust, certificate.der(), &none, now_ms).unwrap();
        assert_eq!(peer.peer_key(), device.public());
        assert_eq!(peer.permissions(), &Permissions::everything());
    }
}
