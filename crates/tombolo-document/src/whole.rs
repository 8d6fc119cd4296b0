//! Whole documents on their way to a peer that has nothing of them: what
//! follows the head is the same there as here, so no tree is made.
//!
//! Writing trusts the store. Reading trusts nobody: bytes that are not plainly
//! canonical are left to the decoder, which knows every rule.

use crate::actor::Actor;
use crate::bytes::{DecodeError, Reader, put_varint};
use crate::encode::Intern;
use crate::head::{Head, Resolve, take_commits, take_head};
use crate::layout::{
    BASE_ABSENT, DELTA, HAS_REMOVALS, INTERNED, OFFSET_BYTES, ROOT_REMOVED, VERSION, WIDE_MAP,
    put_stamp,
};
use crate::raw;
use crate::schema::Kind;
use crate::value::MAX_DEPTH;
use crate::version::VersionVector;

/// Commits of a document that is read without a tree; few have more.
const COMMITS_MAX: usize = 64;
/// Bytes set aside for each actor.
const ACTOR_BYTES: usize = 24;

/// Most actors of a [`Whole`]: so many are held without memory of their own, so that what waits
/// is no larger than what was sent.
const HELD_ACTORS_MAX: usize = 2;

/// A new document as a peer sent it, checked and in the form in which it is stored. Reading it
/// needs nothing of the store, so that whoever merges it need not read it again.
///
/// Its bytes can be merged as those of any document; where there is none, they are the document,
/// and it shows: what takes a removal to say is left to [`crate::merge`]. It refers to no
/// attachment, since it holds registers and maps alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    document: Vec<u8>,
    vector: VersionVector,
}

impl Whole {
    /// Reads a delta whose actors are numbers that `resolve` knows; `None` if it is not all of a
    /// document, not a plain one of few actors, or malformed: merging it tells which.
    #[must_use]
    pub fn read(delta: &[u8], resolve: &dyn Fn(u64) -> Option<Actor>) -> Option<Self> {
        from_delta(delta, Some(resolve)).filter(|whole| whole.vector.len() <= HELD_ACTORS_MAX)
    }

    /// The bytes, as they are stored.
    #[must_use]
    pub fn document(&self) -> &[u8] {
        &self.document
    }

    /// What they cover.
    #[must_use]
    pub const fn vector(&self) -> &VersionVector {
        &self.vector
    }

    pub(crate) fn into_document(self) -> Vec<u8> {
        self.document
    }
}

/// The delta that holds all of a stored document; `None` if no actor wrote it.
pub(crate) fn to_delta(
    document: &[u8],
    intern: Option<Intern<'_>>,
) -> Result<Option<Vec<u8>>, DecodeError> {
    let mut reader = Reader::new(document);
    let head = take_head(&mut reader, None)?;
    if head.flags & DELTA != 0 {
        return Err(reader.malformed("document: a delta stands in its place"));
    }
    if head.vector.is_empty() {
        return Ok(None);
    }
    Ok(Some(write(&head, reader.rest(), Some(BASE_ABSENT), intern)))
}

/// The document that a delta makes where there is nothing; `None` if that takes
/// a tree, or if the bytes are malformed.
pub(crate) fn from_delta(delta: &[u8], resolve: Option<Resolve<'_>>) -> Option<Whole> {
    let mut reader = Reader::new(delta);
    let head = take_head(&mut reader, resolve).ok()?;
    if head.flags & (HAS_REMOVALS | ROOT_REMOVED) != 0 || !head.base.entries().is_empty() {
        return None;
    }
    let body = reader.rest();
    let commits = take_commits(&mut reader, &head).ok()?.len();
    if commits > COMMITS_MAX {
        return None;
    }
    let mut check = Check {
        reader,
        commits: commits as u64,
        named: 0,
    };
    check.map(0)?;
    // Only what is named is written, so that equal states have equal bytes.
    let all = u64::MAX.checked_shr(64 - commits as u32).unwrap_or(0);
    let is_canonical = check.reader.is_empty() && check.named == all;
    is_canonical.then(|| Whole {
        document: write(&head, body, None, None),
        vector: head.vector,
    })
}

