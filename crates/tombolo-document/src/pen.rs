//! Writing into the working form under one commit, as the schema says.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::actor::Dot;
use crate::attachment::AttachmentToken;
use crate::edit::EditError;
use crate::grave::Grave;
use crate::normal::epoch_of;
use crate::raw;
use crate::schema::{Field, Kind, Schema, Undeclared};
use crate::tree::{CommitIndex, Counter, Leaf, MapNode, Node, Part, Removal};
use crate::value::{MAX_DEPTH, Value};

/// A field under change: its name for messages, its declaration, its depth.
#[derive(Clone, Copy)]
pub(crate) struct Target<'s> {
    pub(crate) name: &'s str,
    pub(crate) field: Option<&'s Field>,
    depth: usize,
}

impl<'s> Target<'s> {
    pub(crate) const fn new(name: &'s str, field: Option<&'s Field>) -> Self {
        Self {
            name,
            field,
            depth: 1,
        }
    }

    fn inside(self, name: &'s str) -> Result<Self, EditError> {
        if self.depth >= MAX_DEPTH {
            return Err(EditError::TooDeep);
        }
        Ok(Self {
            name,
            field: self.field.and_then(|field| field.fields.get(name)),
            depth: self.depth + 1,
        })
    }

    fn wrong(self, kind: Kind, wanted: &'static str) -> EditError {
        EditError::WrongValue {
            field: self.name.to_owned(),
            kind,
            wanted,
        }
    }
}

/// Writes under one commit.
#[derive(Clone, Copy)]
pub(crate) struct Pen<'c> {
    /// The commit that writes, later than all others in `commits`.
    pub(crate) me: CommitIndex,
    pub(crate) commits: &'c [Dot],
    pub(crate) undeclared: Undeclared,
}

