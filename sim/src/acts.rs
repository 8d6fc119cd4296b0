//! What somebody does to the nodes and links of a world.

use tombolo::{Database, ExecuteError, Object, TransactionError};

use crate::agenda::Happening;
use crate::check::Cause;
use crate::node::interests;
use crate::profile::Act;
use crate::violation::Violation;
use crate::workload;
use crate::world::World;

impl World {
    /// Does one thing, and enters the next.
    pub(crate) fn act(&mut self) -> Result<(), Violation> {
        if self.is_healed {
            return Ok(());
        }
        let pause = self.script.within(self.profile.pause_us.clone());
        self.agenda.at(self.time.us() + pause, Happening::Act);
        let act = self.choose();
        let node = self.script.below(self.nodes.len());
        self.perform_act(act, node)
    }

    fn perform_act(&mut self, act: Act, node: usize) -> Result<(), Violation> {
        let documents = self.profile.documents;
        match act {
            Act::Write => {
                let statement = workload::write(documents, &mut self.script);
                self.write(node, vec![statement])
            }
            Act::Transact => {
                let count = self.script.within(2..5);
                let statements = (0..count).map(|_| workload::write(documents, &mut self.script));
                let statements = statements.collect();
                self.write(node, statements)
            }
            Act::Transfer => self.transfer(node),
            Act::Evict => {
                let statement = workload::evict(documents, &mut self.script);
                self.write(node, vec![statement])
            }
            Act::Subscribe => self.subscribe(node),
            Act::Cut => {
                let link = self.script.below(self.links.len());
                self.say(|| format!("link {link} is cut"));
                self.cut(link)
            }
            Act::Partition => self.partition(),
            Act::Mend => {
                let link = self.script.below(self.links.len());
                self.mend(link);
                Ok(())
            }
            Act::Crash => self.lose_power(node),
            Act::BreakDisk => {
                let after = self.script.within(0..4) as u32;
                self.break_disk(node, after);
                Ok(())
            }
            Act::Revoke => self.revoke(node),
            Act::SetClock => {
                self.set_clock(node);
                Ok(())
            }
            Act::BackUp => self.back_up(node),
            Act::Restore => self.restore(node),
            Act::Copy => self.copy(node),
        }
    }

    fn choose(&mut self) -> Act {
        let weights = self.profile.acts.iter().map(|(weight, _)| weight);
        let mut drawn = self.script.within(0..weights.sum());
        for (weight, act) in self.profile.acts {
            if drawn < *weight {
                return *act;
            }
            drawn -= weight;
        }
        Act::Write
    }

    /// Runs statements on a node: one by itself, several in a transaction.
    pub(crate) fn write(
        &mut self,
        at: usize,
        mut statements: Vec<String>,
    ) -> Result<(), Violation> {
        if self.profile.liars > 0 {
            statements = statements.into_iter().map(workload::mark).collect();
        }
        let withdraws = statements.len() > 1 && self.script.chance(50);
        let node = &self.nodes[at];
        let Some(running) = &node.running else {
            return Ok(());
        };
        let run = || match &statements[..] {
            [statement] => running
                .database
                .execute(statement, Object::new())
                .map(|_| ()),
            _ => transact(&running.database, &statements, withdraws),
        };
        let mut outcome = run();
        if matches!(outcome, Err(ExecuteError::Broken)) && !node.is_faulty {
            // A document that was evicted here is written again under another actor,
            // and only a whole transaction can change its actor.
            outcome = run();
        }
        self.say(|| format!("node {at} runs {statements:?}: {outcome:?}"));
        match outcome {
            Ok(()) | Err(ExecuteError::Query(_)) => self.observe(at, Cause::Own),
            Err(_) if self.nodes[at].is_faulty => self.crash(at),
            Err(error) => Err(Violation::store(&error)),
        }
    }

    fn subscribe(&mut self, at: usize) -> Result<(), Violation> {
        let mut statements = workload::subscriptions(self.profile.documents, &mut self.script);
        if self.profile.has_accounts {
            statements.push(workload::accounts());
        }
        self.say(|| format!("node {at} now wants {statements:?}"));
        self.nodes[at].want(interests(&statements));
        self.each_session_of(at, |interests| {
            tombolo_sync::Event::Interests(std::sync::Arc::clone(interests))
        })
    }

    /// Tells all sessions of a node something about its interests.
    fn each_session_of(
        &mut self,
        at: usize,
        event: impl Fn(&std::sync::Arc<tombolo_sync::Interests>) -> tombolo_sync::Event,
    ) -> Result<(), Violation> {
        for link in 0..self.links.len() {
            for side in [0, 1] {
                if self.links[link].nodes[side] == at {
                    let event = event(&self.nodes[at].interests);
                    let end = self.end(link, side);
                    self.tell(end, event)?;
                }
            }
        }
        Ok(())
    }

    /// Makes the accounts that transfers are between.
    pub(crate) fn found_accounts(&mut self) -> Result<(), Violation> {
        if !self.profile.has_accounts {
            return Ok(());
        }
        self.write(0, vec![workload::found_accounts()])
    }

    /// Moves money from one account to another, on a node that has them.
    fn transfer(&mut self, node: usize) -> Result<(), Violation> {
        let places = self.nodes[node].holdings.documents.keys();
        if places
            .filter(|(name, _)| name == workload::ACCOUNTS)
            .count()
            == 0
        {
            return Ok(());
        }
        let statements = workload::transfer(&mut self.script);
        self.write(node, statements)
    }
}

/// Runs statements in one transaction.
fn transact(
    database: &Database,
    statements: &[String],
    withdraws: bool,
) -> Result<(), ExecuteError> {
    let done = database.transaction(|transaction| {
        for statement in statements {
            // One that fails leaves nothing, and the others go on.
            let done = transaction.execute(statement, Object::new());
            if let Err(error @ (ExecuteError::Store(_) | ExecuteError::Broken)) = done {
                return Err(Some(error));
            }
        }
        // Sometimes its author thinks better of it.
        if withdraws { Err(None) } else { Ok(()) }
    });
    match done {
        Ok(_) | Err(TransactionError::Work(None)) => Ok(()),
        Err(TransactionError::Work(Some(error)) | TransactionError::Execute(error)) => Err(error),
        Err(_) => Ok(()),
    }
}
