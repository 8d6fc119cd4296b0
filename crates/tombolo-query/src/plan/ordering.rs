//! Whether documents come out of an access in the order that a statement wants,
//! so that nothing must be sorted and a LIMIT ends the scan.

use std::rc::Rc;

use tombolo_document::order::Direction;

use super::condition::Condition;
use super::{Access, KeySpan, Planner};
use crate::check::names::ID;
use crate::check::select::conjuncts;
use crate::check::statement::OrderKey;
use crate::error::QueryError;
use crate::evaluate::Scope;
use crate::expr::Expr;
use crate::source::IndexDefinition;

/// An access, and whether it gives documents in the wanted order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ordered {
    pub access: Access,
    pub in_order: bool,
}

impl Planner<'_> {
    /// The way to read the only collection of a statement that wants `order`.
    /// With a LIMIT (`limited`), an index in that order is worth reading even
    /// if it narrows nothing.
    pub(crate) fn plan_ordered<'a>(
        &self,
        filters: &[&'a Expr],
        scope: &Scope<'a>,
        (order, limited): (&[OrderKey], bool),
    ) -> Result<Ordered, QueryError> {
        let access = self.plan(filters, scope)?;
        let Some(order) = fields(order, self.at) else {
            return Ok(unordered(access));
        };
        let by_id = order.first() == Some(&(&[ID.to_owned()][..], Direction::Ascending));
        let mut conditions = Vec::new();
        for filter in filters.iter().flat_map(|filter| conjuncts(Some(filter))) {
            conditions.extend(Condition::read(filter, self.at, scope)?);
        }
        Ok(match access {
            Access::Ids(_) | Access::Collection if by_id => Ordered {
                access,
                in_order: true,
            },
            Access::Collection if limited => match self.index_in_order(&order) {
                Some(access) => Ordered {
                    access,
                    in_order: true,
                },
                None => unordered(Access::Collection),
            },
            Access::Index { index, spans, .. } => {
                let direction = follows(&index, &order, &conditions);
                Ordered {
                    access: Access::Index {
                        index,
                        spans,
                        direction: direction.unwrap_or_default(),
                    },
                    in_order: direction.is_some(),
                }
            }
            access => unordered(access),
        })
    }

    fn index_in_order(&self, order: &[(&[String], Direction)]) -> Option<Access> {
        if self.term.index.as_deref() == Some("") {
            return None;
        }
        let candidates = self.indexes.iter().filter(|index| self.allows(index));
        let mut fitting = candidates.filter_map(|index| Some((index, follows(index, order, &[])?)));
        let (index, direction) = fitting.next()?;
        let everything = KeySpan {
            low: Vec::new(),
            high: Vec::new(),
        };
        Some(Access::Index {
            index: Rc::clone(index),
            spans: vec![everything],
            direction,
        })
    }
}

fn unordered(access: Access) -> Ordered {
    Ordered {
        access,
        in_order: false,
    }
}

/// The fields that ORDER BY names, if it names nothing but fields.
fn fields(order: &[OrderKey], at: usize) -> Option<Vec<(&[String], Direction)>> {
    let mut fields = Vec::with_capacity(order.len());
    for key in order {
        match &key.value {
            Expr::Field { term, path } if *term == at => {
                fields.push((path.as_slice(), key.direction));
            }
            _ => return None,
        }
    }
    (!fields.is_empty()).then_some(fields)
}

/// The direction in which an index must be read to give this order. Keys that
/// the conditions hold at one value may stand anywhere.
fn follows(
    index: &IndexDefinition,
    order: &[(&[String], Direction)],
    conditions: &[Condition],
) -> Option<Direction> {
    let mut keys = index.keys.iter();
    let mut reading = None;
    for (path, direction) in order {
        let key = loop {
            let key = keys.next()?;
            if key.path == *path {
                break key;
            }
            let fixed = conditions
                .iter()
                .any(|condition| condition.path == key.path && condition.is_one_value());
            if !fixed {
                return None;
            }
        };
        let wanted = match key.direction == *direction {
            true => Direction::Ascending,
            false => Direction::Descending,
        };
        if *reading.get_or_insert(wanted) != wanted {
            return None;
        }
    }
    reading
}
