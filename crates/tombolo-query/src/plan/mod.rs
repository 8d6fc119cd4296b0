//! Chooses how a collection is read. A plan only ever narrows what is read: the
//! filter is applied again to every row, so a plan cannot make an answer wrong,
//! only slow.

mod condition;
pub(crate) mod explain;
mod ordering;
mod spans;

use std::collections::BTreeSet;
use std::rc::Rc;

use tombolo_document::order::Direction;
use tombolo_document::{DocumentId, Schema, Undeclared, Value};

pub(crate) use spans::KeySpan;

use condition::Condition;

use crate::check::names::ID;
use crate::check::select::conjuncts;
use crate::check::statement::{Ids, Namespace, Term};
use crate::datum::Datum;
use crate::error::QueryError;
use crate::evaluate::{Scope, evaluate};
use crate::expr::{BinaryOperator, Expr};
use crate::source::{IndexDefinition, Source};

/// Most scans that a union may have unless a directive says otherwise.
const UNION_SCANS_MAX: i64 = 5;
/// Most spans of one index scan; more values are filtered instead.
pub(crate) const SPANS_MAX: usize = 4096;

/// How one collection is read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Access {
    /// Every document.
    Collection,
    /// The rows of a system collection.
    System,
    /// These documents, in the order of their ids.
    Ids(BTreeSet<DocumentId>),
    /// The entries of an index within these spans.
    Index {
        index: Rc<IndexDefinition>,
        spans: Vec<KeySpan>,
        /// Which way the index is read.
        direction: Direction,
    },
    /// Each document that one of these gives, once.
    Union(Vec<Access>),
}

/// What a plan may be made from.
pub(crate) struct Planner<'p> {
    pub term: &'p Term,
    /// The place of the term among those of the statement.
    pub at: usize,
    pub schema: &'p Schema,
    pub indexes: &'p [Rc<IndexDefinition>],
    pub options: &'p Options,
}

/// The directives of a statement that steer planning.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Options {
    pub disable_index_scan: bool,
    pub union_scans_max: usize,
    /// `#index` for all collections, or for one.
    pub indexes: Vec<(Option<String>, Vec<String>)>,
}

impl Options {
    /// Reads directives; unknown ones are ignored.
    pub(crate) fn read<'d>(directives: impl IntoIterator<Item = &'d Value>) -> Self {
        let mut options = Self {
            disable_index_scan: false,
            union_scans_max: UNION_SCANS_MAX as usize,
            indexes: Vec::new(),
        };
        for directive in directives {
            for (key, value) in directive.as_object().into_iter().flatten() {
                match (key.as_str(), value) {
                    ("#disable_index_scan", Value::Bool(value)) => {
                        options.disable_index_scan = *value;
                    }
                    ("#max_scans", Value::Int(value)) => {
                        options.union_scans_max = usize::try_from(*value).unwrap_or(0);
                    }
                    ("#index", names) => options.indexes.push((None, index_names(names))),
                    (collection, Value::Object(members)) => {
                        if let Some(names) = members.get("#index") {
                            let names = index_names(names);
                            options.indexes.push((Some(collection.to_owned()), names));
                        }
                    }
                    _ => {}
                }
            }
        }
        options
    }
}

