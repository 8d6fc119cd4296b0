//! What a request in work weighs: it is moved more than once on its way, and every connection has room for one.

use tombolo_http::{Answer, Request};

use crate::edge::{Edge, JoinedDatabase};

/// Of a request in work, in bytes.
const WEIGHT_MAX: usize = 3 << 10;

#[test]
fn a_request_in_work_is_no_heavier_than_allowed() {
    fn weight<'e, F>(_: fn(&'e Edge<JoinedDatabase>, Request) -> F) -> usize {
        size_of::<F>()
    }
    let weight = weight(<Edge<JoinedDatabase> as Answer>::answer);
    assert!(weight <= WEIGHT_MAX, "{weight} bytes");
}
