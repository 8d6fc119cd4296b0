//! Who wrote: sites, actors and dots.
//!
//! An actor belongs to a key: the site id is a hash of the peer's public key.

use crate::stamp::Stamp;

/// Hash domain of [`SiteId::derive`].
const SITE_DOMAIN: &str = "tombolo 2026-11 site id";

/// 128 bits that name a site: one peer key in one database.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SiteId(pub [u8; 16]);

impl SiteId {
    /// The site of the peer that owns `public_key` in database `database_id`:
    /// the first 16 bytes of a BLAKE3 hash in its own domain.
    #[must_use]
    pub fn derive(database_id: &str, public_key: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(SITE_DOMAIN);
        hasher.update(&(database_id.len() as u64).to_le_bytes());
        hasher.update(database_id.as_bytes());
        hasher.update(public_key);
        Self(first_16(&hasher.finalize()))
    }
}

impl std::fmt::Debug for SiteId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// The first half of a hash.
pub(crate) fn first_16(hash: &blake3::Hash) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&hash.as_bytes()[..16]);
    half
}

/// A site in one epoch of its life.
///
/// Epoch zero belongs to INITIAL writes, whose site is a hash of their content;
/// devices start at epoch one and move on when they may have forgotten writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Actor {
    /// Whose writes these are.
    pub site: SiteId,
    /// Which life of that site.
    pub epoch: u32,
}

impl Actor {
    /// The epoch of actors that are derived from content.
    pub const INITIAL_EPOCH: u32 = 0;
    /// The first epoch of a device.
    pub const FIRST_EPOCH: u32 = 1;

    /// An actor of `site` in `epoch`.
    #[must_use]
    pub const fn new(site: SiteId, epoch: u32) -> Self {
        Self { site, epoch }
    }
}

/// One commit of one actor: what every leaf that it wrote carries.
///
/// Dots order by stamp, then actor: the greater one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dot {
    /// When.
    pub stamp: Stamp,
    /// Who.
    pub actor: Actor,
}

impl Dot {
    /// The dot of `actor` at `stamp`.
    #[must_use]
    pub const fn new(actor: Actor, stamp: Stamp) -> Self {
        Self { stamp, actor }
    }
}