/// A head before the bytes that follow it.
fn write(head: &Head, body: &[u8], base: Option<u64>, mut intern: Option<Intern<'_>>) -> Vec<u8> {
    let entries = head.vector.entries();
    let mut out = Vec::with_capacity(body.len() + 16 + entries.len() * ACTOR_BYTES);
    let kept = head.flags & (HAS_REMOVALS | ROOT_REMOVED);
    let delta = if base.is_some() { DELTA } else { 0 };
    let interned = if intern.is_some() { INTERNED } else { 0 };
    out.push(VERSION | kept | delta | interned);
    put_varint(&mut out, head.newest_ms);
    put_varint(&mut out, entries.len() as u64);
    for (actor, stamp) in entries {
        match &mut intern {
            Some(number) => put_varint(&mut out, number(actor)),
            None => {
                out.extend_from_slice(&actor.site.0);
                put_varint(&mut out, u64::from(actor.epoch));
            }
        }
        put_stamp(&mut out, head.newest_ms, *stamp);
        if let Some(base) = base {
            put_varint(&mut out, base);
        }
    }
    out.extend_from_slice(body);
    out
}

/// Passes over fields, holding them to the rules; `None` at the first that it
/// does not know or that is broken.
struct Check<'a> {
    reader: Reader<'a>,
    commits: u64,
    /// The commits that were named, one bit each.
    named: u64,
}

impl Check<'_> {
    fn map(&mut self, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        let presence = self.reader.varint("presence").ok()?;
        // Nothing was removed, so nothing can be nulled by it.
        let (count, nulled) = (presence >> 1, presence & 1);
        if count == 0 || nulled == 1 {
            return None;
        }
        let mut last = u64::MAX;
        for _ in 0..count {
            let place = self.reader.varint("commit").ok()?;
            last = self.name(place, last)?;
        }
        let count = self.reader.count("fields").ok()?;
        let wide = count >= WIDE_MAP;
        let bytes = if wide {
            count.checked_mul(OFFSET_BYTES)?
        } else {
            0
        };
        let mut offsets = self
            .reader
            .take(bytes, "offsets")
            .ok()?
            .chunks_exact(OFFSET_BYTES);
        let start = self.reader.position();
        let mut last: Option<&str> = None;
        for _ in 0..count {
            let offset = (self.reader.position() - start) as u32;
            if wide && offsets.next() != Some(offset.to_le_bytes().as_slice()) {
                return None;
            }
            let name = self.reader.text("field name").ok()?;
            if last.is_some_and(|last| last >= name) {
                return None;
            }
            last = Some(name);
            self.field(depth + 1)?;
        }
        Some(())
    }

    /// A field of one kind, a register or a map.
    fn field(&mut self, depth: usize) -> Option<()> {
        const REGISTER: u8 = 1 << Kind::Register as u8;
        const MAP: u8 = 1 << Kind::Map as u8;
        match self.reader.byte("field header").ok()? {
            REGISTER => self.leaf(depth),
            MAP => {
                let length = self.reader.count("length of a map").ok()?;
                let start = self.reader.position();
                self.map(depth)?;
                (self.reader.position() - start == length).then_some(())
            }
            _ => None,
        }
    }

    fn leaf(&mut self, depth: usize) -> Option<()> {
        let first = self.reader.varint("leaf").ok()?;
        let mut last = self.name(first >> 2, u64::MAX)?;
        let mut more = first & 1 == 1;
        while more {
            let next = self.reader.varint("leaf").ok()?;
            last = self.name(next >> 1, last)?;
            more = next & 1 == 1;
        }
        if first & 2 == 0 {
            raw::check(&mut self.reader, depth).ok()?;
        }
        Some(())
    }

    /// Notes a commit, which must come before `last` in the table.
    fn name(&mut self, place: u64, last: u64) -> Option<u64> {
        if place >= self.commits || place >= last {
            return None;
        }
        self.named |= 1 << place;
        Some(place)
    }
}
