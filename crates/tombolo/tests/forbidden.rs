//! Two sessions that are driven by hand, with certificates of one authority. T30: a
//! device sends what it may not write, and its own side does not hold it back, as
//! an altered program would not; the receiver drops each such change, keeps the
//! bytes it had, and takes the rest of the same batch. T29: a device subscribes to
//! what it may not read, gets nothing, and is told so. T31: who may read all and
//! write its own is no courier for what others wrote.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test whose world cannot be set up has failed"
)]

mod identity_service;

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use identity_service::{Clock, DATABASE, NOW_MS, device};
use tempfile::TempDir;
use tombolo::replication::{Host, Outward, Seat};
use tombolo::{Database, Object};
use tombolo_identity::{
    Authority, ChallengeKey, Granted, PeerKeyPair, Permissions, ProviderAnswer, Trust,
    VerifiedPeer, verify_leaf,
};
use tombolo_sync::wire::Stated;
use tombolo_sync::{Event, Interests, Local, Now};

const SEED: &str = include_str!("../../../conformance/permissions/seed.json");
const NOW: Now = Now {
    unix_ms: NOW_MS,
    monotonic: Duration::ZERO,
};

struct Peer {
    database: Database,
    key: PeerKeyPair,
    local: Arc<Local>,
    _directory: TempDir,
}

fn peer() -> Peer {
    let directory = tempfile::tempdir().unwrap();
    let database = device(&Clock::at(NOW_MS), directory.path());
    let pkcs8 = std::fs::read(directory.path().join("peer.key")).unwrap();
    let local = Arc::new(Local {
        database_id: DATABASE.to_owned(),
        // What its own program holds it to: nothing.
        permissions: Permissions::everything(),
        device_name: "device".to_owned(),
        os: "Linux".to_owned(),
        version: "0".to_owned(),
        metadata: Vec::new(),
        is_server: false,
        secret: Host::new(&database).secret().unwrap(),
        skew_limit_ms: 60_000,
    });
    Peer {
        database,
        key: PeerKeyPair::from_pkcs8(&pkcs8).unwrap(),
        local,
        _directory: directory,
    }
}

/// A peer as the others see it after a login with this answer of its provider.
fn proven(authority: &Authority, peer: &Peer, answer: Option<&str>) -> VerifiedPeer {
    let challenges = ChallengeKey::new(&[1; 32]);
    let challenge = challenges.challenge(DATABASE, [2; 16], NOW_MS).unwrap();
    let signed = challenge.sign(&peer.key).unwrap();
    let proven = challenges.prove(signed, DATABASE, NOW_MS).unwrap();
    let granted = match answer.map(|text| ProviderAnswer::parse(text.as_bytes(), "my-auth")) {
        None => Granted::playground(proven.peer_key()),
        Some(Ok(ProviderAnswer::Granted(granted))) => *granted,
        Some(other) => panic!("{other:?}"),
    };
    let certificate = authority.issue(proven.grant(granted), NOW_MS).unwrap();
    let trust = Trust::of_authorities(&[authority.public().clone()], DATABASE).unwrap();
    let no_chain: [&[u8]; 0] = [];
    verify_leaf(&trust, certificate.der(), &no_chain, NOW_MS).unwrap()
}

const BOOKS: &str = "SELECT * FROM books";

fn wants(statements: &[&str]) -> Arc<Interests> {
    let stated = statements.iter().map(|statement| Stated {
        statement: (*statement).to_owned(),
        arguments: Object::new(),
    });
    Arc::new(Interests::new(stated.collect()).0)
}

/// Exchanges until nothing is left to say. Each peer is told who the other is.
fn exchange(left: (&Peer, VerifiedPeer), right: (&Peer, VerifiedPeer)) {
    exchange_what([&[BOOKS]; 2], left, right);
}

