//! What changed between one list of rows and the next, as a list on a screen
//! needs to know it.

use std::collections::HashMap;

use tombolo_document::Value;

use crate::fingerprint::{self, Fingerprint};

/// The field by which a row is known again.
const ID: &str = "_id";

/// Compares each list of rows with the one that it was given before.
///
/// A row is known again by its `_id`; a row without one by all that it holds,
/// so that it is never updated. Of several rows that are known by the same, the
/// first of one list is taken for the first of the other, and so on. No row is
/// kept: memory is a hundred bytes for each, and time grows with `n log n`.
#[derive(Debug, Clone, Default)]
pub struct Differ {
    rows: Vec<Row>,
}

/// How one list became another. Positions of the old list are as they were
/// before anything changed, positions of the new as they are after everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff {
    /// New positions of rows that were not there, ascending.
    pub insertions: Vec<usize>,
    /// Old positions of rows that are no longer there, ascending.
    pub deletions: Vec<usize>,
    /// New positions of rows that are known again and hold something else,
    /// ascending.
    pub updates: Vec<usize>,
    /// Old and new positions of rows that changed places among those that
    /// stayed, ascending by the new one. As few as can be: a row that moved
    /// only because others came or went is not among them.
    pub moves: Vec<(usize, usize)>,
}

impl Diff {
    /// Whether both lists are the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What is kept of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    known_by: Fingerprint,
    holds: Fingerprint,
}

impl Row {
    fn of(item: &Value) -> Self {
        let holds = fingerprint::of_value(item);
        let id = item.as_object().and_then(|members| members.get(ID));
        Self {
            known_by: id.map_or(holds, fingerprint::of_value),
            holds,
        }
    }
}

impl Differ {
    /// A differ that was given nothing: to it every row is new.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Compares `items` with the list before, and keeps them as the next one.
    pub fn diff(&mut self, items: &[Value]) -> Diff {
        let new: Vec<Row> = items.iter().map(Row::of).collect();
        let old = std::mem::replace(&mut self.rows, new);
        compare(&old, &self.rows)
    }
}

fn compare(old: &[Row], new: &[Row]) -> Diff {
    let mut diff = Diff::default();
    let mut places = Places::of(old);
    let mut stayed = vec![false; old.len()];
    // Old and new positions of the rows that stayed, in the new order.
    let mut kept = Vec::with_capacity(new.len().min(old.len()));
    for (to, row) in new.iter().enumerate() {
        let Some(from) = places.take(row.known_by) else {
            diff.insertions.push(to);
            continue;
        };
        stayed[from] = true;
        kept.push((from, to));
        if old[from].holds != row.holds {
            diff.updates.push(to);
        }
    }
    let gone = stayed.iter().enumerate().filter(|(_, stayed)| !**stayed);
    diff.deletions = gone.map(|(from, _)| from).collect();
    let in_place = longest_increasing(&kept);
    let moved = kept.iter().zip(in_place).filter(|(_, in_place)| !in_place);
    diff.moves = moved.map(|(pair, _)| *pair).collect();
    diff
}

/// Where in the old list the rows are that are known by a fingerprint.
struct Places {
    first: HashMap<Fingerprint, usize>,
    /// The next place of the same fingerprint.
    next: Vec<Option<usize>>,
}

impl Places {
    fn of(rows: &[Row]) -> Self {
        let mut first = HashMap::with_capacity(rows.len());
        let mut next = vec![None; rows.len()];
        for (place, row) in rows.iter().enumerate().rev() {
            next[place] = first.insert(row.known_by, place);
        }
        Self { first, next }
    }

    /// The first place that was not taken yet.
    fn take(&mut self, known_by: Fingerprint) -> Option<usize> {
        let place = self.first.remove(&known_by)?;
        if let Some(next) = self.next[place] {
            self.first.insert(known_by, next);
        }
        Some(place)
    }
}

