//! All peers of a case, and the steps that its setup may take.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use tombolo::{Diff, Differ, ExecuteError, Object, Response, TransactionError, Value};

use crate::case::{Case, list, required, text, texts};
use crate::expectation::{check, check_diffs};
use crate::failure::Failure;
use crate::macros::Macros;
use crate::mesh::Mesh;
use crate::peer::{Call, Peer};

/// The peer of cases that name none.
const ALONE: &str = "A";
/// Where clocks start that a case does not set.
const START_MS: u64 = 1_000_000;
/// How far clocks move with each step that does not set them.
const STEP_MS: u64 = 10;

/// Everything that a case may change.
#[derive(Default)]
pub(crate) struct World {
    /// The statement under test, which a phase runs at its end.
    statement: String,
    arguments: Object,
    peers: BTreeMap<String, Peer>,
    mesh: Mesh,
    macros: Macros,
    commit_ids: BTreeMap<String, u64>,
    last_commit_id: Option<u64>,
    differ: Differ,
    diffs: Vec<Diff>,
    steps: u64,
}

/// A statement of a transaction, ready to run.
struct Inner<'s> {
    step: &'s Object,
    statement: String,
    arguments: Object,
}

/// Why a transaction was not kept.
enum Ended {
    AsWanted,
    Failed(Failure),
}

impl World {
    /// The empty world in which a case begins.
    pub(crate) fn of(case: &Case) -> Self {
        Self {
            statement: case.statement.clone(),
            arguments: case.arguments.clone(),
            ..Self::default()
        }
    }

    /// Takes one step of a setup, and lets the observers see what it did.
    pub(crate) fn step(&mut self, step: &Object) -> Result<(), Failure> {
        self.steps += 1;
        self.take(step)?;
        for peer in self.peers.values() {
            peer.database().poll_observers();
        }
        Ok(())
    }

    fn take(&mut self, step: &Object) -> Result<(), Failure> {
        let names = || texts(step, "peers");
        match text(step, "op") {
            None => self.statement_step(step),
            Some("peers") => {
                for name in names() {
                    self.peer(&name)?;
                }
                self.mesh.connect(&names());
                Ok(())
            }
            Some("topology") => {
                self.mesh.clear()?;
                for link in list(step, "links") {
                    if let Value::Array(ends) = link {
                        let ends = ends.iter().filter_map(Value::as_str).map(str::to_owned);
                        self.mesh.connect(&ends.collect::<Vec<_>>());
                    }
                }
                Ok(())
            }
            Some("connect") => {
                self.mesh.connect(&names());
                Ok(())
            }
            Some("disconnect") => self.mesh.disconnect(&names()),
            Some("sync") => self.mesh.sync(&self.peers),
            Some("subscribe") => self.subscribe(step),
            Some("cancel_subscription") => {
                let name = required(step, "name")?;
                self.peer_of(step)?.subscriptions.remove(&name);
                Ok(())
            }
            Some("observe") => self.observe(step),
            Some("phase") => self.phase(step),
            Some("txn") => self.transaction(step),
            Some("new_attachment") => self.macros.new_attachment(step),
            Some("record_commit_id") => {
                let name = required(step, "name")?;
                self.commit_ids
                    .extend(self.last_commit_id.map(|id| (name, id)));
                Ok(())
            }
            Some(other) => Err(Failure::Unsupported(format!("the step `{other}`"))),
        }
    }

    fn peer(&mut self, name: &str) -> Result<&mut Peer, Failure> {
        match self.peers.entry(name.to_owned()) {
            Entry::Occupied(held) => Ok(held.into_mut()),
            Entry::Vacant(free) => Ok(free.insert(Peer::open(name)?)),
        }
    }

    fn peer_of(&mut self, step: &Object) -> Result<&mut Peer, Failure> {
        self.peer(text(step, "peer").unwrap_or(ALONE))
    }

    fn now_ms(&self, step: &Object) -> u64 {
        match step.get("at_ms") {
            Some(Value::Int(at_ms)) => at_ms.unsigned_abs(),
            _ => START_MS + self.steps * STEP_MS,
        }
    }

    /// The arguments of a step with their macros replaced.
    fn arguments(&self, step: &Object) -> Object {
        self.macros.arguments(step.get("args"))
    }

    fn statement_step(&mut self, step: &Object) -> Result<(), Failure> {
        let statement = required(step, "statement")?;
        let arguments = self.arguments(step);
        let call = Call {
            statement: &statement,
            arguments: &arguments,
            now_ms: self.now_ms(step),
        };
        let result = self.peer_of(step)?.execute(call);
        let commit_id = result.as_ref().ok().and_then(|response| response.commit_id);
        self.last_commit_id = commit_id.or(self.last_commit_id);
        expected(step, &statement, result)
    }

    fn subscribe(&mut self, step: &Object) -> Result<(), Failure> {
        let statement = required(step, "statement")?;
        let unnamed = format!("#{}", self.steps);
        let name = text(step, "name").map_or(unnamed, str::to_owned);
        let arguments = self.arguments(step);
        let peer = self.peer_of(step)?;
        match peer.database().register_subscription(&statement, arguments) {
            Ok(subscription) => peer.subscriptions.insert(name, subscription),
            Err(error) => return Err(Failure::Statement { statement, error }),
        };
        Ok(())
    }

    fn observe(&mut self, step: &Object) -> Result<(), Failure> {
        let statement = required(step, "statement")?;
        let arguments = self.arguments(step);
        let call = Call {
            statement: &statement,
            arguments: &arguments,
            now_ms: self.now_ms(step),
        };
        let observed = self.peer_of(step)?.observe(call);
        observed.map_err(|error| Failure::Statement { statement, error })
    }

