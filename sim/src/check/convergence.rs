//! Convergence within scope, as a promise about each link. When all is quiet, for
//! a link from S to R and each document of a collection that R wants, with s and r
//! what the two hold of it: (1) if s is alive and matches what R wants, r covers s;
//! (2) if r is alive and matches what R wants, r covers s, whatever s is: a change
//! that makes a document leave still arrives, if R may tell of r at all; (3) else nothing is promised, nor where
//! the certificates forbid it, nor of a document that a liar forged.
//!
//! "Covers" is that uniting the two changes nothing. Where each wants what the
//! other holds, both are equal, bytes and digest, and so along every path.

use tombolo_sync::digest;

use super::unasked::evaluation;
use crate::holdings::{Held, Place, covers};
use crate::link::Link;
use crate::node::Node;
use crate::violation::{Promise, Violation};

/// Checks all links.
pub(super) fn check(
    nodes: &[Node],
    links: &[Link],
    is_forged: &dyn Fn(&Place) -> bool,
) -> Result<(), Violation> {
    for link in links.iter().filter(|link| link.is_wanted) {
        let [left, right] = link.nodes;
        check_road((left, right), nodes, is_forged)?;
        check_road((right, left), nodes, is_forged)?;
    }
    Ok(())
}

fn check_road(
    (sender, receiver): (usize, usize),
    nodes: &[Node],
    is_forged: &dyn Fn(&Place) -> bool,
) -> Result<(), Violation> {
    let target = &nodes[receiver];
    for (place, sent) in &nodes[sender].holdings.documents {
        let may_cross = nodes[sender].may_send(target, place) && !is_forged(place);
        if !may_cross || !target.interests.wants(&place.0) {
            continue;
        }
        let held = target.holdings.documents.get(place);
        // What a device may not write it tells nobody of, so nobody can answer it.
        let tells = target.may_send(&nodes[sender], place);
        let is_promised = matches(target, place, sent)
            || held.is_some_and(|held| tells && matches(target, place, held));
        if !is_promised {
            continue;
        }
        let is_kept = match held {
            Some(held) => covers(&held.document, &sent.document)?,
            None => false,
        };
        if !is_kept {
            let told = |held: &Held| {
                let [a, b, ..] = digest(&held.document);
                format!(
                    "{} {a:02x}{b:02x}",
                    if held.live { "live" } else { "removed" }
                )
            };
            let story = format!(
                "node {receiver} lacks of {place:?} what node {sender} holds: {} there, {} here",
                told(sent),
                held.map_or("nothing".to_owned(), told),
            );
            return Err(Violation::new(Promise::Convergence, story));
        }
    }
    Ok(())
}

fn matches(node: &Node, place: &Place, held: &Held) -> bool {
    let Some(evaluation) = evaluation(node) else {
        return false;
    };
    let name = (place.0.as_str(), &place.1);
    held.live && node.interests.matches(name, &held.document, &evaluation)
}
