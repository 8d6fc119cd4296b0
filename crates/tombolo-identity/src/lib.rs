//! Who a peer is and what it may see: keys, leaf certificates, rules, filters.
//!
//! Nothing here reads a clock, opens a file or a socket: `now` is an argument.
//! The one exception to purity is the crypto library, which draws its own
//! randomness for new keys and for signatures.
//! `docs/formats/certificate.md` holds the bytes that this crate writes.

mod database;
mod der;
mod filter;
mod key;
mod leaf;
mod rules;
mod secret;
mod verify;

pub use database::{DATABASE_ID_BYTES_MAX, DatabaseIdError, check_database_id};
pub use filter::{Filter, Reach};
pub use key::{AuthorityKey, KeyError, PeerPublicKey};
pub use leaf::{IssueError, IssuedLeaf, LEAF_BACKDATE_MS, LEAF_VALID_MS};
pub use rules::{COLLECTION_RULES_MAX, Permissions, RULE_BYTES_MAX, RULES_MAX, RuleError, Rules};
pub use secret::{SharedKey, SharedKeyError};
pub use verify::{LEAF_BYTES_MAX, Quoted, Trust, VerifiedPeer, VerifyError, verify_leaf};
