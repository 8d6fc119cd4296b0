//! Arrival notes: at which local commit each part of a document arrived, and from which log.
//!
//! They stand beside a document's canonical bytes and never in them: what they say is true of
//! this device alone. A history of version vectors is enough, since a document's parts arrive
//! with the vector that covers them.

use smallvec::SmallVec;
use tombolo_document::{Actor, Dot, Stamp, VersionVector};

use crate::{
    StoreError,
    codec::{RecordReader, put_varint},
};

/// Most notes beside one document. Beyond it the two oldest become one, with the later commit:
/// a peer whose cursor lies between them is sent more than it needs, never less.
pub const NOTES_MAX: usize = 4;

/// Where parts came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(pub(crate) u32);

impl Origin {
    /// Written on this device.
    pub const HERE: Self = Self(0);
    /// From several logs, or from one that is not remembered: never suppressed as an echo.
    pub const UNKNOWN: Self = Self(1);
    /// The first number of a remembered log.
    pub(crate) const FIRST_LOG: u32 = 2;
}

/// What arrived with one local commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The local commit number.
    pub commit: u64,
    /// The log that it came from.
    pub origin: Origin,
    /// The actors whose entry in the document's vector this commit moved, and to where.
    pub seen: SmallVec<[(Actor, Stamp); 2]>,
}

/// The notes of one document, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrivals {
    notes: SmallVec<[Note; 1]>,
}

impl Arrivals {
    /// The notes, oldest first.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The commit at which the document last changed here.
    pub fn last_commit(&self) -> Option<u64> {
        self.notes.last().map(|note| note.commit)
    }

    /// The vector that a peer is known to cover: what had arrived by commit `cursor`, and what
    /// came from that peer's own log (`echo`), which it need not be sent back.
    pub fn covered_by(&self, cursor: u64, echo: Option<Origin>) -> VersionVector {
        let mut vector = VersionVector::new();
        for note in &self.notes {
            if note.commit <= cursor || echo == Some(note.origin) {
                for &(actor, stamp) in &note.seen {
                    vector.add(Dot::new(actor, stamp));
                }
            }
        }
        vector
    }

    /// The remote log that all of the document came from, if there is one: a peer with that log
    /// has all of it.
    pub fn only_log(&self) -> Option<Origin> {
        let from = self.notes.first()?.origin;
        let is_only = self.notes.iter().all(|note| note.origin == from);
        (is_only && from.0 >= Origin::FIRST_LOG).then_some(from)
    }

    /// Notes that the document's vector went from `old` to `new`.
    pub(crate) fn note(
        &mut self,
        commit: u64,
        origin: Origin,
        old: &VersionVector,
        new: &VersionVector,
    ) {
        let moved = new
            .entries()
            .iter()
            .filter(|(actor, stamp)| old.get(actor) != Some(*stamp));
        let note = Note {
            commit,
            origin,
            seen: moved.copied().collect(),
        };
        // A second write of one transaction here is told with the first.
        if note.seen.is_empty() && origin != Origin::HERE {
            return self.forget(commit, new);
        }
        match self.notes.last_mut() {
            Some(last) if last.commit == commit => last.absorb(note),
            _ => self.notes.push(note),
        }
        if self.notes.len() > NOTES_MAX {
            let oldest = self.notes.remove(0);
            let mut younger = std::mem::replace(&mut self.notes[0], oldest);
            std::mem::swap(&mut self.notes[0].commit, &mut younger.commit);
            self.notes[0].absorb(younger);
        }
    }

    /// Knows no longer who has what: the document changed under a vector that tells nothing of it,
    /// because one commit came with two contents. Every peer is sent all of it.
    fn forget(&mut self, commit: u64, vector: &VersionVector) {
        self.notes.clear();
        self.notes.push(Note {
            commit,
            origin: Origin::UNKNOWN,
            seen: vector.entries().into(),
        });
    }

    /// Appends the notes; `vector` is that of the document they stand beside.
    pub(crate) fn encode(&self, out: &mut impl Extend<u8>, vector: &VersionVector) {
        put_varint(out, self.notes.len() as u64);
        let mut before = 0;
        for note in &self.notes {
            put_varint(out, note.commit - before);
            before = note.commit;
            put_varint(out, u64::from(note.origin.0));
            let known = note.seen.iter().filter_map(|(actor, stamp)| {
                let index = vector
                    .entries()
                    .binary_search_by(|(held, _)| held.cmp(actor))
                    .ok()?;
                Some((
                    index as u64,
                    vector.entries()[index].1.bits().checked_sub(stamp.bits())?,
                ))
            });
            put_varint(out, known.clone().count() as u64);
            for (index, behind) in known {
                put_varint(out, index);
                put_varint(out, behind);
            }
        }
    }

