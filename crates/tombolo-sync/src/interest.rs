//! What one side wants: its statements, checked, and asked about one document
//! at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use tombolo_document::bytes::put_text;
use tombolo_document::{DocumentId, Value, raw};
use tombolo_query::{Context, Limits, NoSystemRows, Parameters, QueryError, Subscription};

use crate::wire::Stated;

/// The system parameter that says which collections leave a device.
const SYNC_SCOPES: &str = "user_collection_sync_scopes";
/// The system parameters that decide what a condition sees in a document.
const READING: [&str; 3] = [
    "dql_strict_mode",
    "dql_select_strict_mode",
    "dql_object_default",
];
const DOMAIN: &str = "tombolo 2026-11 interests";

/// Everything besides a document that decides whether it matches.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// The system parameters of the side that decides.
    pub parameters: Arc<Parameters>,
    /// Its unix milliseconds, for `clock()`.
    pub now_ms: u64,
}

/// The statements of one side, by collection.
#[derive(Debug, Clone, Default)]
pub struct Interests {
    by_collection: BTreeMap<String, Vec<Statement>>,
    stated: Vec<Stated>,
    targets: Vec<Option<String>>,
    hash: [u8; 16],
}

#[derive(Debug, Clone)]
struct Statement {
    subscription: Subscription,
    arguments: Arc<tombolo_document::Object>,
}

impl Interests {
    /// Checks statements. The verdicts stand in their order; a statement that
    /// is not understood wants nothing.
    #[must_use]
    pub fn new(stated: Vec<Stated>) -> (Self, Vec<Result<(), QueryError>>) {
        let mut interests = Self::default();
        let mut hasher = blake3::Hasher::new_derive_key(DOMAIN);
        let mut verdicts = Vec::with_capacity(stated.len());
        for one in &stated {
            verdicts.push(interests.add(one));
            let mut bytes = Vec::new();
            put_text(&mut bytes, &one.statement);
            raw::append(&mut bytes, &Value::Object(one.arguments.clone()));
            hasher.update(&bytes);
        }
        interests
            .hash
            .copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        interests.stated = stated;
        (interests, verdicts)
    }

    fn add(&mut self, one: &Stated) -> Result<(), QueryError> {
        // Whether ORDER BY and LIMIT are let through is for the side that
        // subscribes; they bound nothing here.
        let parsed = Subscription::parse(&one.statement, false);
        let target = parsed.as_ref().ok().and_then(Subscription::collection);
        self.targets.push(target.map(str::to_owned));
        let subscription = parsed?;
        if let Some(collection) = subscription.collection() {
            let statements = self.by_collection.entry(collection.to_owned());
            statements.or_default().push(Statement {
                arguments: Arc::new(one.arguments.clone()),
                subscription,
            });
        }
        Ok(())
    }

    /// The statements as they were stated.
    #[must_use]
    pub fn stated(&self) -> &[Stated] {
        &self.stated
    }

    /// The collection of each statement, in their order; none for one that is not
    /// understood.
    pub(crate) fn targets(&self) -> impl Iterator<Item = Option<&str>> {
        self.targets.iter().map(Option::as_deref)
    }

    /// A hash of the statements and their arguments, in their order.
    #[must_use]
    pub const fn hash(&self) -> [u8; 16] {
        self.hash
    }

    /// The collections that are wanted, sorted.
    pub fn collections(&self) -> impl Iterator<Item = &str> {
        self.by_collection.keys().map(String::as_str)
    }

    /// Whether anything of a collection is wanted.
    #[must_use]
    pub fn wants(&self, collection: &str) -> bool {
        self.by_collection.contains_key(collection)
    }

    /// Whether nothing is wanted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_collection.is_empty()
    }

    /// Takes out the collections that `keep` refuses.
    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.by_collection.retain(|collection, _| keep(collection));
    }

    /// The only documents of a collection that can ever match, sorted, if the
    /// conditions name them.
    #[must_use]
    pub fn ids(&self, collection: &str, evaluation: &Evaluation) -> Option<Vec<DocumentId>> {
        let mut ids = Vec::new();
        for statement in self.by_collection.get(collection)? {
            let named =
                evaluation.ask(statement, |subscription, context| subscription.ids(context));
            ids.extend(named.ok()??);
        }
        ids.sort();
        ids.dedup();
        Some(ids)
    }

    /// Whether a live document matches. A condition that cannot be evaluated
    /// does not match.
    #[must_use]
    pub fn matches(
        &self,
        (collection, id): (&str, &DocumentId),
        document: &[u8],
        evaluation: &Evaluation,
    ) -> bool {
        let statements = self.by_collection.get(collection);
        statements.into_iter().flatten().any(|statement| {
            let matched = evaluation.ask(statement, |subscription, context| {
                subscription.matches(id, document, context)
            });
            matched.unwrap_or(false)
        })
    }
}

impl Evaluation {
    fn ask<T>(
        &self,
        statement: &Statement,
        question: impl FnOnce(&Subscription, &Context<'_>) -> Result<T, QueryError>,
    ) -> Result<T, QueryError> {
        let context = Context {
            arguments: &statement.arguments,
            parameters: &self.parameters,
            now_ms: self.now_ms,
            random: &|| [0; 16],
            limits: Limits::DEFAULT,
            stop: &|| false,
            system: &NoSystemRows,
        };
        question(&statement.subscription, &context)
    }

    /// Whether the side's parameters let a collection go to such a peer.
    pub(crate) fn lets_leave(&self, collection: &str, to_server: bool) -> bool {
        let scopes = self.parameters.show(SYNC_SCOPES);
        let scope = scopes.as_object().and_then(|scopes| scopes.get(collection));
        match scope {
            None => true,
            Some(scope) => match scope.as_str() {
                Some("AllPeers") => true,
                Some("BigPeerOnly") => to_server,
                Some("SmallPeersOnly") => !to_server,
                // What is not understood stays here.
                _ => false,
            },
        }
    }

    /// A hash of the parameters that decide what matches and what leaves.
    pub(crate) fn hash(&self) -> [u8; 16] {
        let mut bytes = Vec::new();
        for name in READING.iter().chain([&SYNC_SCOPES]) {
            raw::append(&mut bytes, self.parameters.show(name));
        }
        let mut hash = [0; 16];
        hash.copy_from_slice(&blake3::hash(&bytes).as_bytes()[..16]);
        hash
    }
}
