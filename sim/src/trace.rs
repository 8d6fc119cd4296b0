//! What happened last in a run, as lines of text, if somebody wants to know.

use std::collections::VecDeque;

/// Lines that are kept; older ones are dropped.
const LINES_MAX: usize = 400;

/// A memory of the last happenings.
#[derive(Debug, Default)]
pub struct Trace {
    mode: Mode,
    lines: VecDeque<String>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Off,
    Keep,
    Print,
}

impl Trace {
    /// Keeps nothing, and costs nothing.
    #[must_use]
    pub fn off() -> Self {
        Self::default()
    }

    /// Keeps the last lines.
    #[must_use]
    pub fn keep() -> Self {
        Self {
            mode: Mode::Keep,
            ..Self::default()
        }
    }

    /// Prints every line at once.
    #[must_use]
    pub fn print() -> Self {
        Self {
            mode: Mode::Print,
            ..Self::default()
        }
    }

    /// The lines that were kept, oldest first.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    pub(crate) fn is_on(&self) -> bool {
        self.mode != Mode::Off
    }

    #[expect(clippy::print_stdout, reason = "somebody asked to see it")]
    pub(crate) fn say(&mut self, us: u64, line: impl FnOnce() -> String) {
        if self.mode == Mode::Off {
            return;
        }
        let line = format!("{:>10.3} ms  {}", us as f64 / 1e3, line());
        if self.mode == Mode::Print {
            println!("{line}");
            return;
        }
        if self.lines.len() >= LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }
}
