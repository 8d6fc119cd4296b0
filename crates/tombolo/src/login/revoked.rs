//! The list of who is cut off that comes with a login, kept where sessions keep
//! those that peers bring, so that it counts although sync may not run yet. Which
//! list is newer is decided by the lists themselves.

use tombolo_identity::{Adoption, Revocations, Trust};
use tombolo_store::{Sidecar, StoreError};
use tombolo_sync::record::{REVOCATIONS_KEY, read_revocations, revocations};

use crate::replication::Host;

/// Keeps a list that came with a login if it is newer than the one that is kept,
/// and waits until it is durable.
pub(super) fn keep_newer(host: &Host, offered: &[u8], trust: &Trust) -> Result<(), StoreError> {
    if !is_newer(held(host)?.as_deref(), offered, trust) {
        return Ok(());
    }
    host.write_records(vec![(REVOCATIONS_KEY.to_vec(), Some(revocations(offered)))])
}

fn held(host: &Host) -> Result<Option<Vec<u8>>, StoreError> {
    let record = host.view().0.sidecar(Sidecar::Sessions, REVOCATIONS_KEY)?;
    Ok(record.and_then(|bytes| read_revocations(&bytes).map(<[u8]>::to_vec)))
}

/// Whether `offered` is to be kept in place of `held`. A list that `trust` cannot
/// read is not, and one that it cannot read any more is replaced.
fn is_newer(held: Option<&[u8]>, offered: &[u8], trust: &Trust) -> bool {
    let Ok(offered_list) = Revocations::decode(offered, trust) else {
        return false;
    };
    let held = held.and_then(|held| Revocations::decode(held, trust).ok());
    let Some(mut list) = held else {
        return true;
    };
    let adopted = list.adopt(offered_list);
    adopted.is_ok_and(|adoption| adoption != Adoption::Unchanged) && list.as_bytes() == offered
}
