//! One login, as a list of steps: limits, the proof, the provider, the certificate.
//! Each refusal has a reason for the log and a text for the client, and the second never tells the first.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use tombolo::Value;
use tombolo_http::RequestId;
use tombolo_identity::{
    ChallengeKey, Granted, IssueError, LoginMessageError, LoginReply, LoginRequest, ProofError,
    ProvenPeerKey, ProviderAnswer, tokens_match,
};

use super::live::Standing;
use super::nonces::{NONCES_MAX, Nonces, Use};
use super::provider::{Provider, Question, Unanswered};
use super::reply::Refused;
use super::throttle::{THROTTLE_ENTRIES_MAX, Throttle, origin};
use crate::config::LoginLimits;

/// What stands between the network and the providers.
#[derive(Debug)]
pub(super) struct Gate {
    challenges: ChallengeKey,
    nonces: Mutex<Nonces>,
    addresses: Mutex<Throttle<[u8; 8]>>,
    users: Mutex<Throttle<[u8; 32]>>,
    /// So that no table holds anything of a token, and nobody can choose what collides.
    digest_key: [u8; 32],
}

/// A login that passed the gate: its device holds its key, and nobody has used the challenge before.
pub(super) struct Asking {
    pub(super) request: LoginRequest,
    pub(super) proven: ProvenPeerKey,
}

