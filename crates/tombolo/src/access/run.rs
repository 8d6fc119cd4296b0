//! Running statements for somebody.

use std::time::Duration;

use tombolo_document::Object;
use tombolo_query::{Drafted, Outcome, Source, Target};

use super::Access;
use super::target::Door;
use super::view::{Halt, View, halted};
use crate::database::Executor;
use crate::error::ExecuteError;
use crate::statements::Prepared;

impl Executor {
    /// As [`Executor::read`], of what may be read.
    pub(crate) fn read_as(
        &self,
        (statement, access): (&Prepared, &Access),
        source: &dyn Source,
        arguments: &Object,
        stop: &dyn Fn() -> bool,
    ) -> Result<Outcome, ExecuteError> {
        if access.is_everything() {
            return self.read_unless(statement, source, arguments, stop);
        }
        access.admit(statement)?;
        let halt = Halt::new(stop);
        let view = View {
            source,
            access,
            halt: &halt,
        };
        self.run(arguments, stop, |context| {
            halted(&halt, statement.0.read(&view, context))
        })
    }

    /// As [`Executor::write`], within the rules.
    pub(super) fn write_as(
        &self,
        (statement, access): (&Prepared, &Access),
        target: &mut dyn Target,
        arguments: &Object,
        until: Option<Duration>,
    ) -> Result<Outcome, ExecuteError> {
        if access.is_everything() {
            return self.write(statement, target, arguments, until);
        }
        access.admit(statement)?;
        let stop = || self.is_over(until);
        let halt = Halt::new(&stop);
        let mut door = Door::new(target, (access, statement.0.returns_rows()), &halt);
        let result = self.run(arguments, &stop, |context| {
            halted(&halt, statement.0.execute(&mut door, context))
        });
        match door.into_refusal() {
            Some(refusal) => Err(refusal),
            None => result,
        }
    }

    /// As [`Executor::insert`], within the rules.
    pub(super) fn insert_as(
        &self,
        (drafted, access): (&Drafted, &Access),
        target: &mut dyn Target,
        until: Option<Duration>,
    ) -> Result<Option<Outcome>, ExecuteError> {
        if access.is_everything() {
            return self.insert(drafted, target, until);
        }
        let stop = || self.is_over(until);
        let halt = Halt::new(&stop);
        let mut door = Door::new(target, (access, false), &halt);
        let result = self.insert(drafted, &mut door, until);
        match door.into_refusal() {
            Some(refusal) => Err(refusal),
            None => result,
        }
    }
}
