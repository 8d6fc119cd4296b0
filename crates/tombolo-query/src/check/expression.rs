//! Binds the names of an expression and looks up its functions.

use super::call::has_aggregate;
use super::names::{ID, Names};
use crate::expr::{Expr, ExprRange};
use crate::parse::Failure;
use crate::run::aggregate::Aggregate;
use crate::span::Span;
use crate::syntax::{Expression, ExpressionKind, Name, Range};

/// Binds expressions of one place of a statement.
pub(crate) struct Binder<'s> {
    pub(super) names: Names<'s>,
    pub(super) ranges: Vec<(Option<String>, String)>,
    pub(super) grouping: Option<Grouping<'s>>,
}

/// The group keys, and the aggregates that were met so far.
pub(crate) struct Grouping<'s> {
    pub keys: &'s [Expr],
    pub aggregates: Vec<Aggregate>,
    /// What an error says about a field outside of both.
    pub complaint: String,
}

impl<'s> Binder<'s> {
    /// For expressions over single rows.
    pub(crate) fn rows(names: Names<'s>) -> Self {
        Self {
            names,
            ranges: Vec::new(),
            grouping: None,
        }
    }

    /// For expressions over groups.
    pub(crate) fn groups(names: Names<'s>, grouping: Grouping<'s>) -> Self {
        Self {
            names,
            ranges: Vec::new(),
            grouping: Some(grouping),
        }
    }

    pub(crate) fn complain(&mut self, complaint: impl Into<String>) {
        if let Some(grouping) = &mut self.grouping {
            grouping.complaint = complaint.into();
        }
    }

    pub(crate) fn outputs(&mut self, outputs: &'s [String]) {
        self.names.outputs = outputs;
    }

    /// Refuses `*` where only groups are at hand.
    pub(crate) fn whole_rows(&self, span: Span) -> Result<(), Failure> {
        match &self.grouping {
            Some(grouping) => Err(self.names.error(span, grouping.complaint.clone())),
            None => Ok(()),
        }
    }

    pub(crate) fn into_aggregates(self) -> Vec<Aggregate> {
        self.grouping
            .map_or_else(Vec::new, |grouping| grouping.aggregates)
    }

    pub(crate) fn bind(&mut self, expression: &Expression) -> Result<Expr, Failure> {
        if let Some(key) = self.group_key(expression)? {
            return Ok(Expr::GroupKey(key));
        }
        let boxed = |expr| Box::new(expr);
        Ok(match &expression.kind {
            ExpressionKind::Literal(value) => Expr::Literal(value.clone()),
            ExpressionKind::Parameter(name) => Expr::Parameter(name.clone()),
            ExpressionKind::Path(steps) => return self.path(steps, expression.span),
            ExpressionKind::Not(inside) => Expr::Not(boxed(self.bind(inside)?)),
            ExpressionKind::Negate(inside) => Expr::Negate(boxed(self.bind(inside)?)),
            ExpressionKind::And(items) => Expr::And(self.bind_all(items)?),
            ExpressionKind::Or(items) => Expr::Or(self.bind_all(items)?),
            ExpressionKind::Concatenate(items) => Expr::Concatenate(self.bind_all(items)?),
            ExpressionKind::Array(items) => Expr::Array(self.bind_all(items)?),
            ExpressionKind::Binary {
                operator,
                left,
                right,
            } => Expr::Binary {
                operator: *operator,
                operands: Box::new((self.bind(left)?, self.bind(right)?)),
            },
            ExpressionKind::Between { value, low, high } => Expr::Between(Box::new((
                self.bind(value)?,
                self.bind(low)?,
                self.bind(high)?,
            ))),
            ExpressionKind::In { value, list } => {
                Expr::In(Box::new((self.bind(value)?, self.bind(list)?)))
            }
            ExpressionKind::Is { value, state } => Expr::Is {
                value: boxed(self.bind(value)?),
                state: *state,
            },
            ExpressionKind::Call(call) => return self.call(call),
            _ => return self.bind_form(expression),
        })
    }

    /// The forms with more parts.
    fn bind_form(&mut self, expression: &Expression) -> Result<Expr, Failure> {
        Ok(match &expression.kind {
            ExpressionKind::Like {
                value,
                pattern,
                escape,
                flavour,
            } => Expr::Like {
                operands: Box::new((self.bind(value)?, self.bind(pattern)?)),
                escape: self.bind_optional(escape.as_deref())?.map(Box::new),
                flavour: *flavour,
            },
            ExpressionKind::Case {
                subject,
                branches,
                otherwise,
            } => Expr::Case {
                subject: self.bind_optional(subject.as_deref())?.map(Box::new),
                branches: self.bind_pairs(branches)?,
                otherwise: self.bind_optional(otherwise.as_deref())?.map(Box::new),
            },
            ExpressionKind::Object(members) => Expr::Object(self.bind_pairs(members)?),
            _ => return self.bind_range(expression),
        })
    }

