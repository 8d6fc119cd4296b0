//! Which commits and removals a tree still names, for encoding and deltas.

use std::sync::Arc;

use crate::tree::{CommitIndex, Counter, MapNode, Node, Removal, Tree};

/// Calls `see` for each commit that anything in the tree names.
pub(crate) fn visit_commits(tree: &Tree<'_>, see: &mut impl FnMut(CommitIndex)) {
    tree.removal
        .iter()
        .for_each(|removal| visit_removal(removal, see));
    visit_map(&tree.root, see);
}

/// Calls `see` for each removal in the tree.
pub(crate) fn visit_removals<'t>(tree: &'t Tree<'_>, see: &mut impl FnMut(&'t Arc<Removal>)) {
    tree.removal.iter().for_each(&mut *see);
    removals_in_map(&tree.root, see);
}

fn removals_in_map<'t>(map: &'t MapNode<'_>, see: &mut impl FnMut(&'t Arc<Removal>)) {
    for child in &map.children {
        if let Some(removals) = &child.node.removals {
            removals.iter().flatten().for_each(&mut *see);
        }
        if let Some(map) = &child.node.map {
            removals_in_map(map, see);
        }
    }
}

fn visit_removal(removal: &Removal, see: &mut impl FnMut(CommitIndex)) {
    removal.dots.iter().copied().for_each(see);
}

fn visit_map(map: &MapNode<'_>, see: &mut impl FnMut(CommitIndex)) {
    map.presence.iter().copied().for_each(&mut *see);
    for child in &map.children {
        visit_node(&child.node, see);
    }
}

fn visit_node(node: &Node<'_>, see: &mut impl FnMut(CommitIndex)) {
    for leaf in node.register.iter().chain(node.attachment.as_deref()) {
        leaf.dots.iter().copied().for_each(&mut *see);
    }
    for counter in node.counter.iter().chain(&node.pn_counter) {
        visit_counter(counter, see);
    }
    for removal in node.removals.iter().flat_map(|all| all.iter().flatten()) {
        visit_removal(removal, see);
    }
    if let Some(map) = &node.map {
        visit_map(map, see);
    }
}

fn visit_counter(counter: &Counter, see: &mut impl FnMut(CommitIndex)) {
    counter.restart.iter().for_each(|(dot, _)| see(*dot));
    counter.floor.iter().for_each(|floor| {
        see(floor.epoch);
        see(floor.dot);
    });
    for part in &counter.parts {
        see(part.incarnation);
        see(part.dot);
        part.epoch.iter().for_each(|epoch| see(*epoch));
    }
    for base in &counter.bases {
        see(base.incarnation);
        see(base.dot);
    }
}