impl Pen<'_> {
    pub(crate) fn touch(&self, map: &mut MapNode<'_>) {
        map.presence.clear();
        map.presence.push(self.me);
        map.nulled = false;
    }

    /// Touches the maps on the way to the last name of `path`, making those
    /// that are missing, and gives the field there.
    pub(crate) fn reach<'t, 'a, 's, S: AsRef<str>>(
        &self,
        root: &'t mut MapNode<'a>,
        path: &'s [S],
        schema: &'s Schema,
    ) -> Result<(&'t mut Node<'a>, Target<'s>), EditError> {
        let (target, parents) = self.targets(path, schema)?;
        let mut map = root;
        self.touch(map);
        for name in parents {
            map = map.child_or_new(name.as_ref()).map.get_or_insert_default();
            self.touch(map);
        }
        Ok((map.child_or_new(target.name), target))
    }

    /// As [`Pen::reach`], making nothing; `None` if the field is not there.
    pub(crate) fn reach_existing<'t, 'a, 's, S: AsRef<str>>(
        &self,
        root: &'t mut MapNode<'a>,
        path: &'s [S],
        schema: &'s Schema,
    ) -> Result<Option<(&'t mut Node<'a>, Target<'s>)>, EditError> {
        let (target, parents) = self.targets(path, schema)?;
        let mut map = root;
        self.touch(map);
        for name in parents {
            let inside = map
                .child_mut(name.as_ref())
                .and_then(|node| node.map.as_deref_mut());
            match inside.filter(|map| map.is_visible()) {
                Some(inside) => map = inside,
                None => return Ok(None),
            }
            self.touch(map);
        }
        Ok(map.child_mut(target.name).map(|node| (node, target)))
    }

    /// Follows the declarations along a path, refusing to pass a field that
    /// has no fields inside.
    fn targets<'s, S: AsRef<str>>(
        &self,
        path: &'s [S],
        schema: &'s Schema,
    ) -> Result<(Target<'s>, &'s [S]), EditError> {
        let Some((last, parents)) = path.split_last() else {
            return Err(EditError::NotAMap {
                field: String::new(),
                kind: Kind::Map,
            });
        };
        let mut declared: Option<&BTreeMap<String, Field>> = Some(&schema.fields);
        for name in parents {
            let field = declared.and_then(|fields| fields.get(name.as_ref()));
            let kind = match (field, self.undeclared) {
                (Some(field), _) => field.kind,
                (None, Undeclared::Register) => Kind::Register,
                (None, Undeclared::Infer | Undeclared::RegisterOrMap) => Kind::Map,
            };
            if kind != Kind::Map {
                return Err(EditError::NotAMap {
                    field: name.as_ref().to_owned(),
                    kind,
                });
            }
            declared = field.map(|field| &field.fields);
        }
        if path.len() > MAX_DEPTH {
            return Err(EditError::TooDeep);
        }
        let target = Target {
            name: last.as_ref(),
            field: declared.and_then(|fields| fields.get(last.as_ref())),
            depth: path.len(),
        };
        Ok((target, parents))
    }

    pub(crate) fn write(
        &self,
        node: &mut Node<'_>,
        value: &Value,
        target: Target<'_>,
    ) -> Result<(), EditError> {
        let kind = kind_of(value, target.field, self.undeclared);
        match kind {
            Kind::Register => node.register = Some(self.leaf(value, target)?),
            Kind::Attachment => {
                check_token(value, target)?;
                node.attachment = Some(Box::new(self.leaf(value, target)?));
            }
            Kind::Counter => {
                let Value::Int(start) = value else {
                    return Err(target.wrong(kind, "a 64-bit integer"));
                };
                self.restart(node.counter.get_or_insert_default(), *start);
            }
            Kind::PnCounter => {
                let Value::Int(wanted) = value else {
                    return Err(target.wrong(kind, "a 64-bit integer"));
                };
                self.set_pn_counter(node.pn_counter.get_or_insert_default(), *wanted)
                    .ok_or_else(|| {
                        target.wrong(kind, "a value within 64 bits of its present one")
                    })?;
            }
            Kind::Map => {
                let Value::Object(members) = value else {
                    return Err(target.wrong(kind, "an object"));
                };
                let map = node.map.get_or_insert_default();
                self.touch(map);
                for (name, member) in members {
                    self.write(map.child_or_new(name), member, target.inside(name)?)?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn write_differing(
        &self,
        node: &mut Node<'_>,
        value: &Value,
        target: Target<'_>,
    ) -> Result<bool, EditError> {
        let kind = kind_of(value, target.field, self.undeclared);
        let shown = node.kinds_by_age(self.commits).first() == Some(&kind);
        if let (Kind::Map, Value::Object(members)) = (kind, value) {
            let map = node.map.get_or_insert_default();
            let mut wrote = !shown;
            for (name, member) in members {
                wrote |=
                    self.write_differing(map.child_or_new(name), member, target.inside(name)?)?;
            }
            if wrote {
                self.touch(map);
            }
            return Ok(wrote);
        }
        if shown && holds(node, kind, value) {
            return Ok(false);
        }
        self.write(node, value, target)?;
        Ok(true)
    }

    fn leaf<'a>(&self, value: &Value, target: Target<'_>) -> Result<Leaf<'a>, EditError> {
        if target.depth + depth_of(value) > MAX_DEPTH {
            return Err(EditError::TooDeep);
        }
        let mut bytes = Vec::with_capacity(raw::room_for(value));
        raw::append(&mut bytes, value);
        Ok(Leaf {
            dots: [self.me].into_iter().collect(),
            value: Some(Cow::Owned(bytes)),
        })
    }

    pub(crate) fn restart(&self, counter: &mut Counter, value: i64) {
        counter.restart = Some((self.me, value));
        counter.parts.clear();
    }

    /// Sets the older kind, which has no restart, by adding the difference.
    fn set_pn_counter(&self, counter: &mut Counter, wanted: i64) -> Option<()> {
        let by = i64::try_from(i128::from(wanted) - counter.value()).ok()?;
        self.increment(counter, by)
    }

    /// Adds to this actor's part of the counter; `None` outside 64 bits.
    pub(crate) fn increment(&self, counter: &mut Counter, by: i64) -> Option<()> {
        i64::try_from(counter.value() + i128::from(by)).ok()?;
        let at = self.own_part(counter);
        let part = &mut counter.parts[at];
        part.dot = self.me;
        let side = if by < 0 { &mut part.down } else { &mut part.up };
        *side = side.checked_add(by.unsigned_abs())?;
        Some(())
    }

    /// This actor's live part, begun now if there is none.
    fn own_part(&self, counter: &mut Counter) -> usize {
        let actor_of = |part: &Part| self.commits[part.incarnation as usize].actor;
        let me = self.commits[self.me as usize].actor;
        let held = counter.parts.iter().rposition(|part| actor_of(part) == me);
        held.unwrap_or_else(|| {
            let epoch = epoch_of(counter, self.commits);
            let epoch = epoch.and_then(|dot| self.commits.iter().position(|held| *held == dot));
            // No commit is later than this one, so its part sorts last.
            counter.parts.push(Part {
                incarnation: self.me,
                epoch: epoch.map(|at| at as CommitIndex),
                ..Part::default()
            });
            counter.parts.len() - 1
        })
    }

    /// Removes under the same commit.
    pub(crate) fn grave(&self, removal: Arc<Removal>) -> Grave<'_> {
        Grave {
            me: self.me,
            commits: self.commits,
            removal,
        }
    }

    pub(crate) fn removed_kinds(&self, field: Option<&Field>) -> &'static [Kind] {
        match (field.map(|field| field.kind), self.undeclared) {
            (Some(Kind::Register), _) | (None, Undeclared::Register) => &[Kind::Register],
            (Some(Kind::Map), _) => &[Kind::Map],
            (Some(Kind::Counter), _) => &[Kind::Counter],
            (Some(Kind::PnCounter), _) => &[Kind::PnCounter],
            (Some(Kind::Attachment), _) => &[Kind::Attachment],
            (None, Undeclared::RegisterOrMap) => &[Kind::Register, Kind::Map],
            (None, Undeclared::Infer) => &Kind::ALL,
        }
    }
}

