//! Who a peer is and what it may see: keys, leaf certificates, rules, filters.
//!
//! Nothing here reads a clock, opens a file or a socket: `now` is an argument.
//! The one exception to purity is the crypto library, which draws its own
//! randomness for new keys and for signatures.
//! `docs/formats/certificate.md` holds the bytes that this crate writes.

mod answer;
mod authority;
mod challenge;
mod conditions;
mod database;
mod der;
mod fields;
mod filter;
mod identity;
mod key;
mod leaf;
mod legacy;
mod packed;
mod quoted;
mod reader;
mod refresh;
mod revocation;
mod rules;
mod secret;
mod signing;
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
pub use key::{AuthorityKey, KeyError, PeerPublicKey};
pub use leaf::{IssueError, IssuedLeaf, LEAF_BACKDATE_MS, LEAF_VALID_MS};
pub use legacy::LegacyError;
pub use quoted::Quoted;
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
pub use trust::{AUTHORITIES_MAX, Trust, TrustError};
pub use verify::{LEAF_BYTES_MAX, VerifiedPeer, VerifyError, verify_leaf};
pub use webhook::{
    SIGNATURE_HEADER, SIGNATURE_HEADER_BYTES_MAX, SIGNATURE_WINDOW_S, SIGNATURES_MAX,
    SignatureError, TOKEN_BYTES_MAX, WebhookSecret, WebhookSecretError, sign_webhook, tokens_match,
    verify_webhook, webhook_body,
};
