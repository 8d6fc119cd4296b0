//! Removing content that no document refers to.
//!
//! Content is uploaded before a document refers to it, so it stays for a while
//! without one. What cannot have changed since the last collection is not looked at.

use std::{collections::BTreeSet, time::Duration};

use tombolo_document::attachment::AttachmentId;

use super::{AttachmentError, Attachments, Desk, name::Name};

/// How long content stays that no document refers to, unless told otherwise.
pub const GRACE_DEFAULT: Duration = Duration::from_secs(60 * 60);

/// What a collection did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Contents that were removed, whole or in part.
    pub removed: u64,
    /// Contents without a document that stay for now.
    pub waiting: u64,
}

impl Attachments {
    /// Removes content that had no document for at least `grace`. `now` never goes back and
    /// begins anew with the process; so does the time that content waits.
    ///
    /// `suspects` are the attachments that documents ceased to refer to since the last
    /// collection, or `None` if that is not known; then everything is looked at, as it is the
    /// first time.
    ///
    /// A document that begins to refer to content at the very moment when its grace ends comes
    /// too late, as after that moment.
    ///
    /// # Errors
    /// `is_mentioned` failed, or a file cannot be read or removed. The next collection looks at
    /// everything.
    pub fn collect<E: From<AttachmentError>>(
        &self,
        now: Duration,
        grace: Duration,
        suspects: Option<BTreeSet<AttachmentId>>,
        is_mentioned: &mut dyn FnMut(AttachmentId) -> Result<bool, E>,
    ) -> Result<Collected, E> {
        let all_looked_at = std::mem::take(&mut self.desk().all_looked_at);
        let idle = match suspects {
            Some(suspects) if all_looked_at => self.idle_among(suspects, is_mentioned)?,
            _ => self.idle_among_all(is_mentioned)?,
        };
        let mut collected = Collected::default();
        for id in idle {
            match self.remove_if_due(id, now, grace)? {
                true => collected.removed += 1,
                false => collected.waiting += 1,
            }
        }
        self.desk().all_looked_at = true;
        Ok(collected)
    }

    /// What is held without a document among `suspects`, what came newly, and what had none
    /// before.
    fn idle_among<E: From<AttachmentError>>(
        &self,
        mut suspects: BTreeSet<AttachmentId>,
        is_mentioned: &mut dyn FnMut(AttachmentId) -> Result<bool, E>,
    ) -> Result<BTreeSet<AttachmentId>, E> {
        {
            let mut desk = self.desk();
            suspects.append(&mut desk.fresh);
            suspects.extend(desk.idle_since.keys());
        }
        suspects.extend(self.partial_ids()?);
        let mut idle = BTreeSet::new();
        for id in suspects {
            self.judge(id, &mut idle, is_mentioned)?;
        }
        Ok(idle)
    }

    fn idle_among_all<E: From<AttachmentError>>(
        &self,
        is_mentioned: &mut dyn FnMut(AttachmentId) -> Result<bool, E>,
    ) -> Result<BTreeSet<AttachmentId>, E> {
        self.desk().fresh.clear();
        let mut idle = BTreeSet::new();
        let mut outcome = Ok(());
        self.list(&mut |id, _| {
            if outcome.is_ok() {
                outcome = self.judge(id, &mut idle, is_mentioned);
            }
        })?;
        outcome?;
        for id in self.partial_ids()? {
            self.judge(id, &mut idle, is_mentioned)?;
        }
        Ok(idle)
    }

    fn judge<E: From<AttachmentError>>(
        &self,
        id: AttachmentId,
        idle: &mut BTreeSet<AttachmentId>,
        is_mentioned: &mut dyn FnMut(AttachmentId) -> Result<bool, E>,
    ) -> Result<(), E> {
        if !is_mentioned(id)? && self.is_there(id)? {
            idle.insert(id);
        } else {
            self.desk().idle_since.remove(&id);
        }
        Ok(())
    }

    /// Whether anything is held of it.
    fn is_there(&self, id: AttachmentId) -> Result<bool, AttachmentError> {
        let part = self.medium().find(Name::Part(id));
        Ok(self.holds(id)? || part.map_err(AttachmentError::reading)?.is_some())
    }

    fn remove_if_due(
        &self,
        id: AttachmentId,
        now: Duration,
        grace: Duration,
    ) -> Result<bool, AttachmentError> {
        // Held throughout, so that content which is kept once more in this moment stays.
        let mut desk = self.desk();
        let Desk {
            fresh,
            in_use,
            idle_since,
            ..
        } = &mut *desk;
        if fresh.contains(&id) || in_use.contains(&id) {
            return Ok(false);
        }
        let since = *idle_since.entry(id).or_insert(now);
        if now.saturating_sub(since) < grace {
            return Ok(false);
        }
        self.remove_files(&mut desk, id)?;
        Ok(true)
    }

    fn partial_ids(&self) -> Result<Vec<AttachmentId>, AttachmentError> {
        let listed = self.medium().list_partial();
        listed.map_err(AttachmentError::reading)
    }
}
