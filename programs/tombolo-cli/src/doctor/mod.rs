//! The verb `doctor`: walks the way of a node into its mesh, one step after another, and says at which it stops, why,
//! and what to do. Then it holds the configuration against the production checklist. It changes nothing on the disk and may run beside the node; a login that it tries is a real one.

mod checklist;
mod facts;
mod report;
mod steps;

use std::io::Write;

use crate::config::{Checked, Enrolment};
use facts::Facts;
use report::Report;
use steps::Device;

/// How a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing stops this node.
    Sound,
    /// A step failed, and was told with its remedy.
    Stopped,
}

/// What the doctor found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Diagnosis {
    pub(crate) way: Verdict,
    /// Lines of the production checklist that the configuration lacks.
    pub(crate) missing: usize,
}

/// Walks the way of the node whose configuration was read, at `now_ms` (unix milliseconds), and then
/// goes through the production checklist, also if the walk was stopped.
///
/// # Errors
/// The report cannot be written.
pub(crate) fn examine(
    checked: &Checked,
    now_ms: u64,
    out: &mut dyn Write,
) -> std::io::Result<Diagnosis> {
    let way = walk(checked, now_ms, out)?;
    let items = checklist::judge(&Facts::of(checked, now_ms));
    let missing = checklist::print(&items, out)?;
    Ok(Diagnosis { way, missing })
}

fn walk(checked: &Checked, now_ms: u64, out: &mut dyn Write) -> std::io::Result<Verdict> {
    let mut report = Report::new(out);
    report.fine(
        "configuration",
        "it is valid, and so are the files that it names",
    )?;
    for notice in &checked.config.notices {
        report.note(notice)?;
    }
    let walked = steps(checked, now_ms, &mut report);
    match walked {
        Ok(()) => {
            report.conclude("nothing stops this node")?;
            Ok(Verdict::Sound)
        }
        Err(Halt::Output(error)) => Err(error),
        Err(Halt::Step) => Ok(Verdict::Stopped),
    }
}

/// Why the walk goes no further.
enum Halt {
    /// A step failed, and was told.
    Step,
    /// The report cannot be written.
    Output(std::io::Error),
}

impl From<std::io::Error> for Halt {
    fn from(error: std::io::Error) -> Self {
        Self::Output(error)
    }
}

fn steps(checked: &Checked, now_ms: u64, report: &mut Report<'_>) -> Result<(), Halt> {
    let device = steps::data_directory(checked, report)?;
    steps::clock(now_ms, report)?;
    match &checked.enrolment {
        Some(Enrolment::Login(settings)) => {
            let database_id = &checked.config.database.id;
            let Device { key, kept } = device;
            steps::reach(&settings.server, report)?;
            let user = kept.map(|kept| kept.user_id().to_owned());
            steps::log_in(settings, (database_id, key), (user, now_ms), report)?;
        }
        Some(Enrolment::OwnService) => {
            report.fine("login", "this node logs in to its own identity service")?;
        }
        None if checked.sync.is_some() => {
            report.fine("login", "none: this node joins by a shared key")?;
        }
        None => {
            report.note("this node joins no mesh, so there is nothing more to look at")?;
            return Ok(());
        }
    }
    steps::servers(checked, report)
}