/// The same for what each wants. Gives what the operators of the two are told.
fn exchange_what(
    wanted: [&[&str]; 2],
    left: (&Peer, VerifiedPeer),
    right: (&Peer, VerifiedPeer),
) -> [Vec<String>; 2] {
    let mut queue = VecDeque::new();
    let mut told = [Vec::new(), Vec::new()];
    let mut seats = Vec::new();
    for (at, (own, other)) in [(left.0, right.1), (right.0, left.1)]
        .into_iter()
        .enumerate()
    {
        let host = Host::new(&own.database);
        let local = Arc::clone(&own.local);
        let (seat, out) = Seat::open(host, local, other, wants(wanted[at]), NOW).unwrap();
        seats.push(seat);
        carry((&mut queue, &mut told), at, out);
    }
    while let Some((to, frame)) = queue.pop_front() {
        let out = seats[to].handle(Event::Frame(frame), NOW).unwrap();
        carry((&mut queue, &mut told), to, out);
    }
    told
}

type Line<'l> = (
    &'l mut VecDeque<(usize, bytes::Bytes)>,
    &'l mut [Vec<String>; 2],
);

fn carry((queue, told): Line<'_>, from: usize, out: Vec<Outward>) {
    for out in out {
        match out {
            Outward::Send(_, frame) => queue.push_back((1 - from, frame)),
            Outward::Notice(notice) => told[from].push(notice.to_string()),
            Outward::Close(reason) => panic!("{from} closed: {reason}"),
            _ => {}
        }
    }
}

fn run(peer: &Peer, statement: &str) {
    peer.database.execute(statement, Object::new()).unwrap();
}

/// The bytes of each document that is there.
fn states(peer: &Peer) -> BTreeMap<String, Vec<u8>> {
    let mut states = BTreeMap::new();
    let snapshot = peer.database.snapshot();
    tombolo_query::Source::scan(&snapshot, "books", &mut |id, state| {
        states.insert(format!("{id:?}"), state.to_vec());
        ControlFlow::Continue(())
    })
    .unwrap();
    states
}

fn titles(peer: &Peer, condition: &str) -> Vec<String> {
    let select = format!("SELECT title FROM books WHERE {condition}");
    let found = peer.database.execute(&select, Object::new()).unwrap();
    found.items.iter().map(tombolo::json::print).collect()
}

fn foreign(isbn: u32) -> String {
    format!("{{'locationId': 'elsewhere', 'isbn': {isbn}}}")
}

/// What the altered device writes in one commit: each kind of change to a
/// document that it may not write, and one that it may.
fn forgeries() -> [String; 6] {
    let [first, second, third, fourth] = [1, 2, 3, 4].map(foreign);
    let own = "{'locationId': 'abcedef123456', 'isbn': 1}";
    [
        format!("UPDATE books SET title = 'forged' WHERE _id = {first}"),
        format!("DELETE FROM books WHERE _id = {second}"),
        format!("UPDATE books APPLY n PN_INCREMENT BY 7 WHERE _id = {third}"),
        // A change of nothing but stamps.
        format!("UPDATE books SET title = 'kept' WHERE _id = {fourth}"),
        format!(
            "INSERT INTO books DOCUMENTS ({{'_id': {}, 'title': 'new'}})",
            foreign(6)
        ),
        format!("INSERT INTO books DOCUMENTS ({{'_id': {own}, 'title': 'own'}})"),
    ]
}

