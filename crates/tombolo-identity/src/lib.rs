//! Who a peer is and what it may see, as functions: keys, certificates, rules.
//!
//! Each step of a login is a type that only the step before makes, on both sides:
//! [`Challenge`], [`SignedChallenge`], [`ProvenPeerKey`], [`IdentityData`],
//! [`Certificate`], [`VerifiedPeer`], [`Filter`]. Nothing here reads a clock, opens
//! a file or a socket; only the crypto library draws randomness of its own, for
//! new keys and signatures. `docs/formats/certificate.md`, `identity.md` and
//! `revocation.md` there hold the bytes.
//!
//! ```
//! use tombolo_identity::{
//!     Authority, ChallengeKey, Granted, PeerKeyPair, Permissions, Trust, verify_leaf,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now_ms = 1_795_000_000_000;
//! let (authority, challenges) = (Authority::generate()?, ChallengeKey::new(&[1; 32]));
//! # let device = PeerKeyPair::from_pkcs8(&Authority::generate()?.to_pkcs8())?;
//! let signed = challenges.challenge("db", [2; 16], now_ms)?.sign(&device)?;
//! let proven = challenges.prove(signed, "db", now_ms)?;
//! let granted = Granted::playground(proven.peer_key());
//! let certificate = authority.issue(proven.grant(granted), now_ms)?;
//!
//! let trust = Trust::of_authorities(&[authority.public().clone()], "db")?;
//! let no_chain: [&[u8]; 0] = [];
//! let peer = verify_leaf(&trust, certificate.der(), &no_chain, now_ms)?;
//! let filter = peer.filter(&Permissions::everything());
//! # let _ = filter;
//! # Ok(())
//! # }
//! ```
//!
//! A challenge that nobody signed proves nothing:
//!
//! ```compile_fail,E0308
//! # use tombolo_identity::*;
//! let challenges = ChallengeKey::new(&[1; 32]);
//! let challenge = challenges.challenge("db", [2; 16], 0).unwrap();
//! challenges.prove(challenge, "db", 0);
//! ```
//!
//! A grant without a proven key makes no certificate, and neither does a proven
//! key without a grant:
//!
//! ```compile_fail,E0308
//! # use tombolo_identity::*;
//! fn issue(authority: &Authority, granted: Granted) {
//!     let _ = authority.issue(granted, 0);
//! }
//! ```
//!
//! ```compile_fail,E0308
//! # use tombolo_identity::*;
//! fn issue(authority: &Authority, proven: ProvenPeerKey) {
//!     let _ = authority.issue(proven, 0);
//! }
//! ```
//!
//! Nobody puts the parts of an identity or of a verified peer together by hand:
//!
//! ```compile_fail,E0451
//! # use tombolo_identity::*;
//! fn forge(data: IdentityData, identity: Identity) -> IdentityData {
//!     IdentityData { identity, ..data }
//! }
//! ```
//!
//! ```compile_fail,E0616
//! # use tombolo_identity::*;
//! fn widen(peer: &mut VerifiedPeer) {
//!     peer.permissions = Permissions::everything();
//! }
//! ```

mod answer;
mod authority;
mod challenge;
mod conditions;
mod database;
mod der;
mod fields;
mod filter;
mod identity;
mod jwks;
mod key;
mod leaf;
mod legacy;
mod login;
mod own;
mod packed;
mod quoted;
mod reader;
mod refresh;
mod revocation;
mod rules;
mod secret;
mod signing;
mod token;
mod trust;
mod verify;
mod webhook;

pub use answer::{
    ANSWER_BYTES_MAX, AnswerError, CLIENT_INFO_BYTES_MAX, EXPIRATION_S_MAX, Granted,
    PLAYGROUND_EXPIRATION_S, PLAYGROUND_PROVIDER, ProviderAnswer,
};
pub use authority::{Authority, Certificate};
pub use challenge::{
    CHALLENGE_BYTES_MAX, CHALLENGE_CHARS_MAX, CHALLENGE_VALID_MS, Challenge, ChallengeKey,
    NONCE_BYTES, ProofError, ProvenPeerKey, SignedChallenge,
};
pub use database::{DATABASE_ID_BYTES_MAX, DatabaseIdError, check_database_id};
pub use fields::{FieldError, Problem};
pub use filter::{Filter, Reach};
pub use identity::{
    IDENTITY_BYTES_MAX, Identity, IdentityData, METADATA_BYTES_MAX, PROVIDER_BYTES_MAX,
    USER_ID_BYTES_MAX,
};
pub use jwks::{JWKS_BYTES_MAX, JWKS_KEYS_MAX, KeySet, KeySetError, key_id, render_jwks};
pub use key::{AuthorityKey, KeyError, PeerPublicKey};
pub use leaf::{IssueError, IssuedLeaf, LEAF_BACKDATE_MS, LEAF_VALID_MS};
pub use legacy::LegacyError;
pub use login::{
    CA_PATH, CHALLENGE_PATH, ISSUED_TOKEN_BYTES_MAX, JWKS_PATH, LOGIN_PATH, LOGIN_REPLY_BYTES_MAX,
    LOGIN_REQUEST_BYTES_MAX, LoginMessageError, LoginRefusal, LoginReply, LoginRequest,
    REVOCATIONS_PATH, parse_challenge, render_challenge,
};
pub use own::OwnLeaf;
pub use quoted::{Quoted, Span};
pub use refresh::{refresh_ms, retry_pause_ms};
pub use revocation::{
    AdoptError, Adoption, IdentityFilter, REVOCATION_FILTERS_MAX, REVOCATIONS_BYTES_MAX,
    REVOCATIONS_MAX, Revocation, Revocations, RevocationsError, RevokeError, RevokedBy, Whom,
};
pub use rules::{
    COLLECTION_RULES_MAX, Permissions, RULE_BYTES_MAX, RULES_MAX, RuleError, RuleSyntax, Rules,
};
pub use secret::{SharedKey, SharedKeyError};
pub use signing::{PeerKeyPair, PrivateKeyError};
pub use token::{
    Grants, IssuedToken, ProviderTokenError, TOKEN_SKEW_S, TokenError, TokenRules,
    check_provider_token,
};
pub use trust::{AUTHORITIES_MAX, Trust, TrustError};
pub use verify::{LEAF_BYTES_MAX, VerifiedPeer, VerifyError, verify_leaf};
pub use webhook::{
    SIGNATURE_HEADER, SIGNATURE_HEADER_BYTES_MAX, SIGNATURE_WINDOW_S, SIGNATURES_MAX,
    SignatureError, TOKEN_BYTES_MAX, WebhookSecret, WebhookSecretError, sign_webhook, tokens_match,
    verify_webhook, webhook_body,
};