    /// Reads what [`Arrivals::encode`] wrote beside a document with this vector.
    pub(crate) fn decode(
        reader: &mut RecordReader<'_>,
        vector: &VersionVector,
    ) -> Result<Self, StoreError> {
        let mut arrivals = Self::default();
        let mut commit = 0u64;
        for _ in 0..reader.varint()? {
            let later = reader.varint()?;
            commit = commit.checked_add(later).ok_or_else(|| reader.damaged())?;
            let origin = Origin(reader.number()?);
            let mut seen = SmallVec::new();
            for _ in 0..reader.varint()? {
                let index = reader.number::<usize>()?;
                let behind = reader.varint()?;
                let entry = vector.entries().get(index);
                let (actor, newest) = *entry.ok_or_else(|| reader.damaged())?;
                let bits = newest.bits().checked_sub(behind);
                seen.push((
                    actor,
                    Stamp::from_bits(bits.ok_or_else(|| reader.damaged())?),
                ));
            }
            arrivals.notes.push(Note {
                commit,
                origin,
                seen,
            });
        }
        Ok(arrivals)
    }
}

impl Note {
    /// Takes up a note that arrived later.
    fn absorb(&mut self, later: Self) {
        if self.origin != later.origin {
            self.origin = Origin::UNKNOWN;
        }
        for (actor, stamp) in later.seen {
            match self.seen.iter_mut().find(|(held, _)| *held == actor) {
                Some((_, held)) => *held = stamp,
                None => self.seen.push((actor, stamp)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tombolo_document::SiteId;

    use super::*;
    use crate::codec::RECORD_VERSION;

    fn dot(site: u8, millis: u64) -> Dot {
        Dot::new(Actor::new(SiteId([site; 16]), 1), Stamp::new(millis, 0))
    }

    fn history() -> (Arrivals, VersionVector) {
        let mut arrivals = Arrivals::default();
        let mut vector = VersionVector::new();
        for (commit, site, origin) in [(3, 5, 0), (7, 2, 2), (9, 5, 0), (12, 9, 3), (20, 2, 2)] {
            let old = vector.clone();
            vector.add(dot(site, commit * 10));
            arrivals.note(commit, Origin(origin), &old, &vector);
        }
        (arrivals, vector)
    }

    #[test]
    fn notes_round_trip_beside_their_document() {
        let (arrivals, vector) = history();
        let mut bytes = vec![RECORD_VERSION];
        arrivals.encode(&mut bytes, &vector);
        let mut reader = RecordReader::open("test", &bytes).unwrap();
        assert_eq!(Arrivals::decode(&mut reader, &vector).unwrap(), arrivals);
        reader.close().unwrap();
        assert!(bytes.len() < 40, "{} bytes", bytes.len());
    }

    #[test]
    fn the_oldest_notes_become_one_that_claims_less() {
        let (arrivals, vector) = history();
        let commits: Vec<u64> = arrivals.notes().iter().map(|note| note.commit).collect();
        assert_eq!(commits, [7, 9, 12, 20]);
        assert_eq!(arrivals.notes()[0].origin, Origin::UNKNOWN);
        assert!(arrivals.covered_by(6, None).is_empty());
        assert_eq!(arrivals.covered_by(20, None), vector);
    }

    #[test]
    fn a_peer_is_not_sent_back_what_came_from_its_own_log() {
        let (arrivals, vector) = history();
        let covered = arrivals.covered_by(12, Some(Origin(2)));
        assert!(covered.dominates(&vector));
        let covered = arrivals.covered_by(12, Some(Origin(3)));
        assert!(!covered.dominates(&vector));
    }

    #[test]
    fn what_came_from_one_log_alone_is_told_apart() {
        let (empty, first): (_, VersionVector) =
            (VersionVector::new(), [dot(1, 1)].into_iter().collect());
        let both: VersionVector = [dot(1, 1), dot(2, 1)].into_iter().collect();
        let came = |origins: [Origin; 2]| {
            let mut arrivals = Arrivals::default();
            arrivals.note(1, origins[0], &empty, &first);
            arrivals.note(2, origins[1], &first, &both);
            arrivals.only_log()
        };
        assert_eq!(came([Origin(2), Origin(2)]), Some(Origin(2)));
        assert_eq!(came([Origin(2), Origin(3)]), None);
        assert_eq!(came([Origin::HERE, Origin(2)]), None);
        assert_eq!(came([Origin::UNKNOWN, Origin::UNKNOWN]), None);
    }

    #[test]
    fn a_change_that_moves_no_vector_is_sent_to_everybody() {
        let vector: VersionVector = [dot(1, 1), dot(2, 1)].into_iter().collect();
        let mut arrivals = Arrivals::default();
        arrivals.note(1, Origin(2), &VersionVector::new(), &vector);
        arrivals.note(2, Origin(2), &vector, &vector);
        assert!(arrivals.covered_by(1, Some(Origin(2))).is_empty());
        assert_eq!(arrivals.covered_by(2, None), vector);
        assert_eq!(arrivals.last_commit(), Some(2));
    }

    #[test]
    fn two_changes_in_one_commit_are_one_note() {
        let mut arrivals = Arrivals::default();
        let (empty, first): (_, VersionVector) =
            (VersionVector::new(), [dot(1, 1)].into_iter().collect());
        let both: VersionVector = [dot(1, 1), dot(2, 1)].into_iter().collect();
        arrivals.note(1, Origin::HERE, &empty, &first);
        arrivals.note(1, Origin::HERE, &first, &both);
        assert_eq!(arrivals.notes().len(), 1);
        assert_eq!(arrivals.covered_by(1, None), both);
    }
}
