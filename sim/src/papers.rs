//! What a node is in a world with rules: what it may, what proves it, and whether
//! it lies.

use tombolo_identity::{Revocations, VerifiedPeer};

use crate::authority::certify;
use crate::grant::Grant;
use crate::holdings::Place;
use crate::node::Node;

/// The papers of one node.
#[derive(Debug, Clone)]
pub(crate) struct Papers {
    pub(crate) grant: Grant,
    /// What its peers verified.
    pub(crate) certificate: VerifiedPeer,
    /// The same key with everything granted: what who knows no rules takes it for.
    pub(crate) unlimited: VerifiedPeer,
    pub(crate) is_liar: bool,
    /// Whether it ever sent what nobody wrote.
    pub(crate) has_forged: bool,
}

impl Papers {
    pub(crate) fn new(key: usize, grant: Grant, is_liar: bool) -> Self {
        Self {
            certificate: certify(key, &grant),
            unlimited: certify(key, &Grant::EVERYTHING),
            grant,
            is_liar,
            has_forged: false,
        }
    }
}

impl Node {
    pub(crate) fn is_liar(&self) -> bool {
        self.papers.as_ref().is_some_and(|papers| papers.is_liar)
    }

    /// Whether what a liar wrote may come from here.
    pub(crate) fn has_forged(&self) -> bool {
        self.papers.as_ref().is_some_and(|papers| papers.has_forged)
    }

    /// Whether the certificates of both let a document go from here to another.
    pub(crate) fn may_send(&self, to: &Self, place: &Place) -> bool {
        let (Some(ours), Some(theirs)) = (&self.papers, &to.papers) else {
            return true;
        };
        let (collection, id) = place;
        ours.grant.write.allows(collection, id) && theirs.grant.read.allows(collection, id)
    }

    /// Whether its peers take a document from it.
    pub(crate) fn may_write(&self, (collection, id): &Place) -> bool {
        let papers = self.papers.as_ref();
        papers.is_none_or(|papers| papers.grant.write.allows(collection, id))
    }

    /// Whether it holds a list that cuts another off.
    pub(crate) fn refuses(&self, other: &Self) -> bool {
        let names = |list: &Revocations| list.is_revoked(other.peer()).is_some();
        !self.is_liar() && self.revocations.as_ref().is_some_and(names)
    }
}
