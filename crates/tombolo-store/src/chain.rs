//! The running hash of the change log: each commit's head holds a hash of all heads before it.
//!
//! An engine's own checksums tell a torn block; the chain tells a commit that is missing or was
//! put in from elsewhere. It is BLAKE3 in its own domain, cut to 128 bits.

use std::sync::LazyLock;

use tombolo_document::Stamp;

use crate::{
    StoreError,
    engine::{Batch, EngineSnapshot, KeyRange, Keyspace},
    layout::{self, HeadRecord, LogKey},
    reads::scan_fallible,
    state::State,
};

/// Heads that are kept behind the newest; a cursor older than that is taken on its position alone.
pub const HEADS_KEPT: u64 = 262_144;

/// Heads that are checked at each opening.
pub(crate) const HEADS_CHECKED_ON_OPEN: u64 = 1024;

const DOMAIN: &str = "tombolo 2026-11 change log";

/// What a full check of the change log found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Commits whose head is still kept.
    pub commits: u64,
    /// Documents in the change log.
    pub documents: u64,
}

/// Makes the head of a commit from what the batch holds of it.
pub(crate) fn head_of(batch: &Batch, state: &State, commit: u64, stamp: Stamp) -> HeadRecord {
    let range = KeyRange::prefix(&layout::head_key(commit));
    let mut digest = hasher();
    let mut touched = 0;
    for (key, value) in batch.range(Keyspace::Changes, &range) {
        if value.is_some() {
            hash_key(&mut digest, key);
            touched += 1;
        }
    }
    let mut head = HeadRecord {
        previous: state.last_commit,
        touched,
        stamp,
        digest: first_16(&digest),
        chain: [0; 16],
    };
    head.chain = link(&state.chain, commit, &head);
    head
}

/// Checks the links between the heads from `first` on, and that they end where the state says.
pub(crate) fn check_links(
    snapshot: &dyn EngineSnapshot,
    state: &State,
    first: u64,
) -> Result<u64, StoreError> {
    let mut last: Option<(u64, [u8; 16])> = None;
    let mut count = 0;
    let range = layout::changes_after(first.saturating_sub(1));
    scan_fallible(snapshot, Keyspace::Changes, &range, &mut |key, value| {
        let LogKey::Head { commit } = layout::read_log_key(key)? else {
            return Ok(());
        };
        let head = HeadRecord::read(value)?;
        if let Some((previous, chain)) = last {
            let follows = head.previous == previous && head.chain == link(&chain, commit, &head);
            if !follows {
                return Err(StoreError::DamagedLog { commit });
            }
        }
        last = Some((commit, head.chain));
        count += 1;
        Ok(())
    })?;
    if last.unwrap_or((0, [0; 16])) == (state.last_commit, state.chain) {
        Ok(count)
    } else {
        Err(StoreError::DamagedLog {
            commit: state.last_commit,
        })
    }
}

/// Checks each commit of which all entries are left against its digest, and each entry against
/// its document.
pub(crate) fn check_entries(snapshot: &dyn EngineSnapshot) -> Result<u64, StoreError> {
    let mut open: Option<(u64, HeadRecord)> = None;
    let mut digest = hasher();
    let (mut entries, mut found) = (0, 0);
    let close = |open: Option<(u64, HeadRecord)>, digest: &blake3::Hasher, found| match open {
        Some((commit, head))
            if found > head.touched
                || (found == head.touched && first_16(digest) != head.digest) =>
        {
            Err(StoreError::DamagedLog { commit })
        }
        _ => Ok(()),
    };
    scan_fallible(
        snapshot,
        Keyspace::Changes,
        &KeyRange::all(),
        &mut |key, value| {
            match layout::read_log_key(key)? {
                LogKey::Head { commit } => {
                    close(open.take(), &digest, found)?;
                    open = Some((commit, HeadRecord::read(value)?));
                    (digest, found) = (hasher(), 0);
                }
                LogKey::Change { commit, .. } => {
                    check_entry(snapshot, commit, key, value)?;
                    hash_key(&mut digest, key);
                    (entries, found) = (
                        entries + 1,
                        found + u64::from(open.is_some_and(|(head, _)| head == commit)),
                    );
                }
            }
            Ok(())
        },
    )?;
    close(open, &digest, found)?;
    Ok(entries)
}

fn check_entry(
    snapshot: &dyn EngineSnapshot,
    commit: u64,
    key: &[u8],
    value: &[u8],
) -> Result<(), StoreError> {
    let damaged = StoreError::DamagedLog { commit };
    let from = layout::read_change(value).map_err(|_| damaged.clone())?;
    let document_key = &key[layout::head_key(commit).len()..];
    let record = snapshot
        .get(Keyspace::Documents, document_key)?
        .ok_or(damaged.clone())?;
    let record = layout::DocumentRecord::read(&record)?;
    let arrivals = record.arrivals(&record.vector()?)?;
    let is_true = from.is_none() || from == arrivals.only_log();
    if is_true && arrivals.last_commit() == Some(commit) {
        Ok(())
    } else {
        Err(damaged)
    }
}

/// A hasher in the domain of the change log.
fn hasher() -> blake3::Hasher {
    /// Deriving its key costs as much as hashing a head.
    static EMPTY: LazyLock<blake3::Hasher> =
        LazyLock::new(|| blake3::Hasher::new_derive_key(DOMAIN));
    EMPTY.clone()
}

fn hash_key(hasher: &mut blake3::Hasher, key: &[u8]) {
    hasher.update(&(key.len() as u64).to_be_bytes());
    hasher.update(key);
}

fn link(chain: &[u8; 16], commit: u64, head: &HeadRecord) -> [u8; 16] {
    let mut hasher = hasher();
    hasher.update(chain);
    hasher.update(&commit.to_be_bytes());
    hasher.update(&head.stamp.bits().to_be_bytes());
    hasher.update(&head.digest);
    first_16(&hasher)
}

fn first_16(hasher: &blake3::Hasher) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    half
}
