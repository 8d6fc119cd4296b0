//! Whose leaves a node accepts, and for which database: a shared key, the
//! authorities of an identity service, or both.

use crate::database::{DatabaseIdError, check_database_id};
use crate::key::AuthorityKey;

/// Most authorities that are trusted at once: the one that signs, the one that
/// will, and those whose leaves have not run out.
pub const AUTHORITIES_MAX: usize = 4;

/// Why a node cannot trust as it is told to. The operator's to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// No certificate can name the database.
    #[error(transparent)]
    DatabaseId(#[from] DatabaseIdError),
    /// There is no authority.
    #[error("no authority is trusted: log in, or give the service's keys")]
    NoAuthority,
    /// There are too many.
    #[error(
        "{count} authorities are trusted and {AUTHORITIES_MAX} are allowed: remove those whose certificates have run out"
    )]
    TooMany {
        /// How many.
        count: usize,
    },
    /// One key in two roles.
    #[error(
        "the shared key is also an authority: every device would be one; make an authority of its own"
    )]
    SameKey,
}

/// Whose leaves are accepted, and for which database.
#[derive(Debug, Clone)]
pub struct Trust {
    shared: Option<AuthorityKey>,
    authorities: Vec<AuthorityKey>,
    database_id: String,
}

/// In which role a key signed a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Issuer {
    SharedKey,
    Authority,
}

impl Trust {
    /// Leaves that the shared key signed for `database_id`.
    ///
    /// # Errors
    /// No certificate can name that database.
    pub fn new(shared: AuthorityKey, database_id: &str) -> Result<Self, DatabaseIdError> {
        check_database_id(database_id)?;
        Ok(Self {
            shared: Some(shared),
            authorities: Vec::new(),
            database_id: database_id.to_owned(),
        })
    }

    /// Leaves that one of the authorities signed for `database_id`. A key that
    /// stands there twice counts once.
    ///
    /// # Errors
    /// No certificate can name that database, or there are no or too many
    /// authorities.
    pub fn of_authorities(
        authorities: &[AuthorityKey],
        database_id: &str,
    ) -> Result<Self, TrustError> {
        check_database_id(database_id)?;
        let mut distinct: Vec<AuthorityKey> = Vec::new();
        for authority in authorities {
            if !distinct.contains(authority) {
                distinct.push(authority.clone());
            }
        }
        match distinct.len() {
            0 => Err(TrustError::NoAuthority),
            1..=AUTHORITIES_MAX => Ok(Self {
                shared: None,
                authorities: distinct,
                database_id: database_id.to_owned(),
            }),
            count => Err(TrustError::TooMany { count }),
        }
    }

    /// The same, and leaves of a shared key besides.
    ///
    /// # Errors
    /// The shared key is one of the authorities.
    pub fn with_shared_key(mut self, shared: AuthorityKey) -> Result<Self, TrustError> {
        if self.authorities.contains(&shared) {
            return Err(TrustError::SameKey);
        }
        self.shared = Some(shared);
        Ok(self)
    }

    /// The database.
    #[must_use]
    pub fn database_id(&self) -> &str {
        &self.database_id
    }

    /// The authorities, without the shared key.
    #[must_use]
    pub fn authorities(&self) -> &[AuthorityKey] {
        &self.authorities
    }

    /// Who made `signature` over `message`, if it is one that counts.
    pub(crate) fn issuer_of(&self, message: &[u8], signature: &[u8]) -> Option<Issuer> {
        let signed = |key: &AuthorityKey| key.signed(message, signature);
        if self.shared.as_ref().is_some_and(signed) {
            return Some(Issuer::SharedKey);
        }
        let found = self.authorities.iter().any(signed);
        found.then_some(Issuer::Authority)
    }
}