/// The kind that a field is written as.
pub(crate) fn kind_of(value: &Value, field: Option<&Field>, undeclared: Undeclared) -> Kind {
    match (field, undeclared, value) {
        (Some(field), _, _) => field.kind,
        (None, Undeclared::Infer | Undeclared::RegisterOrMap, Value::Object(_)) => Kind::Map,
        (None, _, _) => Kind::Register,
    }
}

fn holds(node: &Node<'_>, kind: Kind, value: &Value) -> bool {
    let same = |leaf: &Leaf<'_>| {
        let mut bytes = Vec::new();
        raw::append(&mut bytes, value);
        leaf.value.as_deref() == Some(&bytes)
    };
    match kind {
        Kind::Register => node.register.as_ref().is_some_and(same),
        Kind::Attachment => node.attachment.as_deref().is_some_and(same),
        Kind::Counter => node
            .counter
            .as_ref()
            .is_some_and(|held| Value::from_i128(held.value()) == *value),
        Kind::PnCounter => node
            .pn_counter
            .as_ref()
            .is_some_and(|held| Value::from_i128(held.value()) == *value),
        Kind::Map => false,
    }
}

fn check_token(value: &Value, target: Target<'_>) -> Result<(), EditError> {
    if AttachmentToken::from_value(value).is_ok() {
        return Ok(());
    }
    Err(target.wrong(Kind::Attachment, "an attachment token {id, len, metadata}"))
}

/// How many levels of arrays and objects a value has.
pub(crate) fn depth_of(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth_of).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth_of).max().unwrap_or(0),
        _ => 0,
    }
}
