//! Who is cut off: a signed list that only grows newer. A certificate is refused
//! if an entry names its holder and it was made before the entry's cut, so that
//! whoever may log in again comes back. `docs/formats/revocation.md` has the bytes.

mod entry;

use std::collections::BTreeMap;

use tombolo_document::{Object, Value, json};

use crate::authority::Authority;
use crate::conditions::holds_for;
use crate::database::{DatabaseIdError, check_database_id};
use crate::fields::{FieldError, Fields, Problem, type_of};
use crate::identity::check_name;
use crate::packed;
use crate::reader::Reader;
use crate::trust::Trust;
use crate::verify::VerifiedPeer;

pub use entry::{IdentityFilter, Revocation, RevokedBy, Whom};

/// Most entries of a list.
pub const REVOCATIONS_MAX: usize = 10_000;
/// Most entries that are filters: each is evaluated for each new peer.
pub const REVOCATION_FILTERS_MAX: usize = 256;
/// Longest signed list, in bytes.
pub const REVOCATIONS_BYTES_MAX: usize = 1024 * 1024;
/// Longest list before it is packed, in bytes.
const TEXT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What an authority's signature covers first.
const SIGNATURE_DOMAIN: &[u8] = b"tombolo 2026-11 list of revocations\0";
const VERSION: u8 = 1;
const SIGNATURE_BYTES_MAX: usize = 72;

/// Why no list was made. The fault of whoever wrote it.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// No certificate can name the database.
    #[error(transparent)]
    DatabaseId(#[from] DatabaseIdError),
    /// An entry is wrong, or there are too many.
    #[error("the revocations are refused: {0}")]
    Field(#[from] FieldError),
    /// It would be too large.
    #[error("the revocations are too many bytes: revoke by a filter what many entries name")]
    TooLarge,
    /// The cryptographic library failed. Our fault.
    #[error("the revocations could not be signed")]
    Signing,
}

/// Why a list from a peer is refused. The peer's fault.
#[derive(Debug, thiserror::Error)]
pub enum RevocationsError {
    /// Too many bytes.
    #[error("the revocations have {bytes} bytes and {REVOCATIONS_BYTES_MAX} are allowed")]
    TooLarge {
        /// How many.
        bytes: usize,
    },
    /// Another form.
    #[error("the revocations are malformed: {what}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
    },
    /// No trusted authority signed them, or they were altered.
    #[error("the revocations were signed by no authority that this node trusts, or were altered")]
    Foreign,
    /// They are for another database.
    #[error("the revocations are for another database")]
    WrongDatabase,
    /// They were signed, and this version cannot read them.
    #[error("the revocations cannot be read by this version: {0}")]
    Field(#[from] FieldError),
}

/// What became of a list that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adoption {
    /// It is the one that is held.
    Unchanged,
    /// It is newer and is held now: sessions are checked again.
    Newer,
    /// There are two lists of one version, which an authority never signs. The
    /// one with the greater bytes is held, here as on every other node; the
    /// operator signs a newer one.
    Conflict,
}

/// Why an offered list is not adopted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AdoptError {
    /// It is older than the one that is held.
    #[error(
        "the revocations are of version {offered} and version {held} is held: an older list hides who was cut off since"
    )]
    Rollback {
        /// The version that is held.
        held: u64,
        /// The version that was offered.
        offered: u64,
    },
    /// It is for another database.
    #[error("the revocations are for another database")]
    WrongDatabase,
}

/// A list that an authority signed. Made by [`Authority::revoke`] and, after a
/// check, by [`Revocations::decode`]; nothing else makes one.
#[derive(Debug, Clone)]
pub struct Revocations {
    database_id: String,
    version: u64,
    issued_ms: u64,
    entries: Vec<Revocation>,
    /// Latest cut by user and by shown peer key.
    users: BTreeMap<String, u64>,
    peer_keys: BTreeMap<String, u64>,
    /// What was signed, and the signed form.
    covered: Vec<u8>,
    bytes: Vec<u8>,
}

