//! Taking changes while the node runs: on SIGHUP, or when a file that somebody reads from has changed.
//! Whatever cannot be taken leaves the node as it was, and says why.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::task::spawn_blocking;
use tokio::time::interval;

use super::stamp::{Stamp, stamps};
use crate::config::{self, Config, InsecureListen};
use crate::verbs::now_unix_s;

/// A file that changed is read when it has rested this long, so that a pair is not read in its middle.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// What could not be taken is tried again after this many looks: a clock may have been set.
const LOOKS_PER_RETRY: u32 = 30;

/// Where the configuration was read from, and how.
#[derive(Debug, Clone)]
pub(crate) struct ConfigSource {
    pub(crate) path: PathBuf,
    pub(crate) insecure_listen: InsecureListen,
}

impl ConfigSource {
    /// What relative paths of the configuration start at.
    pub(crate) fn base(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }
}

/// Why something is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// SIGHUP.
    Asked,
    /// A file changed.
    Changed,
    /// The last time failed.
    Retried,
}

/// Whether everything could be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    All,
    /// What was good before stays; tried again later.
    NotAll,
}

/// A part of the node that can change while it runs.
pub(crate) trait Party: Send {
    /// Takes what it can of a configuration that was read anew, and reads its own files again.
    /// `None`: the configuration cannot be used, and that has been told.
    fn reload(&mut self, config: Option<&Config>, cause: Cause, now_unix_s: i64) -> Taken;

    /// Besides the configuration, the files whose change is a reason to reload.
    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Called every two seconds.
    fn look(&mut self, now_unix_s: i64) {
        let _ = now_unix_s;
    }
}

/// Tells the parties what changed.
pub(crate) struct Reloader {
    source: ConfigSource,
    parties: Vec<Box<dyn Party>>,
    seen: Vec<Stamp>,
    /// What the last look found, if it was not what was seen before.
    unsettled: Option<Vec<Stamp>>,
    looks_to_retry: Option<u32>,
}

impl Reloader {
    pub(crate) fn new(source: ConfigSource, parties: Vec<Box<dyn Party>>) -> Self {
        // Nothing was seen yet: what changed between its first reading and now would be missed for ever.
        Self {
            source,
            parties,
            seen: Vec::new(),
            unsettled: None,
            looks_to_retry: None,
        }
    }

    /// Watches until it is dropped. The disk may be slow, so no thread of a connection waits for it.
    pub(crate) async fn run(mut self, mut hangup: Signal) {
        let mut looks = interval(LOOK_EVERY);
        loop {
            let is_asked = tokio::select! {
                biased;
                Some(()) = hangup.recv() => true,
                _ = looks.tick() => false,
            };
            let step = spawn_blocking(move || {
                let now_unix_s = now_unix_s();
                if is_asked {
                    self.reload(Cause::Asked, now_unix_s);
                } else {
                    self.look(now_unix_s);
                }
                self
            });
            self = match step.await {
                Ok(reloader) => reloader,
                Err(error) => {
                    tracing::error!(%error, "reloading has ended by a defect of the program; restart the node to take changes");
                    return;
                }
            };
        }
    }

    fn look(&mut self, now_unix_s: i64) {
        let found = self.stamps();
        if found == self.seen {
            self.unsettled = None;
        } else if self.unsettled.as_ref() == Some(&found) {
            self.reload(Cause::Changed, now_unix_s);
        } else {
            self.unsettled = Some(found);
        }
        match &mut self.looks_to_retry {
            Some(0) => self.reload(Cause::Retried, now_unix_s),
            Some(looks) => *looks -= 1,
            None => {}
        }
        for party in &mut self.parties {
            party.look(now_unix_s);
        }
    }

