//! Which commits and removals a tree still names, for encoding.

use std::sync::Arc;

use crate::tree::{CommitIndex, Counter, MapNode, Node, Removal, Tree};

/// Is shown what a tree names.
pub(crate) trait Visitor<'t> {
    /// A commit is named here.
    fn commit(&mut self, commit: CommitIndex);
    /// A removal stands here; its commits are shown as well.
    fn removal(&mut self, removal: &'t Arc<Removal>);
}

/// Shows everything that the tree names, in one pass.
pub(crate) fn visit<'t>(tree: &'t Tree<'_>, visitor: &mut impl Visitor<'t>) {
    if let Some(removal) = &tree.removal {
        visit_removal(removal, visitor);
    }
    visit_map(&tree.root, visitor);
}

fn visit_map<'t>(map: &'t MapNode<'_>, visitor: &mut impl Visitor<'t>) {
    map.presence.iter().for_each(|dot| visitor.commit(*dot));
    for child in &map.children {
        visit_node(&child.node, visitor);
    }
}

fn visit_node<'t>(node: &'t Node<'_>, visitor: &mut impl Visitor<'t>) {
    for leaf in node.register.iter().chain(node.attachment.as_deref()) {
        leaf.dots.iter().for_each(|dot| visitor.commit(*dot));
    }
    if let Some(map) = &node.map {
        visit_map(map, visitor);
    }
    for counter in node.counter.iter().chain(&node.pn_counter) {
        visit_counter(counter, visitor);
    }
    for removal in node.removals.iter().flat_map(|all| all.iter().flatten()) {
        visit_removal(removal, visitor);
    }
}

fn visit_removal<'t>(removal: &'t Arc<Removal>, visitor: &mut impl Visitor<'t>) {
    visitor.removal(removal);
    removal.dots.iter().for_each(|dot| visitor.commit(*dot));
}

fn visit_counter<'t>(counter: &Counter, visitor: &mut impl Visitor<'t>) {
    if let Some((dot, _)) = counter.restart {
        visitor.commit(dot);
    }
    if let Some(floor) = counter.floor {
        visitor.commit(floor.epoch);
        visitor.commit(floor.dot);
    }
    for part in &counter.parts {
        visitor.commit(part.incarnation);
        visitor.commit(part.dot);
        part.epoch.iter().for_each(|epoch| visitor.commit(*epoch));
    }
    for base in &counter.bases {
        visitor.commit(base.incarnation);
        visitor.commit(base.dot);
    }
}