impl Authority {
    /// Signs a list that holds `entries` and nothing else. Its version is above
    /// that of `previous` and at least `now_ms` (unix milliseconds), so that a
    /// service that lost its disk does not sign versions again.
    ///
    /// # Errors
    /// A limit, an entry that names nobody or everybody, or the library failed.
    pub fn revoke(
        &self,
        database_id: &str,
        previous: Option<&Revocations>,
        entries: Vec<Revocation>,
        now_ms: u64,
    ) -> Result<Revocations, RevokeError> {
        check_database_id(database_id)?;
        let above = previous.map_or(0, |previous| previous.version.saturating_add(1));
        let draft = Draft {
            database_id: database_id.to_owned(),
            version: above.max(now_ms),
            issued_ms: now_ms,
            entries,
        };
        draft.check()?;
        let text = draft.to_json();
        if text.len() > TEXT_BYTES_MAX {
            return Err(RevokeError::TooLarge);
        }
        let covered = packed::pack(text.as_bytes());
        let signature = self.sign(&message(&covered)).ok_or(RevokeError::Signing)?;
        let bytes = [&[VERSION, signature.len() as u8][..], &signature, &covered].concat();
        if bytes.len() > REVOCATIONS_BYTES_MAX {
            return Err(RevokeError::TooLarge);
        }
        Ok(draft.signed(covered, bytes))
    }
}

impl Revocations {
    /// The signed form, as it is stored and told to peers.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads the signed form. A list counts if one of the trusted authorities
    /// signed it for the trusted database; a shared key signs none.
    ///
    /// # Errors
    /// [`RevocationsError`], one variant for each way to be refused. The
    /// signature is checked before anything that it signs is unpacked.
    pub fn decode(bytes: &[u8], trust: &Trust) -> Result<Self, RevocationsError> {
        if bytes.len() > REVOCATIONS_BYTES_MAX {
            let bytes = bytes.len();
            return Err(RevocationsError::TooLarge { bytes });
        }
        let (signature, covered) = split(bytes).ok_or(malformed("they are cut off"))?;
        let message = message(covered);
        let mut authorities = trust.authorities().iter();
        if !authorities.any(|authority| authority.signed(&message, signature)) {
            return Err(RevocationsError::Foreign);
        }
        let text = packed::unpack(covered, TEXT_BYTES_MAX);
        let text = text.ok_or(malformed("they cannot be unpacked"))?;
        let Ok(Value::Object(object)) = json::parse(&text) else {
            return Err(malformed("they are no JSON object"));
        };
        let draft = Draft::read(&Fields::root(&object))?;
        if draft.database_id != trust.database_id() {
            return Err(RevocationsError::WrongDatabase);
        }
        draft.check()?;
        Ok(draft.signed(covered.to_vec(), bytes.to_vec()))
    }

    /// The database.
    #[must_use]
    pub fn database_id(&self) -> &str {
        &self.database_id
    }

    /// Greater for each list of an authority.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// When it was signed, in unix milliseconds: its age is told to operators.
    #[must_use]
    pub fn issued_ms(&self) -> u64 {
        self.issued_ms
    }

    /// The entries, to make the next list from.
    #[must_use]
    pub fn entries(&self) -> &[Revocation] {
        &self.entries
    }

    /// Takes `offered` if it is newer. An entry that is to be undone is missing
    /// from a newer list.
    ///
    /// # Errors
    /// It is older, or for another database; nothing changed then.
    pub fn adopt(&mut self, offered: Self) -> Result<Adoption, AdoptError> {
        if offered.database_id != self.database_id {
            return Err(AdoptError::WrongDatabase);
        }
        if offered.version < self.version {
            return Err(AdoptError::Rollback {
                held: self.version,
                offered: offered.version,
            });
        }
        if offered.version > self.version {
            *self = offered;
            return Ok(Adoption::Newer);
        }
        if offered.covered == self.covered {
            return Ok(Adoption::Unchanged);
        }
        if offered.covered > self.covered {
            *self = offered;
        }
        Ok(Adoption::Conflict)
    }

