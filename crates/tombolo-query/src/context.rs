//! What a statement needs from its caller besides documents.

use tombolo_document::{Object, Schema, Undeclared, Value};

use crate::check::statement::Collection;
use crate::evaluate::Run;
use crate::limits::{Fuel, Limits};
use crate::parameter::Parameters;
use crate::pattern::Patterns;

/// Rows of the system collections that the query engine knows nothing about.
pub trait SystemRows {
    /// The rows of `system:name`, or `None` if there is no such collection.
    fn rows(&self, name: &str) -> Option<Vec<Object>>;
}

/// No system collections besides those of the query engine.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSystemRows;

impl SystemRows for NoSystemRows {
    fn rows(&self, _: &str) -> Option<Vec<Object>> {
        None
    }
}

/// One run of one statement: everything that is neither in its text nor in the
/// documents. Time and randomness are here, because the engine has none.
#[derive(Clone, Copy)]
pub struct Context<'c> {
    /// The values of `:name` parameters.
    pub arguments: &'c Object,
    /// The system parameters in force.
    pub parameters: &'c Parameters,
    /// Unix milliseconds, for `clock()`.
    pub now_ms: u64,
    /// 16 fresh random bytes at each call, for generated ids.
    pub random: &'c dyn Fn() -> [u8; 16],
    /// How much memory the run may use.
    pub limits: Limits,
    /// Asked every few hundred steps; `true` stops the run with an error.
    pub stop: &'c dyn Fn() -> bool,
    /// The rows of system collections.
    pub system: &'c dyn SystemRows,
}

impl<'c> Context<'c> {
    /// What expressions need of it.
    pub(crate) fn run(&self) -> Run<'c> {
        Run {
            arguments: self.arguments,
            now_ms: self.now_ms,
            limits: self.limits,
            bare_star: self.parameters.is_true("dql_use_legacy_projection"),
            fuel: Fuel::new(self.stop),
            patterns: Patterns::default(),
        }
    }

    /// How a SELECT sees a collection.
    pub(crate) fn read_schema(&self, collection: &Collection) -> Schema {
        let lenient = !self.parameters.is_true("dql_select_strict_mode");
        self.schema(collection, lenient)
    }

    /// How a mutation sees and writes a collection.
    pub(crate) fn write_schema(&self, collection: &Collection) -> Schema {
        self.schema(collection, false)
    }

    fn schema(&self, collection: &Collection, lenient: bool) -> Schema {
        let strict = self.parameters.is_true("dql_strict_mode") && !lenient;
        let maps = *self.parameters.show("dql_object_default") == Value::from("MAP");
        Schema {
            fields: collection.fields.clone(),
            undeclared: match (strict, maps) {
                (false, _) => Undeclared::Infer,
                (true, false) => Undeclared::Register,
                (true, true) => Undeclared::RegisterOrMap,
            },
        }
    }
}