fn index_names(value: &Value) -> Vec<String> {
    match value {
        Value::String(name) => vec![name.clone()],
        Value::Array(names) => names
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

/// Whether a filter names the ids that it wants, so that no index can do better.
pub(crate) fn names_ids(filter: Option<&Expr>, at: usize) -> bool {
    let is_id = |expr: &Expr| matches!(expr, Expr::Field { term, path } if *term == at && path.len() == 1 && path[0] == ID);
    let known = |expr: &Expr| expr.reads_only(&|term| term < at);
    conjuncts(filter).into_iter().any(|filter| match filter {
        Expr::Binary {
            operator: BinaryOperator::Equal,
            operands,
        } => {
            let (left, right) = (&operands.0, &operands.1);
            (is_id(left) && known(right)) || (is_id(right) && known(left))
        }
        Expr::In(operands) => is_id(&operands.0) && known(&operands.1),
        _ => false,
    })
}

/// The indexes of a collection, if they are `wanted` and a plan could use any.
pub(crate) fn usable_indexes(
    source: &dyn Source,
    term: &Term,
    wanted: bool,
) -> Result<Vec<Rc<IndexDefinition>>, QueryError> {
    let none = !wanted
        || term.collection.namespace == Namespace::System
        || term.ids.is_some()
        || term.index.as_deref() == Some("");
    if none {
        return Ok(Vec::new());
    }
    let indexes = source.indexes(Some(&term.collection.name))?;
    Ok(indexes.into_iter().map(Rc::new).collect())
}

impl<'p> Planner<'p> {
    /// The way to read the term, given what must hold of its documents. The
    /// scope holds the rows of the terms before it.
    pub(crate) fn plan<'a>(
        &self,
        filters: &[&'a Expr],
        scope: &Scope<'a>,
    ) -> Result<Access, QueryError> {
        if self.term.collection.namespace == Namespace::System {
            return Ok(Access::System);
        }
        if let Some(ids) = &self.term.ids {
            return used_ids(ids, scope);
        }
        Ok(self.narrow(filters, scope)?.unwrap_or(Access::Collection))
    }

    /// An access that reads less than everything, if there is one.
    fn narrow<'a>(
        &self,
        filters: &[&'a Expr],
        scope: &Scope<'a>,
    ) -> Result<Option<Access>, QueryError> {
        let filters: Vec<&Expr> = filters
            .iter()
            .flat_map(|filter| conjuncts(Some(filter)))
            .collect();
        let mut conditions = Vec::new();
        for filter in &filters {
            conditions.extend(Condition::read(filter, self.at, scope)?);
        }
        if let Some(ids) = conditions.iter().find_map(Condition::ids) {
            return Ok(Some(Access::Ids(ids)));
        }
        if let Some(access) = self.best_index(&conditions) {
            return Ok(Some(access));
        }
        for filter in filters {
            if let Expr::Or(branches) = filter
                && let Some(access) = self.union(branches, scope)?
            {
                return Ok(Some(access));
            }
        }
        Ok(None)
    }

    fn best_index(&self, conditions: &[Condition]) -> Option<Access> {
        let wanted = self.wanted_indexes();
        let candidates = self.indexes.iter().filter(|index| self.allows(index));
        let mut best: Option<(usize, Access)> = None;
        for index in candidates {
            let Some((score, spans)) = spans::of_index(index, conditions) else {
                continue;
            };
            let preferred = wanted.contains(&index.name);
            let score = score + if preferred { 1000 } else { 0 };
            if best.as_ref().is_none_or(|(other, _)| score > *other) {
                let index = Rc::clone(index);
                let direction = Direction::Ascending;
                let access = Access::Index {
                    index,
                    spans,
                    direction,
                };
                best = Some((score, access));
            }
        }
        best.map(|(_, access)| access)
    }

    /// The names that USE INDEX and directives ask for.
    fn wanted_indexes(&self) -> Vec<String> {
        let mut wanted: Vec<String> = self.term.index.iter().cloned().collect();
        let own = self.term.directives.as_ref().and_then(Value::as_object);
        wanted.extend(
            own.and_then(|own| own.get("#index"))
                .into_iter()
                .flat_map(index_names),
        );
        for (collection, names) in &self.options.indexes {
            let ours = match collection {
                None => true,
                Some(name) => *name == self.term.name.alias || *name == self.term.collection.name,
            };
            if ours {
                wanted.extend(names.iter().cloned());
            }
        }
        wanted
    }

    /// An index holds what an undeclared read sees; a statement that sees the
    /// field otherwise cannot use it.
    fn allows(&self, index: &IndexDefinition) -> bool {
        let seen_alike = index
            .keys
            .iter()
            .all(|key| !self.schema.fields.contains_key(&key.path[0]));
        let inferred = self.schema.undeclared == Undeclared::Infer;
        seen_alike && inferred && !self.options.disable_index_scan
    }

    fn union<'a>(
        &self,
        branches: &'a [Expr],
        scope: &Scope<'a>,
    ) -> Result<Option<Access>, QueryError> {
        let mut parts: Vec<Access> = Vec::new();
        for branch in branches {
            let Some(part) = self.narrow(&[branch], scope)? else {
                return Ok(None);
            };
            add_part(&mut parts, part);
        }
        Ok(match parts.len() {
            1 => parts.pop(),
            count if count <= self.options.union_scans_max => Some(Access::Union(parts)),
            _ => None,
        })
    }
}

/// Adds an access to a union: ids join ids, spans join spans of one index.
fn add_part(parts: &mut Vec<Access>, part: Access) {
    match part {
        Access::Union(inner) => inner.into_iter().for_each(|part| add_part(parts, part)),
        Access::Ids(ids) => {
            for known in parts.iter_mut() {
                if let Access::Ids(known) = known {
                    known.extend(ids);
                    return;
                }
            }
            parts.push(Access::Ids(ids));
        }
        Access::Index {
            index,
            spans,
            direction,
        } => {
            for known in parts.iter_mut() {
                if let Access::Index {
                    index: other,
                    spans: known,
                    ..
                } = known
                    && *other == index
                {
                    known.extend(spans);
                    *known = spans::merged(std::mem::take(known));
                    return;
                }
            }
            parts.push(Access::Index {
                index,
                spans,
                direction,
            });
        }
        other => parts.push(other),
    }
}

/// `USE IDS`: each expression is one id, a list is many.
fn used_ids<'a>(ids: &'a Ids, scope: &Scope<'a>) -> Result<Access, QueryError> {
    let mut keys = BTreeSet::new();
    match ids {
        Ids::Each(list) => {
            for expr in list {
                keys.extend(id_key(&evaluate(expr, scope)?));
            }
        }
        Ids::List(list) => {
            let list = evaluate(list, scope)?;
            let Some(items) = list.items() else {
                return Err(QueryError::evaluation("USE IDS LIST takes an array"));
            };
            keys.extend(items.iter().filter_map(|item| id_key(&Datum::from(item))));
        }
    }
    Ok(Access::Ids(keys))
}

/// The ids that the filters limit a single collection to, if they do.
pub(crate) fn wanted_ids<'a>(
    filters: &[&'a Expr],
    scope: &Scope<'a>,
) -> Result<Option<BTreeSet<DocumentId>>, QueryError> {
    for filter in filters {
        if let Some(condition) = Condition::read(filter, 0, scope)?
            && let Some(ids) = condition.ids()
        {
            return Ok(Some(ids));
        }
    }
    Ok(None)
}

/// The id that equals this value, if there can be one.
pub(crate) fn id_key(value: &Datum<'_>) -> Option<DocumentId> {
    let value = match value {
        Datum::Float(float) if float.fract() == 0.0 && float.abs() < 1e18 => {
            Value::Int(*float as i64)
        }
        other => other.clone().into_value()?,
    };
    DocumentId::from_value(&value).ok()
}
