//! What somebody does to the nodes and links of a world.

use tombolo::{ExecuteError, Object, TransactionError};

use crate::agenda::Happening;
use crate::check::Cause;
use crate::node::interests;
use crate::profile::Act;
use crate::violation::Violation;
use crate::workload;
use crate::world::World;

/// What a transaction ends with whose author thought better of it.
struct Withdrawn;

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
        match act {
            Act::Write => {
                let statement = workload::write(self.profile.documents, &mut self.script);
                self.write(node, vec![statement])
            }
            Act::Transact => {
                let count = self.script.within(2..5);
                let documents = self.profile.documents;
                let statements = (0..count).map(|_| workload::write(documents, &mut self.script));
                let statements = statements.collect();
                self.write(node, statements)
            }
            Act::Evict => {
                let statement = workload::evict(self.profile.documents, &mut self.script);
                self.write(node, vec![statement])
            }
            Act::Subscribe => self.subscribe(node),
            Act::Cut => {
                let link = self.script.below(self.links.len());
                self.say(|| format!("link {link} is cut"));
                self.links[link].is_wanted = false;
                self.cut(link)
            }
            Act::Mend => {
                let link = self.script.below(self.links.len());
                self.links[link].is_wanted = true;
                self.connect_soon(link);
                Ok(())
            }
            _ => Ok(()),
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
    fn write(&mut self, node: usize, statements: Vec<String>) -> Result<(), Violation> {
        let withdraws = statements.len() > 1 && self.script.chance(50);
        let Some(running) = &self.nodes[node].running else {
            return Ok(());
        };
        let outcome = match &statements[..] {
            [statement] => running
                .database
                .execute(statement, Object::new())
                .map(|_| ()),
            _ => {
                let done = running.database.transaction(|transaction| {
                    for statement in &statements {
                        // One that fails leaves nothing, and the others go on.
                        let done = transaction.execute(statement, Object::new());
                        if let Err(error @ (ExecuteError::Store(_) | ExecuteError::Broken)) = done {
                            return Err(Ok(error));
                        }
                    }
                    if withdraws {
                        Err(Err(Withdrawn))
                    } else {
                        Ok(())
                    }
                });
                match done {
                    Ok(_) | Err(TransactionError::Work(Err(Withdrawn))) => Ok(()),
                    Err(TransactionError::Work(Ok(error))) => Err(error),
                    Err(TransactionError::Execute(error)) => Err(error),
                    Err(_) => Ok(()),
                }
            }
        };
        self.say(|| format!("node {node} runs {statements:?}: {outcome:?}"));
        match outcome {
            Ok(()) | Err(ExecuteError::Query(_)) => self.observe(node, Cause::Own),
            Err(_) if self.nodes[node].is_faulty => self.crash(node),
            Err(error) => Err(Violation::store(&error)),
        }
    }

    fn subscribe(&mut self, at: usize) -> Result<(), Violation> {
        let statements = workload::subscriptions(self.profile.documents, &mut self.script);
        self.say(|| format!("node {at} now wants {statements:?}"));
        self.nodes[at].interests = interests(&statements);
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

    /// A node that lost power comes back.
    pub(crate) fn restart(&mut self, at: usize) -> Result<(), Violation> {
        if self.nodes[at].running.is_some() {
            return Ok(());
        }
        self.say(|| format!("node {at} comes back"));
        self.nodes[at].start()?;
        self.observe(at, Cause::Own)
    }

    /// Ends all faults.
    pub(crate) fn heal(&mut self) -> Result<(), Violation> {
        self.say(|| "all faults end".to_owned());
        self.is_healed = true;
        for node in 0..self.nodes.len() {
            self.nodes[node].clock.set_ahead_ms(0);
            if self.nodes[node].is_faulty {
                self.crash(node)?;
            }
        }
        for link in 0..self.links.len() {
            self.links[link].is_wanted = true;
            if self.links[link].is_lossy {
                self.cut(link)?;
            }
            if self.links[link].is_down() {
                self.connect_soon(link);
            }
        }
        Ok(())
    }

    /// Makes the accounts that transfers are between.
    pub(crate) fn found_accounts(&mut self) -> Result<(), Violation> {
        Ok(())
    }
}