    /// ANY, EVERY, ARRAY and OBJECT.
    fn bind_range(&mut self, expression: &Expression) -> Result<Expr, Failure> {
        Ok(match &expression.kind {
            ExpressionKind::Quantified {
                quantifier,
                range,
                condition,
            } => {
                let source = self.bind(&range.source)?;
                let condition = self.inside(range, |binder| binder.bind(condition))?;
                Expr::Quantified {
                    quantifier: *quantifier,
                    range: Box::new(bound_range(range, source, None)),
                    condition: Box::new(condition),
                }
            }
            ExpressionKind::ArrayFor {
                item,
                range,
                condition,
            } => {
                let source = self.bind(&range.source)?;
                let (item, when) = self.inside(range, |binder| {
                    let item = binder.bind(item)?;
                    Ok((item, binder.bind_optional(condition.as_deref())?))
                })?;
                Expr::ArrayFor {
                    item: Box::new(item),
                    range: Box::new(bound_range(range, source, when)),
                }
            }
            ExpressionKind::ObjectFor {
                key,
                item,
                range,
                condition,
            } => {
                let source = self.bind(&range.source)?;
                let (member, when) = self.inside(range, |binder| {
                    let member = (binder.bind(key)?, binder.bind(item)?);
                    Ok((member, binder.bind_optional(condition.as_deref())?))
                })?;
                Expr::ObjectFor {
                    member: Box::new(member),
                    range: Box::new(bound_range(range, source, when)),
                }
            }
            _ => {
                let message = "this expression has no meaning here";
                return Err(self.names.error(expression.span, message));
            }
        })
    }

    pub(crate) fn bind_all(&mut self, items: &[Expression]) -> Result<Vec<Expr>, Failure> {
        items.iter().map(|item| self.bind(item)).collect()
    }

    pub(crate) fn bind_optional(
        &mut self,
        expression: Option<&Expression>,
    ) -> Result<Option<Expr>, Failure> {
        expression
            .map(|expression| self.bind(expression))
            .transpose()
    }

    fn bind_pairs(
        &mut self,
        pairs: &[(Expression, Expression)],
    ) -> Result<Vec<(Expr, Expr)>, Failure> {
        let bind =
            |(left, right): &(Expression, Expression)| Ok((self.bind(left)?, self.bind(right)?));
        pairs.iter().map(bind).collect()
    }

    /// Binds what stands inside a range, where its variables are visible.
    fn inside<T>(
        &mut self,
        range: &Range,
        bind: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let name = range.name.as_ref().map(|name| name.text.clone());
        self.ranges.push((name, range.item.text.clone()));
        let bound = bind(self);
        self.ranges.pop();
        bound
    }

    /// The group key that this expression is, if it is one.
    fn group_key(&self, expression: &Expression) -> Result<Option<usize>, Failure> {
        let Some(grouping) = &self.grouping else {
            return Ok(None);
        };
        if grouping.keys.is_empty() || !self.ranges.is_empty() || has_aggregate(expression) {
            return Ok(None);
        }
        let mut plain = Self::rows(Names {
            outputs: &[],
            ..self.names
        });
        let bound = plain.bind(expression)?;
        Ok(grouping.keys.iter().position(|key| *key == bound))
    }

    fn path(&self, steps: &[Name], span: Span) -> Result<Expr, Failure> {
        let texts = |from: usize| steps[from..].iter().map(|step| step.text.clone()).collect();
        let first = &steps[0].text;
        if let Some((up, name)) = self.variable(first) {
            return Ok(Expr::Variable {
                up,
                name,
                path: texts(1),
            });
        }
        let term = self.names.term(first);
        if self.names.outputs.contains(first) && (term.is_none() || steps.len() == 1) {
            return Ok(Expr::Output {
                key: first.clone(),
                path: texts(1),
            });
        }
        let place = match term {
            Some(term) if steps.len() > 1 => Expr::Field {
                term,
                path: texts(1),
            },
            Some(term) if self.names.terms[term].explicit => Expr::Document(term),
            _ => self.unqualified(steps, span)?,
        };
        match &self.grouping {
            Some(grouping) => Err(self.names.error(span, grouping.complaint.clone())),
            None => Ok(place),
        }
    }

    fn variable(&self, first: &str) -> Option<(usize, bool)> {
        let ranges = self.ranges.iter().rev().enumerate();
        let mut found = ranges.filter_map(|(up, (name, item))| {
            if item == first {
                Some((up, false))
            } else {
                (name.as_deref() == Some(first)).then_some((up, true))
            }
        });
        found.next()
    }

    fn unqualified(&self, steps: &[Name], span: Span) -> Result<Expr, Failure> {
        let path = steps.iter().map(|step| step.text.clone()).collect();
        let first = &steps[0].text;
        match self.names.terms.len() {
            0 => Err(self
                .names
                .error(
                    span,
                    format!("`{first}` names a field and no document is at hand here"),
                )
                .with_hint("text stands in quotes, arguments behind a colon")),
            1 => Ok(Expr::Field { term: 0, path }),
            _ if first == ID && steps.len() == 1 => {
                let aliases = self.names.terms.iter().map(|term| term.alias.clone());
                Ok(Expr::CompositeId(aliases.collect()))
            }
            _ => Err(self
                .names
                .error(span, format!("Ambiguous reference to field: {first}"))
                .with_hint(format!(
                    "name its collection: `{}.{first}`",
                    self.names.terms[0].alias
                ))),
        }
    }
}

fn bound_range(range: &Range, source: Expr, condition: Option<Expr>) -> ExprRange {
    ExprRange {
        source,
        deep: range.deep,
        condition,
    }
}