    fn reload(&mut self, cause: Cause, now_unix_s: i64) {
        // Before reading, so that what changes meanwhile is found by the next look.
        self.seen = self.stamps();
        self.unsettled = None;
        let config = config::load(&self.source.path, self.source.insecure_listen);
        if let (Err(error), Cause::Asked | Cause::Changed) = (&config, cause) {
            tracing::error!(
                "the configuration was not taken, the node goes on with the old one: {error}"
            );
        }
        let config = config.as_ref().ok();
        let parties = self.parties.iter_mut();
        let failures = parties
            .map(|party| party.reload(config, cause, now_unix_s))
            .filter(|taken| *taken == Taken::NotAll)
            .count();
        self.looks_to_retry = (failures > 0).then_some(LOOKS_PER_RETRY);
        // A party may name other files now; what it has read is what is seen.
        if self.seen.len() != self.files().len() {
            self.seen = self.stamps();
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        let own = std::iter::once(self.source.path.clone());
        own.chain(self.parties.iter().flat_map(|party| party.files()))
            .collect()
    }

    fn stamps(&self) -> Vec<Stamp> {
        stamps(&self.files())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// Whether there was a configuration, and why.
    type Calls = Arc<Mutex<Vec<(bool, Cause)>>>;

    struct Recorded {
        calls: Calls,
        taken: Taken,
        file: PathBuf,
    }

    impl Party for Recorded {
        fn reload(&mut self, config: Option<&Config>, cause: Cause, _: i64) -> Taken {
            self.calls.lock().unwrap().push((config.is_some(), cause));
            self.taken
        }

        fn files(&self) -> Vec<PathBuf> {
            vec![self.file.clone()]
        }
    }

    const CONFIG: &str =
        "database: { db_id: db-1, device_name: edge, persistence_dir: { path: data } }\n";

    fn reloader(home: &Path, taken: Taken) -> (Reloader, Calls) {
        let path = home.join("config.yaml");
        std::fs::write(&path, CONFIG).unwrap();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let party = Recorded {
            calls: Arc::clone(&calls),
            taken,
            file: home.join("file"),
        };
        let source = ConfigSource {
            path,
            insecure_listen: InsecureListen::Refused,
        };
        (Reloader::new(source, vec![Box::new(party)]), calls)
    }

    #[test]
    fn a_file_that_changed_is_read_once_it_rests() {
        let home = tempfile::tempdir().unwrap();
        let (mut reloader, calls) = reloader(home.path(), Taken::All);
        let called = || std::mem::take(&mut *calls.lock().unwrap());
        reloader.look(0);
        assert_eq!(called(), []);
        reloader.look(0);
        let first = [(true, Cause::Changed)];
        assert_eq!(called(), first, "it may have changed before it was watched");
        for text in ["a", "ab"] {
            std::fs::write(home.path().join("file"), text).unwrap();
            reloader.look(0);
            assert_eq!(called(), [], "it may still be written");
        }
        reloader.look(0);
        assert_eq!(called(), [(true, Cause::Changed)]);
        reloader.look(0);
        assert_eq!(called(), []);
        std::fs::remove_file(home.path().join("file")).unwrap();
        reloader.look(0);
        reloader.look(0);
        assert_eq!(called(), [(true, Cause::Changed)]);
    }

    #[test]
    fn a_configuration_that_is_wrong_changes_nothing_but_files_are_read_again() {
        let home = tempfile::tempdir().unwrap();
        let (mut reloader, calls) = reloader(home.path(), Taken::All);
        std::fs::write(home.path().join("config.yaml"), "database: {}\n").unwrap();
        reloader.reload(Cause::Asked, 0);
        assert_eq!(*calls.lock().unwrap(), [(false, Cause::Asked)]);
    }

    #[test]
    fn what_failed_is_tried_again_after_a_minute() {
        let home = tempfile::tempdir().unwrap();
        let (mut reloader, calls) = reloader(home.path(), Taken::NotAll);
        reloader.reload(Cause::Asked, 0);
        for _ in 0..LOOKS_PER_RETRY {
            reloader.look(0);
        }
        assert_eq!(calls.lock().unwrap().len(), 1);
        reloader.look(0);
        assert_eq!(calls.lock().unwrap()[1..], [(true, Cause::Retried)]);
    }
}