/// Why a login went no further: for the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum Reason {
    #[error("malformed: {0}")]
    Malformed(#[from] LoginMessageError),
    #[error("too many logins from this address")]
    Address,
    #[error("too many logins of this user")]
    User,
    #[error("{0}")]
    Proof(#[from] ProofError),
    #[error("the challenge was answered before")]
    UsedAgain,
    #[error("too many challenges were answered in the last two minutes")]
    Full,
    #[error("there is no such provider")]
    UnknownProvider,
    #[error("the provider refused it")]
    Refused,
    #[error("the token is not believed: {0}")]
    NotBelieved(String),
    #[error("{0}")]
    Provider(String),
    #[error("too many logins wait for this provider")]
    Busy,
    #[error("{0}")]
    Issue(#[from] IssueError),
    #[error("the body broke off or is too long")]
    Body,
}

/// The refusal that the client gets and the reason that it does not.
pub(super) type Turned = (Refused, Reason);

impl Gate {
    /// `random` is drawn once per process.
    pub(super) fn new(limits: LoginLimits, random: &[[u8; 32]; 2]) -> Self {
        let users = Throttle::new(limits.per_minute_and_user, THROTTLE_ENTRIES_MAX);
        let addresses = Throttle::new(limits.per_minute_and_address, THROTTLE_ENTRIES_MAX);
        Self {
            challenges: ChallengeKey::new(&random[0]),
            nonces: Mutex::new(Nonces::new(NONCES_MAX)),
            addresses: Mutex::new(addresses),
            users: Mutex::new(users),
            digest_key: random[1],
        }
    }

    pub(super) const fn challenges(&self) -> &ChallengeKey {
        &self.challenges
    }

    /// Counts a login from an address, before anything of it is looked at.
    pub(super) fn admit_address(&self, address: IpAddr, now_ms: u64) -> Result<(), Turned> {
        let mut addresses = self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let admitted = addresses.admit(origin(address), now_ms);
        admitted.map_err(|error| {
            let retry_after_s = error.retry_after_s;
            (Refused::TooOften { retry_after_s }, Reason::Address)
        })
    }

    /// Checks that the device holds its key and answers for the first time. What costs least is looked at first.
    pub(super) fn prove(
        &self,
        request: LoginRequest,
        database_id: &str,
        now_ms: u64,
    ) -> Result<Asking, Turned> {
        if request.database_id != database_id {
            return Err((Refused::Challenge, ProofError::ForeignDatabase.into()));
        }
        let proven = self
            .challenges
            .prove(request.challenge.clone(), database_id, now_ms);
        let proven = proven.map_err(|error| (Refused::Challenge, error.into()))?;
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        match nonces.note(*proven.nonce(), now_ms) {
            Use::First => Ok(Asking { request, proven }),
            Use::Again => Err((Refused::Challenge, Reason::UsedAgain)),
            Use::Full => Err((Refused::Busy, Reason::Full)),
        }
    }

    /// Counts a login of somebody: first of whoever has this token, and of the user once it is known.
    pub(super) fn admit_user(&self, (kind, name): (&str, &str), now_ms: u64) -> Result<(), Turned> {
        let mut hasher = blake3::Hasher::new_keyed(&self.digest_key);
        hasher.update(&(kind.len() as u64).to_le_bytes());
        hasher.update(kind.as_bytes());
        hasher.update(name.as_bytes());
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let admitted = users.admit(*hasher.finalize().as_bytes(), now_ms);
        admitted.map_err(|error| {
            let retry_after_s = error.retry_after_s;
            (Refused::TooOften { retry_after_s }, Reason::User)
        })
    }
}

/// From bytes to a request of which nothing is believed.
pub(super) fn parse(body: &[u8]) -> Result<LoginRequest, Turned> {
    let request = LoginRequest::parse(body);
    request.map_err(|error| (Refused::Malformed(error.to_string()), error.into()))
}

/// Asks the provider, and makes a grant or a refusal of what it says.
pub(super) async fn ask(
    provider: Option<&Provider>,
    asking: &Asking,
    now_ms: u64,
) -> Result<Granted, Turned> {
    let request = &asking.request;
    let Some(provider) = provider else {
        // The same work as for a token that is wrong.
        let _ = tokens_match("nobody has this token", &request.token);
        return Err((Refused::Login(Value::Null), Reason::UnknownProvider));
    };
    let question = Question {
        provider: &request.provider,
        database_id: &request.database_id,
        token: &request.token,
        now_ms,
    };
    match provider.ask(&question, asking.proven.peer_key()).await {
        Ok(ProviderAnswer::Granted(granted)) => Ok(*granted),
        Ok(ProviderAnswer::Refused { client_info }) => {
            Err((Refused::Login(client_info), Reason::Refused))
        }
        Err(Unanswered::NotBelieved(why)) => {
            Err((Refused::Login(Value::Null), Reason::NotBelieved(why)))
        }
        Err(Unanswered::Failed(why)) => Err((Refused::ProviderFailed, Reason::Provider(why))),
        Err(Unanswered::Late(why)) => Err((Refused::ProviderLate, Reason::Provider(why))),
        Err(Unanswered::Busy) => Err((Refused::Busy, Reason::Busy)),
    }
}

/// Makes the certificate, and all that goes with it.
pub(super) fn issue(
    standing: &Standing,
    (proven, granted): (ProvenPeerKey, Granted),
    now_ms: u64,
) -> Result<LoginReply, IssueError> {
    let authority = standing.signing();
    let certificate = authority.issue(proven.grant(granted), now_ms)?;
    let revocations = standing.revocations.as_ref();
    Ok(LoginReply {
        token: authority.issue_token(&certificate)?,
        certificate: certificate.der().to_vec(),
        authorities: standing.keys().to_vec(),
        expires_ms: certificate.expires_ms(),
        user_id: certificate.identity().user_id().to_owned(),
        client_info: certificate.client_info().clone(),
        revocations: revocations.map(|list| list.as_bytes().to_vec()),
    })
}

/// One line for each login that was turned away. What the operator must mend is a warning.
pub(super) fn log_turned(
    (refused, reason): &Turned,
    provider: &str,
    address: IpAddr,
    id: RequestId,
) {
    let status = refused.status().as_u16();
    let is_ours = matches!(
        reason,
        Reason::Provider(_) | Reason::Issue(_) | Reason::Full
    );
    if is_ours {
        tracing::warn!(request_id = %id, provider = ?provider, status, %reason, "a login failed");
    } else {
        tracing::info!(request_id = %id, provider = ?provider, %address, status, %reason, "a login was refused");
    }
}

#[cfg(test)]
mod tests {
    use tombolo_identity::{Authority, CHALLENGE_VALID_MS, NONCE_BYTES, PeerKeyPair};

    use super::*;

    const NOW_MS: u64 = 1_795_000_000_000;
    const DATABASE: &str = "db";

    fn gate(per_minute: u32) -> Gate {
        let limits = LoginLimits {
            per_minute_and_address: per_minute,
            per_minute_and_user: per_minute,
        };
        Gate::new(limits, &[[1; 32], [2; 32]])
    }

    fn device() -> PeerKeyPair {
        PeerKeyPair::from_pkcs8(&Authority::generate().unwrap().to_pkcs8()).unwrap()
    }

    fn request(gate: &Gate, device: &PeerKeyPair, nonce: u64) -> LoginRequest {
        let nonce: [u8; NONCE_BYTES] = u128::from(nonce).to_be_bytes();
        let challenge = gate
            .challenges()
            .challenge(DATABASE, nonce, NOW_MS)
            .unwrap();
        LoginRequest {
            database_id: DATABASE.to_owned(),
            provider: "p".to_owned(),
            token: zeroize::Zeroizing::new("t".to_owned()),
            challenge: challenge.sign(device).unwrap(),
        }
    }

    #[test]
    fn t10_an_expired_challenge_is_refused_and_so_is_one_from_ahead() {
        let (gate, device) = (gate(1), device());
        let at = |nonce, now_ms| match gate.prove(request(&gate, &device, nonce), DATABASE, now_ms)
        {
            Ok(_) => None,
            Err((refused, reason)) => {
                assert_eq!(refused, Refused::Challenge);
                Some(reason.to_string())
            }
        };
        let said =
            |reason: Option<String>, text: &str| reason.is_some_and(|reason| reason.contains(text));
        assert!(said(
            at(1, NOW_MS + CHALLENGE_VALID_MS + 1000),
            "expired 1000 ms ago"
        ));
        assert!(said(at(2, NOW_MS - 1), "1 ms ahead"));
        assert_eq!(at(3, NOW_MS + CHALLENGE_VALID_MS - 1), None);
        assert!(said(at(3, NOW_MS), "answered before"));
    }

    #[test]
    fn ten_thousand_half_open_logins_leave_nothing_behind() {
        let (gate, device) = (gate(1_000_000), device());
        for number in 0..10_000_u64 {
            let nonce = u128::from(number).to_be_bytes();
            gate.challenges()
                .challenge(DATABASE, nonce, NOW_MS)
                .unwrap();
        }
        assert_eq!(gate.nonces.lock().unwrap().len(), 0);
        // A challenge that is not this service's, or not signed by its device, is not remembered either.
        let mut stolen = request(&gate, &device, 1);
        stolen.database_id = "other".to_owned();
        assert!(gate.prove(stolen, DATABASE, NOW_MS).is_err());
        let foreign = Gate::new(
            LoginLimits {
                per_minute_and_address: 1,
                per_minute_and_user: 1,
            },
            &[[9; 32], [2; 32]],
        );
        assert!(
            gate.prove(request(&foreign, &device, 1), DATABASE, NOW_MS)
                .is_err()
        );
        assert_eq!(gate.nonces.lock().unwrap().len(), 0);
        assert!(
            gate.prove(request(&gate, &device, 1), DATABASE, NOW_MS)
                .is_ok()
        );
        assert_eq!(gate.nonces.lock().unwrap().len(), 1);
    }

    #[test]
    fn t24_an_address_and_a_user_are_counted_apart() {
        let gate = gate(2);
        let address = |last: u8| {
            gate.admit_address(IpAddr::from([10, 0, 0, last]), NOW_MS)
                .is_ok()
        };
        assert_eq!(
            [address(1), address(1), address(1), address(2)],
            [true, true, false, true]
        );
        let user = |kind, name| gate.admit_user((kind, name), NOW_MS).is_ok();
        assert_eq!(
            [user("p", "a"), user("p", "a"), user("p", "a")],
            [true, true, false]
        );
        // What stands before and after the border of two names is told apart.
        assert!(user("pa", "") && user("", "pa") && user("p", "b"));
    }
}