#[test]
fn t30_each_kind_of_change_that_a_sender_may_not_write_is_dropped_and_the_rest_arrives() {
    let authority = Authority::generate().unwrap();
    let (honest, altered) = (peer(), peer());
    for isbn in 1..=5 {
        let id = foreign(isbn);
        run(
            &honest,
            &format!("INSERT INTO books DOCUMENTS ({{'_id': {id}, 'title': 'kept', 'n': 1}})"),
        );
    }
    let admin = || proven(&authority, &honest, None);
    // When it still might, it got them all.
    exchange(
        (&honest, admin()),
        (&altered, proven(&authority, &altered, None)),
    );
    assert_eq!(states(&honest), states(&altered));
    let before = states(&honest);

    let changed = altered.database.transaction(|transaction| {
        for statement in forgeries() {
            let written = transaction.execute(&statement, Object::new())?;
            assert_eq!(written.mutated_document_ids.len(), 1, "{statement}");
        }
        Ok::<_, tombolo::ExecuteError>(())
    });
    changed.unwrap();
    run(
        &altered,
        &format!("EVICT FROM books WHERE _id = {}", foreign(5)),
    );
    exchange(
        (&honest, admin()),
        (&altered, proven(&authority, &altered, Some(SEED))),
    );

    let mut after = states(&honest);
    let arrived: Vec<_> = after
        .extract_if(.., |id, _| !before.contains_key(id))
        .collect();
    assert_eq!(arrived.len(), 1, "{arrived:?}");
    let titles = titles(&honest, "title != 'kept'");
    assert_eq!(titles, [r#"{"title":"own"}"#]);
    assert_eq!(after, before);
}

#[test]
fn t29_whoever_subscribes_to_what_it_may_not_read_is_told_and_gets_nothing() {
    let authority = Authority::generate().unwrap();
    let (hub, guest) = (peer(), peer());
    for collection in ["books", "newspapers", "__internal"] {
        let insert = format!(
            "INSERT INTO {collection} DOCUMENTS ({{'_id': {}}})",
            foreign(1)
        );
        run(&hub, &insert);
    }
    let forbidden = ["SELECT * FROM newspapers", "SELECT * FROM __internal"];
    let told = exchange_what(
        [&[], &[BOOKS, forbidden[0], forbidden[1]]],
        (&hub, proven(&authority, &hub, None)),
        (&guest, proven(&authority, &guest, Some(SEED))),
    );
    for statement in forbidden {
        let named = told[1].iter().any(|notice| {
            notice.starts_with("the peer sends nothing") && notice.contains(statement)
        });
        assert!(named, "{statement} in {:?}", told[1]);
    }
    assert!(!told[1].iter().any(|notice| notice.contains(BOOKS)));
    for collection in ["books", "newspapers", "__internal"] {
        let select = format!("SELECT * FROM {collection}");
        let found = guest.database.execute(&select, Object::new()).unwrap();
        assert!(found.items.is_empty(), "{collection}");
    }
}

/// Reads all, and writes what is of its place.
const COURIER: &str = r#"{
    "authenticated": true, "userID": "courier", "expirationSeconds": 28800,
    "permissions": {
        "read": {"everything": true, "queriesByCollection": {}},
        "write": {"everything": false, "queriesByCollection": {"books": ["_id.locationId == 'abcedef123456'"]}}
    }
}"#;

#[test]
fn t31_what_another_wrote_is_dropped_from_one_who_may_not_write_it_altered_or_not() {
    let authority = Authority::generate().unwrap();
    let (author, relay, reader) = (peer(), peer(), peer());
    let admin = |peer: &Peer| proven(&authority, peer, None);
    let courier = || proven(&authority, &relay, Some(COURIER));
    let insert = |peer: &Peer, id: &str, title: &str| {
        let document = format!("{{'_id': {id}, 'title': '{title}'}}");
        run(peer, &format!("INSERT INTO books DOCUMENTS ({document})"));
    };
    insert(&author, &foreign(1), "written");
    exchange((&author, admin(&author)), (&relay, courier()));
    assert_eq!(states(&relay), states(&author));
    insert(
        &relay,
        "{'locationId': 'abcedef123456', 'isbn': 1}",
        "first",
    );
    exchange((&relay, courier()), (&reader, admin(&reader)));
    assert_eq!(titles(&reader, "true"), [r#"{"title":"first"}"#]);

    let forged = format!(
        "UPDATE books SET title = 'forged' WHERE _id = {}",
        foreign(1)
    );
    run(&relay, &forged);
    insert(
        &relay,
        "{'locationId': 'abcedef123456', 'isbn': 2}",
        "second",
    );
    exchange((&relay, courier()), (&reader, admin(&reader)));
    let own = [r#"{"title":"first"}"#, r#"{"title":"second"}"#];
    assert_eq!(titles(&reader, "true ORDER BY title"), own);
    exchange((&relay, courier()), (&author, admin(&author)));
    let kept = titles(&author, "_id.locationId = 'elsewhere'");
    assert_eq!(kept, [r#"{"title":"written"}"#]);
    // From the author itself it arrives as it was written.
    exchange((&author, admin(&author)), (&reader, admin(&reader)));
    let all = [own[0], own[1], r#"{"title":"written"}"#];
    assert_eq!(titles(&reader, "true ORDER BY title"), all);
}
