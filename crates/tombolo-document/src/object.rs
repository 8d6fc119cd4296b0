//! JSON objects: members in one sorted list.
//!
//! Objects are small, made once and read often, so a list in the order of its
//! names beats a tree: one allocation, and members that come in order go to
//! its end.

use std::ops::Index;

use crate::value::Value;

/// An object: members in code point order of their names, each name once.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Object {
    members: Vec<(String, Value)>,
}

impl Object {
    /// An object without members.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            members: Vec::new(),
        }
    }

    /// An object without members, with room for `capacity`.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            members: Vec::with_capacity(capacity),
        }
    }

    /// How many members it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether it has no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The member called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        let at = self.find(name).ok()?;
        Some(&self.members[at].1)
    }

    /// The member called `name`, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        let at = self.find(name).ok()?;
        Some(&mut self.members[at].1)
    }

    /// Whether there is a member called `name`.
    #[must_use]
    pub fn contains_key(&self, name: &str) -> bool {
        self.find(name).is_ok()
    }

    /// Puts a member and gives the one that had its name. At the end this
    /// costs nothing; elsewhere the members behind it move.
    pub fn insert(&mut self, name: String, value: Value) -> Option<Value> {
        if self.members.last().is_none_or(|(last, _)| *last < name) {
            self.members.push((name, value));
            return None;
        }
        match self.find(&name) {
            Ok(at) => Some(std::mem::replace(&mut self.members[at].1, value)),
            Err(at) => {
                self.members.insert(at, (name, value));
                None
            }
        }
    }

    /// Takes a member out.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let at = self.find(name).ok()?;
        Some(self.members.remove(at).1)
    }

    /// The members in the order of their names.
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.members.iter())
    }

    /// The names in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &String> + DoubleEndedIterator {
        self.members.iter().map(|(name, _)| name)
    }

    /// The values in the order of their names.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &Value> + DoubleEndedIterator {
        self.members.iter().map(|(_, value)| value)
    }

    /// The values in the order of their names, to be kept.
    pub fn into_values(self) -> impl ExactSizeIterator<Item = Value> + DoubleEndedIterator {
        self.members.into_iter().map(|(_, value)| value)
    }

    /// The names in order, to be kept.
    pub fn into_keys(self) -> impl ExactSizeIterator<Item = String> + DoubleEndedIterator {
        self.members.into_iter().map(|(name, _)| name)
    }

    /// Keeps the members that `keep` picks.
    pub fn retain(&mut self, mut keep: impl FnMut(&String, &mut Value) -> bool) {
        self.members.retain_mut(|(name, value)| keep(name, value));
    }

    /// The member whose name is last.
    #[must_use]
    pub fn last_key_value(&self) -> Option<(&String, &Value)> {
        self.members.last().map(|(name, value)| (name, value))
    }

    /// An object of members in any order; `Err` gives a name that two have.
    ///
    /// # Errors
    /// A name that is there twice.
    pub fn from_unsorted(mut members: Vec<(String, Value)>) -> Result<Self, String> {
        if !members.is_sorted_by(|left, right| left.0 < right.0) {
            members.sort_by(|left, right| left.0.cmp(&right.0));
            let twice = members.windows(2).find(|pair| pair[0].0 == pair[1].0);
            if let Some(pair) = twice {
                return Err(pair[0].0.clone());
            }
        }
        Ok(Self { members })
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.members
            .binary_search_by(|(held, _)| held.as_str().cmp(name))
    }
}

/// The members of an object, borrowed.
#[derive(Debug, Clone)]
pub struct Iter<'o>(std::slice::Iter<'o, (String, Value)>);

impl<'o> Iterator for Iter<'o> {
    type Item = (&'o String, &'o Value);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, value)| (name, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(|(name, value)| (name, value))
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl Index<&str> for Object {
    type Output = Value;

    /// The member called `name`, which must be there.
    fn index(&self, name: &str) -> &Value {
        let at = self.find(name).expect("no member has this name");
        &self.members[at].1
    }
}

impl<'o> IntoIterator for &'o Object {
    type Item = (&'o String, &'o Value);
    type IntoIter = Iter<'o>;

    fn into_iter(self) -> Iter<'o> {
        self.iter()
    }
}

impl IntoIterator for Object {
    type Item = (String, Value);
    type IntoIter = std::vec::IntoIter<(String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.members.into_iter()
    }
}

impl FromIterator<(String, Value)> for Object {
    /// Of two members with one name the later one is kept.
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(members: I) -> Self {
        let mut members: Vec<(String, Value)> = members.into_iter().collect();
        if !members.is_sorted_by(|left, right| left.0 < right.0) {
            // Stable, so that of equal names the later stands behind.
            members.sort_by(|left, right| left.0.cmp(&right.0));
            members.reverse();
            members.dedup_by(|left, right| left.0 == right.0);
            members.reverse();
        }
        Self { members }
    }
}

impl<const N: usize> From<[(String, Value); N]> for Object {
    fn from(members: [(String, Value); N]) -> Self {
        members.into_iter().collect()
    }
}

impl Extend<(String, Value)> for Object {
    fn extend<I: IntoIterator<Item = (String, Value)>>(&mut self, members: I) {
        for (name, value) in members {
            self.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_object_is_the_map_that_a_tree_would_be(
            members in prop::collection::vec(("[a-d]{0,2}", any::<i64>()), 0..12),
            removed in "[a-d]{0,2}",
        ) {
            let members: Vec<(String, Value)> = members.into_iter().map(|(name, number)| (name, Value::Int(number))).collect();
            let mut tree: BTreeMap<String, Value> = members.iter().cloned().collect();
            let collected: Object = members.iter().cloned().collect();
            let mut inserted = Object::new();
            inserted.extend(members);
            prop_assert_eq!(&collected, &inserted);
            prop_assert!(inserted.iter().eq(tree.iter()));
            prop_assert_eq!(inserted.get(&removed), tree.get(&removed));
            prop_assert_eq!(inserted.remove(&removed), tree.remove(&removed));
            prop_assert!(inserted.into_iter().eq(tree));
        }

        #[test]
        fn a_name_that_is_there_twice_is_told(members in prop::collection::vec("[a-c]", 0..5)) {
            let pairs: Vec<_> = members.iter().map(|name| (name.clone(), Value::Null)).collect();
            let distinct: std::collections::BTreeSet<_> = members.iter().collect();
            let told = Object::from_unsorted(pairs).is_err();
            prop_assert_eq!(told, distinct.len() < members.len());
        }
    }
}