    /// Why a peer is cut off, if it is. A filter that cannot be evaluated cuts
    /// off: nobody escapes by being hard to judge.
    #[must_use]
    pub fn is_revoked(&self, peer: &VerifiedPeer) -> Option<RevokedBy> {
        let before = |cut: Option<&u64>| cut.is_some_and(|cut| peer.issued_ms() < *cut);
        if before(self.peer_keys.get(&peer.peer_key().to_string())) {
            return Some(RevokedBy::PeerKey);
        }
        if peer
            .user_id()
            .is_some_and(|user| before(self.users.get(user)))
        {
            return Some(RevokedBy::User);
        }
        let object = entry::identity_object(peer);
        let matching = self.entries.iter().find_map(|entry| match &entry.whom {
            Whom::Filter(filter) if before(Some(&entry.issued_before_ms)) => {
                holds_for(filter.condition(), &object)
                    .unwrap_or(true)
                    .then(|| filter.text().to_owned())
            }
            _ => None,
        });
        matching.map(RevokedBy::Filter)
    }
}

/// A list before it is signed, or after its signature was checked.
struct Draft {
    database_id: String,
    version: u64,
    issued_ms: u64,
    entries: Vec<Revocation>,
}

impl Draft {
    fn read(fields: &Fields<'_>) -> Result<Self, FieldError> {
        fields.only(&["databaseID", "entries", "issuedMs", "version"])?;
        let whole = (0, u64::MAX);
        let entries = fields.array("entries")?;
        check_count(entries.len(), REVOCATIONS_MAX)?;
        let entries = entries.iter().map(|entry| match entry {
            Value::Object(entry) => Revocation::read(&Fields::root(entry)),
            other => {
                let (found, wanted) = (type_of(other), "an object");
                Err(Problem::WrongType { found, wanted }.at("entries"))
            }
        });
        Ok(Self {
            database_id: fields.text("databaseID")?.to_owned(),
            version: fields.number("version", whole, "a whole number")?,
            issued_ms: fields.number("issuedMs", whole, "a time in milliseconds")?,
            entries: entries.collect::<Result<_, _>>()?,
        })
    }

    fn check(&self) -> Result<(), FieldError> {
        check_count(self.entries.len(), REVOCATIONS_MAX)?;
        let filters = self.entries.iter();
        let filters = filters.filter(|entry| matches!(entry.whom, Whom::Filter(_)));
        check_count(filters.count(), REVOCATION_FILTERS_MAX)?;
        self.entries.iter().try_for_each(Revocation::check)
    }

    fn to_json(&self) -> String {
        let entries = self.entries.iter().map(Revocation::to_value).collect();
        json::print(&Value::Object(Object::from([
            (
                "databaseID".to_owned(),
                Value::from(self.database_id.as_str()),
            ),
            ("entries".to_owned(), Value::Array(entries)),
            ("issuedMs".to_owned(), Value::from_u64(self.issued_ms)),
            ("version".to_owned(), Value::from_u64(self.version)),
        ])))
    }

    fn signed(self, covered: Vec<u8>, bytes: Vec<u8>) -> Revocations {
        let (mut users, mut peer_keys) = (BTreeMap::new(), BTreeMap::new());
        for entry in &self.entries {
            let (cuts, name) = match &entry.whom {
                Whom::User(user) => (&mut users, user),
                Whom::PeerKey(key) => (&mut peer_keys, key),
                Whom::Filter(_) => continue,
            };
            let cut: &mut u64 = cuts.entry(name.clone()).or_default();
            *cut = entry.issued_before_ms.max(*cut);
        }
        Revocations {
            database_id: self.database_id,
            version: self.version,
            issued_ms: self.issued_ms,
            entries: self.entries,
            users,
            peer_keys,
            covered,
            bytes,
        }
    }
}

fn check_count(count: usize, count_max: usize) -> Result<(), FieldError> {
    if count <= count_max {
        return Ok(());
    }
    let wanted = "at most 10000 entries, of which 256 filters";
    Err(Problem::OutOfRange { wanted }.at("entries"))
}

const fn malformed(what: &'static str) -> RevocationsError {
    RevocationsError::Malformed { what }
}

/// Signature and what it covers.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut reader = Reader::new(bytes);
    let [version, length] = reader.array()?;
    if version != VERSION || usize::from(length) > SIGNATURE_BYTES_MAX {
        return None;
    }
    let signature = reader.take(usize::from(length))?;
    Some((signature, reader.rest()))
}

fn message(covered: &[u8]) -> Vec<u8> {
    [SIGNATURE_DOMAIN, covered].concat()
}
