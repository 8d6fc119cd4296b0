//! Looking up what a batch tells of: which of it is wanted, and where the peer
//! is behind.

use std::sync::Arc;

use tombolo_document::DocumentId;

use crate::interest::{Evaluation, Interests};
use crate::reading::{Place, digest};
use crate::view::{Stored, View, ViewError};
use crate::wire::Form;

/// One document that was told of.
pub(crate) struct Told {
    pub(crate) place: u32,
    pub(crate) collection: Arc<str>,
    pub(crate) id: DocumentId,
    pub(crate) form: Form,
    pub(crate) digest: [u8; 16],
}

/// What is to be looked up, with all that it needs.
pub struct Looking {
    pub(crate) batch: u64,
    pub(crate) generation: u64,
    pub(crate) told: Vec<Told>,
    pub(crate) ours: Arc<Interests>,
    pub(crate) evaluation: Evaluation,
}

/// What a [`Looking`] found. Goes back to the session as it is.
pub struct Looked {
    pub(crate) batch: u64,
    pub(crate) generation: u64,
    pub(crate) result: Result<Wanted, ViewError>,
}

#[derive(Default)]
pub(crate) struct Wanted {
    /// Places in the batch.
    pub(crate) places: Vec<u32>,
    /// Documents of which the peer holds another state that is not wanted.
    pub(crate) differing: Vec<Place>,
}

enum Answer {
    Wanted,
    Differs,
    Nothing,
}

impl Looking {
    /// Does the work.
    #[must_use]
    pub fn run(self, view: &dyn View) -> Looked {
        Looked {
            batch: self.batch,
            generation: self.generation,
            result: self.look(view),
        }
    }

    fn look(&self, view: &dyn View) -> Result<Wanted, ViewError> {
        let mut wanted = Wanted::default();
        for told in &self.told {
            let mut answer = match told.form {
                Form::Offer => Answer::Wanted,
                Form::Leave | Form::Have => Answer::Nothing,
            };
            view.stored(&told.collection, &told.id, &mut |stored| {
                answer = self.compare(told, stored);
            })?;
            match answer {
                Answer::Wanted => wanted.places.push(told.place),
                Answer::Differs => {
                    let place = (told.collection.to_string(), told.id.clone());
                    wanted.differing.push(place);
                }
                Answer::Nothing => {}
            }
        }
        Ok(wanted)
    }

    fn compare(&self, told: &Told, stored: Stored<'_>) -> Answer {
        if digest(stored.document) == told.digest {
            return Answer::Nothing;
        }
        let name = (&*told.collection, &told.id);
        let ours = || stored.live && self.ours.matches(name, stored.document, &self.evaluation);
        match told.form {
            Form::Offer => Answer::Wanted,
            Form::Leave if ours() => Answer::Wanted,
            Form::Leave | Form::Have => Answer::Differs,
        }
    }
}
