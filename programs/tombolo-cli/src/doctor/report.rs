//! What the doctor says: a line for each step, and what to do after one that failed.

use std::io::{Result, Write};

use super::Halt;

/// Width of the names of steps.
const NAME_WIDTH: usize = 16;

/// Writes a report step by step, so that a step that hangs is the one after the last line.
pub(super) struct Report<'o> {
    out: &'o mut dyn Write,
}

impl<'o> Report<'o> {
    pub(super) fn new(out: &'o mut dyn Write) -> Self {
        Self { out }
    }

    /// A step that succeeded.
    pub(super) fn fine(&mut self, step: &str, what: &str) -> Result<()> {
        writeln!(self.out, "ok    {step:NAME_WIDTH$} {what}")?;
        self.out.flush()
    }

    /// What the operator should know and need not mend.
    pub(super) fn note(&mut self, what: &str) -> Result<()> {
        writeln!(self.out, "note  {:NAME_WIDTH$} {what}", "")?;
        self.out.flush()
    }

    /// The step at which the node stops. Gives what ends the walk.
    pub(super) fn stop(&mut self, step: &str, why: &str, remedy: &str) -> Halt {
        let told = writeln!(
            self.out,
            "STOP  {step:NAME_WIDTH$} {why}\n  = help: {remedy}"
        );
        match told.and_then(|()| self.out.flush()) {
            Ok(()) => Halt::Step,
            Err(error) => Halt::Output(error),
        }
    }

    pub(super) fn conclude(&mut self, what: &str) -> Result<()> {
        writeln!(self.out, "{what}")
    }
}
