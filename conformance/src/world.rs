//! All peers of a case, and the steps that its setup may take.

use std::collections::BTreeMap;

use tombolo_document::{Object, Value};
use tombolo_query::{Outcome, QueryError, Statement, Subscription};

use crate::case::{Case, list, required, text, texts};
use crate::expectation::{Answer, check};
use crate::failure::Failure;
use crate::mesh::Mesh;
use crate::peer::{Call, Peer};

/// The peer of cases that name none.
const ALONE: &str = "A";
/// Where clocks start that a case does not set.
const START_MS: u64 = 1_000_000;
/// How far clocks move with each step that does not set them.
const STEP_MS: u64 = 10;

/// Everything that a case may change.
#[derive(Debug, Default)]
pub(crate) struct World {
    peers: BTreeMap<String, Peer>,
    mesh: Mesh,
    attachments: BTreeMap<String, Value>,
    commit_ids: BTreeMap<String, u64>,
    last_commit_id: Option<u64>,
    steps: u64,
}

impl World {
    /// Takes one step of a setup.
    pub(crate) fn step(&mut self, step: &Object) -> Result<(), Failure> {
        self.steps += 1;
        let names = || texts(step, "peers");
        match text(step, "op") {
            None => self.statement_step(step),
            Some("peers") => {
                for name in names() {
                    self.peer(&name);
                }
                self.mesh.connect(&names());
                Ok(())
            }
            Some("topology") => {
                self.mesh.clear();
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
            Some("disconnect") => {
                self.mesh.disconnect(&names());
                Ok(())
            }
            Some("sync") => {
                let now_ms = self.now_ms(step);
                self.mesh.sync(&mut self.peers, now_ms)
            }
            Some("subscribe") => self.subscribe(step),
            Some("cancel_subscription") => {
                let name = required(step, "name")?;
                self.peer(text(step, "peer").unwrap_or(ALONE))
                    .subscriptions
                    .remove(&name);
                Ok(())
            }
            Some("txn") => self.transaction(step),
            Some("new_attachment") => self.new_attachment(step),
            Some("record_commit_id") => {
                let name = required(step, "name")?;
                self.commit_ids
                    .extend(self.last_commit_id.map(|id| (name, id)));
                Ok(())
            }
            Some(other) => Err(Failure::Unsupported(format!("the step `{other}`"))),
        }
    }

    fn peer(&mut self, name: &str) -> &mut Peer {
        let peers = &mut self.peers;
        peers
            .entry(name.to_owned())
            .or_insert_with(|| Peer::new(name))
    }

    fn now_ms(&self, step: &Object) -> u64 {
        match step.get("at_ms") {
            Some(Value::Int(at_ms)) => at_ms.unsigned_abs(),
            _ => START_MS + self.steps * STEP_MS,
        }
    }

    /// The arguments of a step with their macros replaced.
    fn arguments(&self, arguments: Option<&Value>) -> Object {
        match arguments.map(|arguments| self.expanded(arguments)) {
            Some(Value::Object(arguments)) => arguments,
            _ => Object::new(),
        }
    }

    fn expanded(&self, value: &Value) -> Value {
        match value {
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.expanded(item)).collect())
            }
            Value::Object(members) => {
                if let Some(name) = text(members, "$attachment") {
                    return self.attachments.get(name).cloned().unwrap_or_default();
                }
                if let (Some(part), Some(Value::Int(times))) =
                    (text(members, "$repeat"), members.get("times"))
                {
                    let times = usize::try_from(*times).unwrap_or(0);
                    return Value::String(part.repeat(times));
                }
                let members = members.iter();
                Value::Object(
                    members
                        .map(|(key, member)| (key.clone(), self.expanded(member)))
                        .collect(),
                )
            }
            scalar => scalar.clone(),
        }
    }

    fn statement_step(&mut self, step: &Object) -> Result<(), Failure> {
        let statement = required(step, "statement")?;
        let arguments = self.arguments(step.get("args"));
        let call = Call {
            statement: &statement,
            arguments: &arguments,
            now_ms: self.now_ms(step),
        };
        let result = self.peer(text(step, "peer").unwrap_or(ALONE)).execute(call);
        let result = result.map(|(outcome, commit_id)| {
            self.last_commit_id = commit_id.or(self.last_commit_id);
            outcome
        });
        expected(step, &statement, result)
    }

    fn subscribe(&mut self, step: &Object) -> Result<(), Failure> {
        let statement = required(step, "statement")?;
        let unnamed = format!("#{}", self.steps);
        let name = text(step, "name").map_or(unnamed, str::to_owned);
        let peer = self.peer(text(step, "peer").unwrap_or(ALONE));
        let restricted = peer.parameters.is_true("dql_restrict_subscriptions");
        let subscription = Subscription::parse(&statement, restricted)
            .map_err(|error| Failure::Statement { statement, error })?;
        peer.subscriptions.insert(name, subscription);
        Ok(())
    }

    fn transaction(&mut self, step: &Object) -> Result<(), Failure> {
        let read_only = step.get("read_only") == Some(&Value::Bool(true));
        let commits = text(step, "end") == Some("commit");
        let now_ms = self.now_ms(step);
        let name = text(step, "peer").unwrap_or(ALONE);
        let mut transaction = match self.peer(name).begin(now_ms) {
            Ok(transaction) => transaction,
            Err(error) => return Err(Failure::Expectation(error.to_string())),
        };
        for inner in list(step, "statements") {
            let Value::Object(inner) = inner else {
                continue;
            };
            let statement = required(inner, "statement")?;
            let arguments = self.arguments(inner.get("args"));
            let call = Call {
                statement: &statement,
                arguments: &arguments,
                now_ms,
            };
            let peer = self.peer(name);
            let result = match read_only {
                true => peer.read(call),
                false => peer.run_within(&mut transaction, call),
            };
            expected(inner, &statement, result)?;
        }
        if commits && !read_only {
            self.peer(name).commit(transaction);
        }
        Ok(())
    }

    fn new_attachment(&mut self, step: &Object) -> Result<(), Failure> {
        let name = required(step, "name")?;
        let bytes = base64_length(&required(step, "bytes_b64")?);
        let token = Object::from([
            ("id".to_owned(), Value::from(format!("content of {name}"))),
            ("len".to_owned(), Value::from_u64(bytes as u64)),
            (
                "metadata".to_owned(),
                step.get("metadata").cloned().unwrap_or_default(),
            ),
        ]);
        self.attachments.insert(name, Value::Object(token));
        Ok(())
    }

    /// Runs the statement under test and compares.
    pub(crate) fn check(&mut self, case: &Case) -> Result<(), Failure> {
        self.steps += 1;
        match case.api.as_str() {
            "execute" => self.check_execution(case),
            "register_subscription" => {
                let peer = self.peer(ALONE);
                let restricted = peer.parameters.is_true("dql_restrict_subscriptions");
                let result = Subscription::parse(&case.statement, restricted);
                check(&case.expect, result.map(|_| Answer::default()))
            }
            "register_observer" => {
                let result =
                    Statement::parse(&case.statement).and_then(|statement| {
                        match statement.is_select() {
                            true => Ok(Answer::default()),
                            false => Err(QueryError::Evaluation("not observable".to_owned())),
                        }
                    });
                check(&case.expect, result)
            }
            "harness" => self.check_harness(&case.statement),
            other => Err(Failure::Unsupported(format!("the interface `{other}`"))),
        }
    }

    fn check_execution(&mut self, case: &Case) -> Result<(), Failure> {
        let arguments = match self.expanded(&Value::Object(case.arguments.clone())) {
            Value::Object(arguments) => arguments,
            _ => Object::new(),
        };
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
            let result = self.peer(&name).execute(call);
            let answer = result.map(|(outcome, commit_id)| Answer { outcome, commit_id });
            check(&case.expect, answer).map_err(|failure| match failure {
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

/// How many bytes a base64 text stands for.
fn base64_length(text: &str) -> usize {
    text.trim_end_matches('=').len() * 3 / 4
}

/// Compares the result of a setup statement with what its step says.
fn expected(
    step: &Object,
    statement: &str,
    result: Result<Outcome, QueryError>,
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
        Ok(outcome) => match step.get("expect_items") {
            None => Ok(()),
            Some(items) => {
                let expect = Object::from([("items".to_owned(), items.clone())]);
                check(
                    &expect,
                    Ok(Answer {
                        outcome,
                        commit_id: None,
                    }),
                )
            }
        },
    }
}