/// Which pairs belong to a longest run of ascending first halves: the rows that
/// can stay in place while the fewest others move around them.
fn longest_increasing(pairs: &[(usize, usize)]) -> Vec<bool> {
    // The pair with the least old position that ends a run of each length.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (at, (from, _)) in pairs.iter().enumerate() {
        let length = ends.partition_point(|end| pairs[*end].0 < *from);
        before.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        match ends.get_mut(length) {
            Some(end) => *end = at,
            None => ends.push(at),
        }
    }
    let mut belongs = vec![false; pairs.len()];
    let mut at = ends.last().copied();
    while let Some(place) = at {
        belongs[place] = true;
        at = before[place];
    }
    belongs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tombolo_document::{Object, json};

    use super::*;

    fn rows(texts: &[&str]) -> Vec<Value> {
        let parse = |text: &&str| json::parse(text.as_bytes()).unwrap();
        texts.iter().map(parse).collect()
    }

    fn ids(ids: &[i64]) -> Vec<Value> {
        let row = |id: &i64| Value::Object(Object::from([("_id".to_owned(), Value::Int(*id))]));
        ids.iter().map(row).collect()
    }

    const NONE: [(usize, usize); 0] = [];

    fn between(old: &[Value], new: &[Value]) -> Diff {
        let mut differ = Differ::new();
        differ.diff(old);
        differ.diff(new)
    }

    #[test]
    fn at_first_every_row_is_inserted_and_then_nothing_changes() {
        let mut differ = Differ::new();
        assert_eq!(differ.diff(&ids(&[7, 8])).insertions, [0, 1]);
        assert!(differ.diff(&ids(&[7, 8])).is_empty());
    }

    #[test]
    fn deletions_index_the_old_list_and_insertions_the_new() {
        let diff = between(&ids(&[1, 2, 3, 4]), &ids(&[5, 2, 4, 6]));
        assert_eq!(diff.deletions, [0, 2]);
        assert_eq!(diff.insertions, [0, 3]);
        assert_eq!((diff.updates, diff.moves), (vec![], vec![]));
    }

    #[test]
    fn a_row_that_only_shifts_does_not_move() {
        assert_eq!(between(&ids(&[1, 2, 3]), &ids(&[9, 1, 2, 3])).moves, NONE);
        assert_eq!(between(&ids(&[1, 2, 3]), &ids(&[2, 3])).moves, NONE);
    }

    #[test]
    fn as_few_rows_move_as_can_be() {
        assert_eq!(
            between(&ids(&[1, 2, 3, 4]), &ids(&[4, 1, 2, 3])).moves,
            [(3, 0)]
        );
        assert_eq!(
            between(&ids(&[1, 2, 3, 4]), &ids(&[2, 3, 4, 1])).moves,
            [(0, 3)]
        );
        assert_eq!(between(&ids(&[1, 2, 3]), &ids(&[3, 2, 1])).moves.len(), 2);
    }

    #[test]
    fn a_row_may_move_and_be_updated_at_once() {
        let old = rows(&[r#"{"_id":1,"n":1}"#, r#"{"_id":2}"#, r#"{"_id":3}"#]);
        let new = rows(&[r#"{"_id":2}"#, r#"{"_id":3}"#, r#"{"_id":1,"n":2}"#]);
        let diff = between(&old, &new);
        assert_eq!((diff.updates, diff.moves), (vec![2], vec![(0, 2)]));
    }

    #[test]
    fn a_row_without_id_is_known_by_all_that_it_holds() {
        let diff = between(
            &rows(&[r#"{"n":1}"#, r#"{"n":2}"#]),
            &rows(&[r#"{"n":1}"#, r#"{"n":3}"#]),
        );
        assert_eq!((diff.deletions, diff.insertions), (vec![1], vec![1]));
        assert!(diff.updates.is_empty());
    }

    #[test]
    fn rows_that_look_the_same_are_taken_in_their_order() {
        let old = rows(&[r#"{"n":1}"#, r#"{"n":1}"#, r#"{"n":2}"#]);
        let new = rows(&[r#"{"n":1}"#, r#"{"n":2}"#]);
        let diff = between(&old, &new);
        assert_eq!((diff.deletions, diff.insertions), (vec![1], vec![]));
        assert_eq!(diff.moves, NONE);
    }

    #[test]
    fn a_composite_id_is_compared_deeply() {
        let old = rows(&[r#"{"_id":{"t":"1","c":"2"},"n":1}"#]);
        let new = rows(&[r#"{"_id":{"t":"1","c":"2"},"n":2}"#]);
        assert_eq!(between(&old, &new).updates, [0]);
    }

    #[test]
    fn a_hundred_thousand_rows_in_reverse_are_no_burden() {
        let count = 100_000;
        let forward: Vec<i64> = (0..count).collect();
        let backward: Vec<i64> = (0..count).rev().collect();
        let diff = between(&ids(&forward), &ids(&backward));
        assert_eq!(diff.moves.len(), forward.len() - 1);
    }

    /// Carries out a diff on the old list, taking new rows from the new one.
    fn applied(old: &[Value], new: &[Value], diff: &Diff) -> Vec<Value> {
        let moved: Vec<usize> = diff.moves.iter().map(|(from, _)| *from).collect();
        let stays = |at: &usize| !diff.deletions.contains(at) && !moved.contains(at);
        let mut staying = (0..old.len()).filter(stays).map(|at| old[at].clone());
        let mut list = Vec::new();
        for (at, arrived) in new.iter().enumerate() {
            let from = diff.moves.iter().find(|(_, to)| *to == at);
            let row = match from {
                Some((from, _)) => Some(old[*from].clone()),
                None if diff.insertions.contains(&at) => Some(arrived.clone()),
                None => staying.next(),
            };
            match diff.updates.contains(&at) {
                true => list.push(arrived.clone()),
                false => list.extend(row),
            }
        }
        list
    }

    fn list() -> impl Strategy<Value = Vec<Value>> {
        let row = prop_oneof![
            4 => (0..12_i64, 0..2_i64).prop_map(|(id, n)| {
                Value::Object(Object::from([
                    ("_id".to_owned(), Value::Int(id)),
                    ("n".to_owned(), Value::Int(n)),
                ]))
            }),
            1 => (0..3_i64).prop_map(Value::Int),
        ];
        prop::collection::vec(row, 0..16)
    }

    proptest! {
        #[test]
        fn whoever_applies_the_diff_has_the_new_list(lists in prop::collection::vec(list(), 1..4)) {
            let mut differ = Differ::new();
            let mut shown = Vec::new();
            for new in lists {
                let diff = differ.diff(&new);
                shown = applied(&shown, &new, &diff);
                prop_assert_eq!(&shown, &new);
            }
        }
    }
}
