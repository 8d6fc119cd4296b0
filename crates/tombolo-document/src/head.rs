//! The head of a document: flags, actors, version vector and commit table.

use crate::actor::{Actor, Dot, SiteId};
use crate::bytes::{DecodeError, Reader};
use crate::layout::{
    BASE_ABSENT, BASE_OTHER, BASE_SAME, DELTA, INTERNED, VERSION, VERSION_MASK, take_stamp,
};
use crate::stamp::Stamp;
use crate::tree::Commits;
use crate::version::{MAX_ACTORS, VersionVector};

/// Tells which actor a peer means by a number.
pub(crate) type Resolve<'r> = &'r dyn Fn(u64) -> Option<Actor>;

/// The actors and stamps at the head of the bytes.
pub(crate) struct Head {
    pub(crate) flags: u8,
    pub(crate) newest_ms: u64,
    pub(crate) vector: VersionVector,
    pub(crate) base: VersionVector,
}

/// Reads up to and with the version vector.
pub(crate) fn take_head(
    reader: &mut Reader<'_>,
    resolve: Option<Resolve<'_>>,
) -> Result<Head, DecodeError> {
    let first = reader.byte("header")?;
    let version = first & VERSION_MASK;
    if version != VERSION {
        return Err(DecodeError::UnknownVersion { version });
    }
    let flags = first & !VERSION_MASK;
    let newest_ms = reader.varint("newest stamp")?;
    let count = reader.count("actors")?;
    if count > MAX_ACTORS {
        return Err(DecodeError::TooManyActors);
    }
    let mut head = Head {
        flags,
        newest_ms,
        vector: VersionVector::new(),
        base: VersionVector::new(),
    };
    for _ in 0..count {
        take_actor(reader, resolve, &mut head)?;
    }
    let newest = head.vector.newest().map_or(0, Stamp::millis);
    if newest != newest_ms {
        return Err(reader.malformed("newest stamp: no actor has it"));
    }
    Ok(head)
}

fn take_actor(
    reader: &mut Reader<'_>,
    resolve: Option<Resolve<'_>>,
    head: &mut Head,
) -> Result<(), DecodeError> {
    let actor = if head.flags & INTERNED == 0 {
        let site = SiteId(reader.array("site id")?);
        let epoch = reader.varint("epoch")?;
        Actor::new(
            site,
            u32::try_from(epoch).map_err(|_| reader.malformed("epoch"))?,
        )
    } else {
        let number = reader.varint("actor number")?;
        let actor = resolve.and_then(|resolve| resolve(number));
        actor.ok_or_else(|| reader.malformed("actor number"))?
    };
    let last = head.vector.entries().last();
    if last.is_some_and(|(last, _)| *last >= actor) {
        return Err(reader.malformed("order of actors"));
    }
    let stamp = take_stamp(reader, head.newest_ms)?;
    head.vector.push(actor, stamp);
    if head.flags & DELTA == 0 {
        return Ok(());
    }
    match reader.varint("base")? {
        BASE_ABSENT => {}
        BASE_SAME => head.base.push(actor, stamp),
        BASE_OTHER => match take_stamp(reader, head.newest_ms)? {
            seen if seen < stamp => head.base.push(actor, seen),
            _ => return Err(reader.malformed("base: not below the vector")),
        },
        _ => return Err(reader.malformed("base")),
    }
    Ok(())
}

/// Reads the commit table that follows the head.
pub(crate) fn take_commits(reader: &mut Reader<'_>, head: &Head) -> Result<Commits, DecodeError> {
    let count = reader.count("commits")?;
    let mut commits = Commits::new();
    for _ in 0..count {
        let actor = reader.varint("commit")?;
        if actor & 1 == 1 {
            return Err(reader.malformed("commit: signatures are not known here"));
        }
        let (actor, seen) = entry(reader, &head.vector, actor >> 1)?;
        let dot = Dot::new(actor, take_stamp(reader, head.newest_ms)?);
        if dot.stamp > seen || commits.last().is_some_and(|last| *last >= dot) {
            return Err(reader.malformed("commit: out of order or above the vector"));
        }
        commits.push(dot);
    }
    Ok(commits)
}

/// The vector's entry at a place.
pub(crate) fn entry(
    reader: &Reader<'_>,
    vector: &VersionVector,
    place: u64,
) -> Result<(Actor, Stamp), DecodeError> {
    let place = usize::try_from(place).ok();
    let found = place.and_then(|place| vector.entries().get(place));
    found
        .copied()
        .ok_or_else(|| reader.malformed("place of an actor"))
}