    /// Some statements, and the difference that they make to the statement
    /// under test.
    fn phase(&mut self, step: &Object) -> Result<(), Failure> {
        for inner in list(step, "statements") {
            if let Value::Object(inner) = inner {
                self.statement_step(inner)?;
            }
        }
        let (statement, arguments) = (self.statement.clone(), self.arguments.clone());
        let call = Call {
            statement: &statement,
            arguments: &arguments,
            now_ms: self.now_ms(step),
        };
        let result = self.peer_of(step)?.execute(call);
        let response = result.map_err(|error| Failure::Statement { statement, error })?;
        self.diffs.push(self.differ.diff(&response.items));
        Ok(())
    }

    fn transaction(&mut self, step: &Object) -> Result<(), Failure> {
        let mut inner = Vec::new();
        for step in list(step, "statements").iter().filter_map(Value::as_object) {
            inner.push(Inner {
                step,
                statement: required(step, "statement")?,
                arguments: self.arguments(step),
            });
        }
        let commits = text(step, "end") == Some("commit");
        let now_ms = self.now_ms(step);
        let database = self.peer_of(step)?.at(now_ms);
        if step.get("read_only") == Some(&Value::Bool(true)) {
            let view = database.read_transaction();
            return run_all(inner, |statement, arguments| {
                view.execute(statement, &arguments)
            });
        }
        let ended = database.transaction(|transaction| {
            run_all(inner, |statement, arguments| {
                transaction.execute(statement, arguments)
            })
            .map_err(Ended::Failed)?;
            match commits {
                true => Ok(()),
                false => Err(Ended::AsWanted),
            }
        });
        match ended {
            Ok(((), commit)) => self.last_commit_id = Some(commit),
            Err(TransactionError::Work(Ended::AsWanted)) => {}
            Err(TransactionError::Work(Ended::Failed(failure))) => return Err(failure),
            Err(other) => return Err(Failure::Expectation(other.to_string())),
        }
        Ok(())
    }

    /// Runs the statement under test and compares.
    pub(crate) fn check(&mut self, case: &Case) -> Result<(), Failure> {
        self.steps += 1;
        match case.api.as_str() {
            "execute" => self.check_execution(case),
            "register_subscription" => {
                let database = self.peer(ALONE)?.database();
                let result = database.register_subscription(&case.statement, Object::new());
                check(&case.expect, result.map(|_| Response::default()))
            }
            "register_observer" => {
                let call = Call {
                    statement: &case.statement,
                    arguments: &case.arguments,
                    now_ms: START_MS + self.steps * STEP_MS,
                };
                let result = self.peer(ALONE)?.observe(call);
                check(&case.expect, result.map(|()| Response::default()))
            }
            "observer_last_result" => match self.peer(ALONE)?.last_observed(&case.statement) {
                Some(result) => check(&case.expect, result),
                None => Err(Failure::Expectation("no observer was called".to_owned())),
            },
            "differ" => check_diffs(&case.expect, &self.diffs),
            "harness" => self.check_harness(&case.statement),
            other => Err(Failure::Unsupported(format!("the interface `{other}`"))),
        }
    }

    fn check_execution(&mut self, case: &Case) -> Result<(), Failure> {
        let arguments = Value::Object(case.arguments.clone());
        let arguments = self.macros.arguments(Some(&arguments));
        let call = Call {
            statement: &case.statement,
            arguments: &arguments,
            now_ms: START_MS + self.steps * STEP_MS,
        };
        let mut names = texts(&case.expect, "on_peers");
        if names.is_empty() {
            names.push(ALONE.to_owned());
        }
        for name in names {
            let result = self.peer(&name)?.execute(call);
            check(&case.expect, result).map_err(|failure| match failure {
                Failure::Expectation(text) => {
                    Failure::Expectation(format!("on peer {name}: {text}"))
                }
                other => other,
            })?;
        }
        Ok(())
    }

    /// `@commit_id_less first second`
    fn check_harness(&self, statement: &str) -> Result<(), Failure> {
        let words: Vec<&str> = statement.split_whitespace().collect();
        let ["@commit_id_less", first, second] = words[..] else {
            return Err(Failure::Unsupported(statement.to_owned()));
        };
        let ids = (self.commit_ids.get(first), self.commit_ids.get(second));
        match ids {
            (Some(first), Some(second)) if first < second => Ok(()),
            other => Err(Failure::Expectation(format!("commit ids are {other:?}"))),
        }
    }
}

/// Runs the statements of a transaction and compares each.
fn run_all(
    statements: Vec<Inner<'_>>,
    mut run: impl FnMut(&str, Object) -> Result<Response, ExecuteError>,
) -> Result<(), Failure> {
    for inner in statements {
        let result = run(&inner.statement, inner.arguments);
        expected(inner.step, &inner.statement, result)?;
    }
    Ok(())
}

/// Compares the result of a setup statement with what its step says.
fn expected(
    step: &Object,
    statement: &str,
    result: Result<Response, ExecuteError>,
) -> Result<(), Failure> {
    let wants_error =
        matches!(step.get("expect_error"), Some(value) if *value != Value::Bool(false));
    match result {
        Err(_) if wants_error => Ok(()),
        Err(error) => Err(Failure::Statement {
            statement: statement.to_owned(),
            error,
        }),
        Ok(_) if wants_error => Err(Failure::Expectation(format!("{statement} did not fail"))),
        Ok(response) => match step.get("expect_items") {
            None => Ok(()),
            Some(items) => {
                let expect = Object::from([("items".to_owned(), items.clone())]);
                check(&expect, Ok(response))
            }
        },
    }
}
