//! A statement, parsed and checked once and run as often as wanted.

use tombolo_document::{Object, Value};

use crate::check::statement::{Action, InsertSource, Mode, Namespace, Term};
use crate::check::{self};
use crate::context::Context;
use crate::error::QueryError;
use crate::kind::StatementKind;
use crate::outcome::{Outcome, OutcomeKind};
use crate::parse::parse_statement;
use crate::plan::{Options, explain};
use crate::run::{self, Drafted, Environment, advise};
use crate::source::{Source, Target};

/// One DQL statement. It holds no arguments, no documents and no plan, so it can
/// be kept and run by many at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    text: String,
    mode: Mode,
    action: Action,
    directives: Vec<Value>,
}

impl Statement {
    /// Parses and checks a statement.
    ///
    /// # Errors
    /// [`QueryError::Parse`] or [`QueryError::Check`], with the place.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let syntax = parse_statement(text)?;
        let action = check::check(text, &syntax.body).map_err(QueryError::Check)?;
        Ok(Self {
            text: text.to_owned(),
            mode: syntax.mode,
            action,
            directives: syntax.directives,
        })
    }

    /// The text it was parsed from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What kind of statement it is.
    #[must_use]
    pub const fn kind(&self) -> StatementKind {
        StatementKind::of(self.mode, &self.action)
    }

    /// Whether running it can write, so that it needs [`Statement::execute`].
    #[must_use]
    pub fn writes(&self) -> bool {
        match self.mode {
            Mode::Explain | Mode::Advise { provision: false } => false,
            Mode::Advise { provision: true } => true,
            Mode::Execute | Mode::Profile => self.mutates(),
        }
    }

    fn mutates(&self) -> bool {
        !matches!(
            self.action,
            Action::Select(_)
                | Action::AlterSet { .. }
                | Action::AlterReset { .. }
                | Action::Show { .. }
        )
    }

    /// Whether it is a plain SELECT, the only statement that can be observed.
    #[must_use]
    pub fn is_select(&self) -> bool {
        self.mode == Mode::Execute && matches!(self.action, Action::Select(_))
    }

    /// The collections whose documents it may read or write, sorted, system
    /// collections as `system:name`.
    #[must_use]
    pub fn collections(&self) -> Vec<String> {
        let mut names: Vec<String> = self.terms().iter().map(term_name).collect();
        names.extend(self.written_collection().map(str::to_owned));
        names.sort();
        names.dedup();
        names
    }

    /// The collection that it writes to, if it is a mutation.
    #[must_use]
    pub fn written_collection(&self) -> Option<&str> {
        match &self.action {
            Action::Insert(insert) => Some(&insert.collection.name),
            Action::Update(update) => Some(&update.selection.term.collection.name),
            Action::Remove(remove) => Some(&remove.selection.term.collection.name),
            Action::CreateIndex(create) => Some(&create.collection),
            Action::DropIndex(drop) => Some(&drop.collection),
            _ => None,
        }
    }

    /// The collection whose documents it changes for all peers; `None` for an
    /// EVICT, which changes them here alone, and for what writes no document.
    #[must_use]
    pub fn shared_collection(&self) -> Option<&str> {
        match &self.action {
            Action::Insert(insert) => Some(&insert.collection.name),
            Action::Update(update) => Some(&update.selection.term.collection.name),
            Action::Remove(remove) if !remove.evict => Some(&remove.selection.term.collection.name),
            _ => None,
        }
    }

    /// Whether it shows the documents that it writes.
    #[must_use]
    pub const fn returns_rows(&self) -> bool {
        match &self.action {
            Action::Insert(insert) => insert.returning.is_some(),
            Action::Update(update) => update.returning.is_some(),
            Action::Remove(remove) => remove.returning.is_some(),
            _ => false,
        }
    }

    fn terms(&self) -> &[Term] {
        match &self.action {
            Action::Select(query) => &query.terms,
            Action::Insert(insert) => match &insert.source {
                InsertSource::Select(query) => &query.terms,
                _ => &[],
            },
            Action::Update(update) => std::slice::from_ref(&update.selection.term),
            Action::Remove(remove) => std::slice::from_ref(&remove.selection.term),
            _ => &[],
        }
    }

    pub(crate) fn action(&self) -> &Action {
        &self.action
    }

    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// Runs a statement that does not write.
    ///
    /// # Errors
    /// [`QueryError::ReadOnly`] if it writes, and whatever fails on the way.
    pub fn read(&self, source: &dyn Source, context: &Context<'_>) -> Result<Outcome, QueryError> {
        if self.writes() {
            return Err(QueryError::ReadOnly);
        }
        self.with_environment(context, |environment| match self.mode {
            Mode::Execute => run::read(&self.action, source, environment),
            Mode::Explain => {
                let row = explain::explain(&self.action, source, environment)?;
                Ok(Outcome::of(OutcomeKind::Select).with_row(row))
            }
            Mode::Advise { .. } => {
                let advice = advise::advise(&self.action, source, environment)?;
                let row = advice.row(self.advised_text(), None);
                Ok(Outcome::of(OutcomeKind::Select).with_row(row))
            }
            Mode::Profile => {
                let plan = explain::explain(&self.action, source, environment)?;
                let outcome = run::read(&self.action, source, environment)?;
                Ok(profiled(outcome, plan))
            }
        })
    }

    /// Runs any statement. If it fails, it has put nothing into the target,
    /// unless the target itself failed.
    ///
    /// # Errors
    /// Whatever fails on the way.
    pub fn execute(
        &self,
        target: &mut dyn Target,
        context: &Context<'_>,
    ) -> Result<Outcome, QueryError> {
        if !self.writes() {
            return self.read(&*target, context);
        }
        self.with_environment(context, |environment| match self.mode {
            Mode::Profile => {
                let plan = explain::explain(&self.action, &*target, environment)?;
                let outcome = run::execute(&self.action, target, environment)?;
                Ok(profiled(outcome, plan))
            }
            Mode::Advise { .. } => {
                let advice = advise::advise(&self.action, &*target, environment)?;
                let mut created = Vec::new();
                for index in &advice.suggested {
                    let known = target.indexes(Some(&index.collection))?;
                    if !known.iter().any(|other| other.name == index.name) {
                        target.create_index(index)?;
                        created.push(index.name.clone());
                    }
                }
                let row = advice.row(self.advised_text(), Some(&created));
                Ok(Outcome::of(OutcomeKind::Mutation).with_row(row))
            }
            _ => run::execute(&self.action, target, environment),
        })
    }

    /// Does what can be done of an INSERT before its transaction begins; `None`
    /// if that is nothing, or not enough to be worth it.
    ///
    /// # Errors
    /// Whatever fails on the way, as it would in [`Statement::execute`].
    pub fn draft(&self, context: &Context<'_>) -> Result<Option<Drafted>, QueryError> {
        match (&self.action, self.mode) {
            (Action::Insert(insert), Mode::Execute) => self
                .with_environment(context, |environment| {
                    run::draft::draft(insert, environment)
                }),
            _ => Ok(None),
        }
    }

    fn with_environment<T>(
        &self,
        context: &Context<'_>,
        work: impl FnOnce(Environment<'_>) -> Result<T, QueryError>,
    ) -> Result<T, QueryError> {
        let defaults = context.parameters.show("dql_default_directives");
        let options = Options::read(std::iter::once(defaults).chain(&self.directives));
        let run = context.run();
        work(Environment {
            context,
            run: &run,
            options: &options,
        })
    }

    /// The statement behind ADVISE.
    fn advised_text(&self) -> &str {
        let mut rest = self.text.trim_start();
        for word in ["ADVISE", "AND", "PROVISION"] {
            let head = rest.get(..word.len()).unwrap_or_default();
            if head.eq_ignore_ascii_case(word) {
                rest = rest[word.len()..].trim_start();
            }
        }
        rest
    }
}

fn term_name(term: &Term) -> String {
    match term.collection.namespace {
        Namespace::Default => term.collection.name.clone(),
        Namespace::System => format!("system:{}", term.collection.name),
    }
}

/// The outcome with the row that PROFILE adds.
fn profiled(mut outcome: Outcome, mut plan: Object) -> Outcome {
    let count = |length: usize| Value::from_u64(length as u64);
    let profile = Object::from([
        ("plan".to_owned(), plan.remove("plan").unwrap_or_default()),
        ("queryType".to_owned(), Value::from(outcome.kind.name())),
        ("resultCount".to_owned(), count(outcome.items.len())),
        (
            "mutationCount".to_owned(),
            count(outcome.mutated_document_ids.len()),
        ),
        ("state".to_owned(), Value::from("completed")),
    ]);
    let row = Object::from([("~request_profile".to_owned(), Value::Object(profile))]);
    outcome.items.push(Value::Object(row));
    outcome
}
