//! The rival: a yrs document whose fields are entries of nested maps, as its guide advises for JSON.

use serde_json::Value as Json;
use yrs::updates::decoder::Decode;
use yrs::{
    Any, Doc, Map, MapPrelim, MapRef, Out, ReadTxn, StateVector, Transact, TransactionMut, Update,
};

use super::Replica;

/// A yrs document with its root map.
pub(super) struct Theirs {
    document: Doc,
    root: MapRef,
}

impl Replica for Theirs {
    const NAME: &'static str = "yrs";

    fn create(order: &Json, actor: u8) -> Self {
        let replica = Self::empty(actor);
        fill(&mut replica.document.transact_mut(), &replica.root, order);
        replica
    }

    fn open(bytes: &[u8], actor: u8) -> Self {
        let mut replica = Self::empty(actor);
        replica.apply(bytes);
        replica
    }

    fn overwrite(&mut self, status: &str) -> Vec<u8> {
        let known = self.document.transact().state_vector();
        self.root
            .insert(&mut self.document.transact_mut(), "status", status);
        self.document.transact().encode_state_as_update_v1(&known)
    }

    fn apply(&mut self, delta: &[u8]) {
        let update = Update::decode_v1(delta).expect("yrs wrote this update");
        self.document
            .transact_mut()
            .apply_update(update)
            .expect("yrs wrote this update");
    }

    fn bytes(&self) -> Vec<u8> {
        self.document
            .transact()
            .encode_state_as_update_v1(&StateVector::default())
    }

    fn status(&self) -> String {
        match self.root.get(&self.document.transact(), "status") {
            Some(Out::Any(Any::String(text))) => text.to_string(),
            other => format!("{other:?}"),
        }
    }
}

impl Theirs {
    fn empty(actor: u8) -> Self {
        let document = Doc::with_client_id(u64::from(actor));
        let root = document.get_or_insert_map("order");
        Self { document, root }
    }
}

fn fill(transaction: &mut TransactionMut, map: &MapRef, fields: &Json) {
    for (name, value) in fields.as_object().into_iter().flatten() {
        match value {
            Json::Object(_) => {
                let inner = map.insert(transaction, name.as_str(), MapPrelim::default());
                fill(transaction, &inner, value);
            }
            Json::Number(number) => {
                map.insert(
                    transaction,
                    name.as_str(),
                    number.as_f64().unwrap_or_default(),
                );
            }
            _ => {
                map.insert(
                    transaction,
                    name.as_str(),
                    value.as_str().unwrap_or_default(),
                );
            }
        }
    }
}
