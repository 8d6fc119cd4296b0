//! T42: a peer that lies about what it has. It gets what it lacks all the same, at
//! the cost of its own link, and each lie costs one catch-up at most.

use tombolo_sync::CloseReason;
use tombolo_sync::wire::Message;

use super::order::{cars, continued, issued};
use super::scene::{Scene, stated};
use super::view::noise;

const RESETS: u64 = 1000;

fn claim(scene: &mut Scene, generation: u64, holds_documents: bool, cursor: &[u8]) {
    scene.say(&Message::Interests {
        generation,
        holds_documents,
        may_continue: true,
        cursor: cursor.to_vec().into(),
        stated: stated(&["SELECT * FROM cars"]),
    });
}

fn ack(scene: &mut Scene, generation: u64, batch: u64) {
    scene.say(&Message::Ack {
        generation,
        batch,
        refused: Vec::new(),
    });
}

#[test]
fn t42_a_peer_that_claims_to_be_further_than_it_is_gets_the_whole() {
    let forged = noise(60).into_bytes();
    for cursor in [&forged[..], b""] {
        for holds_documents in [false, true] {
            let mut scene = Scene::met_over(cars(3));
            claim(&mut scene, 1, holds_documents, cursor);
            assert!(!continued(&scene));
            assert_eq!((scene.renewed, scene.batches()), (0, 1));
            // What comes later comes as to everybody else.
            ack(&mut scene, 1, 0);
            scene.view.put("cars", "later", "blue");
            scene.committed();
            assert_eq!(scene.batches(), 2);
            assert!(scene.closed.is_none() && scene.applied.is_empty());
        }
    }
    // A commit that this store did not make yet, and signed by it: the store was copied.
    let mut scene = Scene::met_over(cars(3));
    claim(&mut scene, 1, false, &issued(&cars(4)));
    assert_eq!((scene.renewed, scene.batches()), (1, 0));
}

#[test]
fn t42_a_thousand_resets_cost_a_catch_up_each_and_touch_no_store() {
    let claims = [
        issued(&cars(3)).to_vec(),
        noise(60).into_bytes(),
        Vec::new(),
    ];
    let mut scene = Scene::met_over(cars(3));
    let before = scene.heard_bytes;
    claim(&mut scene, 1, false, b"");
    let once = scene.heard_bytes - before;
    for generation in 2..=RESETS {
        let claimed = &claims[generation as usize % claims.len()];
        let holds_documents = generation % 2 == 0;
        let before = scene.heard_bytes;
        claim(&mut scene, generation, holds_documents, claimed);
        let sent = scene.heard_bytes - before;
        assert!(sent <= 2 * once, "{generation}: {sent}");
        assert!(scene.kept.len() <= 1);
    }
    assert!(scene.batches() as u64 <= RESETS);
    assert!(scene.closed.is_none() && scene.applied.is_empty());
    assert_eq!((scene.renewed, scene.asleep), (0, 0));
    // It converges as soon as it is honest.
    let batches = scene.batches();
    claim(&mut scene, RESETS + 1, false, b"");
    ack(&mut scene, RESETS + 1, 0);
    scene.view.put("cars", "later", "blue");
    scene.committed();
    assert_eq!(scene.batches(), batches + 2);
}

#[test]
fn t42_an_ack_of_a_batch_that_is_still_to_come_ends_the_session() {
    let mut scene = Scene::met_over(cars(3));
    claim(&mut scene, 1, false, b"");
    ack(&mut scene, 1, 1_000_000);
    assert!(matches!(scene.closed, Some(CloseReason::PeerMisbehaved(_))));
}
