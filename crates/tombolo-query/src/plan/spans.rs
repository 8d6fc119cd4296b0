//! Ranges of one field, and spans of whole index keys made from them. Both ends
//! count, and an upper end takes every key that starts with it.

use std::ops::Bound;

use tombolo_document::order::Direction;

use super::SPANS_MAX;
use super::condition::Condition;
use crate::source::IndexDefinition;

/// Ascending key bytes of one field, or prefixes of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyRange {
    pub low: Vec<u8>,
    pub high: Vec<u8>,
    /// One value: the next field of the index can narrow further.
    pub exact: bool,
}

/// A span of an index, in the direction of its keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeySpan {
    pub low: Vec<u8>,
    pub high: Vec<u8>,
}

impl KeyRange {
    pub(crate) fn point(key: Vec<u8>) -> Self {
        Self {
            low: key.clone(),
            high: key,
            exact: true,
        }
    }

    /// What lies in both, if anything can.
    pub(crate) fn intersected(&self, other: &Self) -> Option<Self> {
        let low = self.low.clone().max(other.low.clone());
        let high = match ends_before(&self.high, &other.high) {
            true => self.high.clone(),
            false => other.high.clone(),
        };
        let empty = low > high && !low.starts_with(&high);
        (!empty).then_some(Self {
            low,
            high,
            exact: self.exact || other.exact,
        })
    }
}

/// Whether everything up to `left` lies before the end of everything up to
/// `right`, an end taking all that starts with it.
fn ends_before(left: &[u8], right: &[u8]) -> bool {
    if left.starts_with(right) {
        return true;
    }
    !right.starts_with(left) && left < right
}

impl KeySpan {
    pub(crate) fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (Bound::Included(&self.low), Bound::Included(&self.high))
    }

    fn followed_by(&self, range: &KeyRange, direction: Direction) -> Self {
        let inverted = |bytes: &[u8]| bytes.iter().map(|byte| !byte).collect::<Vec<u8>>();
        let (low, high) = match direction {
            Direction::Ascending => (range.low.clone(), range.high.clone()),
            Direction::Descending => (inverted(&range.high), inverted(&range.low)),
        };
        Self {
            low: [self.low.as_slice(), &low].concat(),
            high: [self.high.as_slice(), &high].concat(),
        }
    }
}

/// The spans of an index that hold every document that meets the conditions,
/// and how well they narrow. `None` if the first key is not narrowed at all.
pub(super) fn of_index(
    index: &IndexDefinition,
    conditions: &[Condition],
) -> Option<(usize, Vec<KeySpan>)> {
    let mut score = 0;
    let mut spans = vec![KeySpan {
        low: Vec::new(),
        high: Vec::new(),
    }];
    for key in &index.keys {
        let Some(ranges) = of_field(&key.path, conditions) else {
            break;
        };
        if spans.len().saturating_mul(ranges.len()) > SPANS_MAX {
            break;
        }
        let exact = ranges.iter().all(|range| range.exact);
        score += if exact { 2 } else { 1 };
        spans = spans
            .iter()
            .flat_map(|span| {
                ranges
                    .iter()
                    .map(|range| span.followed_by(range, key.direction))
            })
            .collect();
        if !exact {
            break;
        }
    }
    (score > 0).then(|| (score, merged(spans)))
}

/// The ranges of one field that meet every condition on it.
fn of_field(path: &[String], conditions: &[Condition]) -> Option<Vec<KeyRange>> {
    let mut matching = conditions.iter().filter(|condition| condition.path == path);
    let mut ranges = matching.next()?.ranges.clone();
    for condition in matching {
        if ranges.len().saturating_mul(condition.ranges.len()) > SPANS_MAX {
            continue;
        }
        ranges = ranges
            .iter()
            .flat_map(|ours| {
                condition
                    .ranges
                    .iter()
                    .filter_map(|other| ours.intersected(other))
            })
            .collect();
    }
    Some(ranges)
}

/// The same spans, sorted and without overlap, so that no entry comes twice.
pub(super) fn merged(mut spans: Vec<KeySpan>) -> Vec<KeySpan> {
    spans.sort();
    let mut merged: Vec<KeySpan> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.low <= last.high || span.low.starts_with(&last.high) => {
                if ends_before(&last.high, &span.high) {
                    last.high = span.high;
                }
            }
            _ => merged.push(span),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(low: &[u8], high: &[u8]) -> KeySpan {
        KeySpan {
            low: low.to_vec(),
            high: high.to_vec(),
        }
    }

    #[test]
    fn overlapping_spans_become_one() {
        let spans = vec![
            span(b"c", b"d"),
            span(b"a", b"b"),
            span(b"ba", b"bb"),
            span(b"da", b"e"),
        ];
        assert_eq!(merged(spans), [span(b"a", b"b"), span(b"c", b"e")]);
    }

    #[test]
    fn a_longer_end_is_the_earlier_one() {
        let wide = KeyRange {
            low: b"n5".to_vec(),
            high: b"n".to_vec(),
            exact: false,
        };
        let narrow = KeyRange {
            low: b"n".to_vec(),
            high: b"n8".to_vec(),
            exact: false,
        };
        let both = wide.intersected(&narrow).unwrap();
        assert_eq!(
            (both.low.as_slice(), both.high.as_slice()),
            (&b"n5"[..], &b"n8"[..])
        );
        let other = KeyRange {
            low: b"n9".to_vec(),
            high: b"n".to_vec(),
            exact: false,
        };
        assert_eq!(narrow.intersected(&other), None);
    }
}
