//! Databases that sync by their logins, over loopback TLS: with whom, what each
//! may read and write, and until when.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

mod identity_service;

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use identity_service::{
    Clock, EVERYTHING, HOUR_MS, NOTHING, NOW_MS, Service, device, log_in, only,
};
use tempfile::TempDir;
use tombolo::{
    Access, Batch, Database, ExecuteError, Object, Step, Subscription, SyncError, SyncOptions,
};

/// The rules of the example, as a webhook answers with them.
const SEED: &str = include_str!("../../../conformance/permissions/seed.json");
/// A document that the example may read and write, one that it may not, and one
/// with an id that is as good as the first to a careless eye.
const OWN: &str = "{'_id': {'locationId': 'abcedef123456', 'isbn': '1'}, 'title': 'own'}";
const OTHER: &str = "{'_id': {'locationId': 'ABCEDEF123456', 'isbn': '1'}, 'title': 'other'}";
const BARE: &str = "{'_id': 'abcedef123456', 'title': 'bare'}";

struct World {
    clock: Clock,
    service: Arc<Service>,
}

struct Device {
    database: Database,
    _subscriptions: Vec<Subscription>,
    _directory: TempDir,
}

impl World {
    fn new() -> Self {
        let clock = Clock::at(NOW_MS);
        let service = Service::new(&clock);
        service.admit("admin", 24, (EVERYTHING, EVERYTHING));
        let mut answers = service.answers.lock().unwrap();
        answers.insert("seed".to_owned(), SEED.to_owned());
        drop(answers);
        Self { clock, service }
    }

    /// A device that is logged in and syncs, and dials the others.
    fn device(&self, user: &str, wants: &[&str], servers: &[&Device]) -> Device {
        let device = self.offline(user, wants);
        device.join(servers);
        device
    }

    fn offline(&self, user: &str, wants: &[&str]) -> Device {
        let directory = tempfile::tempdir().unwrap();
        let database = device(&self.clock, directory.path());
        log_in(&database, &self.service, user).unwrap();
        let subscribe = |wanted: &&str| {
            let statement = format!("SELECT * FROM {wanted}");
            let made = database.register_subscription(&statement, Object::new());
            made.unwrap()
        };
        let subscriptions = wants.iter().map(subscribe).collect();
        Device {
            database,
            _subscriptions: subscriptions,
            _directory: directory,
        }
    }
}

impl Device {
    fn join(&self, servers: &[&Self]) {
        self.try_join(servers).unwrap();
    }

    fn try_join(&self, servers: &[&Self]) -> Result<(), SyncError> {
        let mut options = SyncOptions::logged_in();
        options.listen = vec!["127.0.0.1:0".parse().unwrap()];
        let address = |server: &&Self| server.database.sync_addresses()[0].to_string();
        options.known_tcp_servers = servers.iter().map(address).collect();
        self.database.start_sync(options)
    }

    fn run(&self, statement: &str) -> Vec<String> {
        let response = self.database.execute(statement, Object::new()).unwrap();
        response.items.iter().map(tombolo::json::print).collect()
    }

    fn insert(&self, collection: &str, document: &str) {
        self.run(&format!("INSERT INTO {collection} DOCUMENTS ({document})"));
    }

    fn titles(&self, collection: &str) -> Vec<String> {
        self.run(&format!("SELECT title FROM {collection} ORDER BY title"))
    }

    /// Waits until a query gives this, and looks again after each commit.
    fn wait_for(&self, statement: &str, wanted: &[&str]) {
        let (told, committed) = sync_channel(1);
        // One that is not taken yet stands for all that came since.
        let listener = self.database.on_commit(move |_| {
            let _ = told.try_send(());
        });
        let _listener = listener.unwrap();
        while self.run(statement) != wanted {
            committed.recv().unwrap();
        }
    }
}

const FENCE: &str = "SELECT _id FROM fence";

fn title(text: &str) -> String {
    format!(r#"{{"title":"{text}"}}"#)
}

#[test]
fn two_devices_that_logged_in_once_sync_without_the_service_until_the_end_and_not_after() {
    let world = World::new();
    let one = world.device("admin", &["cars"], &[]);
    let other = world.device("admin", &["cars"], &[&one]);
    // The link is up before the last millisecond begins, which no new link would outlast.
    one.insert("cars", "{'_id': 0}");
    other.wait_for("SELECT _id FROM cars", &[r#"{"_id":0}"#]);
    world.service.fail_with(503, "");
    world.clock.set(NOW_MS + 24 * HOUR_MS - 1);
    one.database.poll_auth();
    one.insert("cars", "{'_id': 1}");
    other.wait_for("SELECT _id FROM cars WHERE _id = 1", &[r#"{"_id":1}"#]);
    other.insert("cars", "{'_id': 2}");
    one.wait_for("SELECT _id FROM cars WHERE _id = 2", &[r#"{"_id":2}"#]);
    world.clock.advance(1);
    for device in [&one, &other] {
        device.database.poll_auth();
        assert!(!device.database.is_sync_active());
        let refused = device.try_join(&[]);
        assert!(matches!(refused, Err(SyncError::Login(_))), "{refused:?}");
    }
    one.insert("cars", "{'_id': 3}");
    assert_eq!(other.run("SELECT * FROM cars").len(), 3);
}

#[test]
fn the_rules_of_the_example_hold_in_both_directions() {
    let world = World::new();
    let hub = world.offline("admin", &["books", "newspapers"]);
    for document in [OWN, OTHER, BARE] {
        hub.insert("books", document);
    }
    hub.insert("newspapers", "{'_id': 1, 'title': 'daily'}");
    hub.join(&[]);
    let reader = world.device("seed", &["books", "newspapers"], &[&hub]);
    let own = title("own");
    reader.wait_for("SELECT title FROM books", &[&own]);
    // What may be written and not read goes one way.
    reader.insert("newspapers", "{'_id': 2, 'title': 'weekly'}");
    let weekly = title("weekly");
    hub.wait_for("SELECT title FROM newspapers WHERE _id = 2", &[&weekly]);
    assert_eq!(reader.titles("newspapers"), [weekly.as_str()]);
    // What may not be written stays, and what came in the same commit goes.
    let both = format!(
        "INSERT INTO books DOCUMENTS ({}), ({})",
        OTHER,
        OWN.replace("'1'", "'2'")
    );
    let response = reader.database.execute(&both, Object::new()).unwrap();
    assert_eq!(response.warnings_total, 1, "{:?}", response.warnings);
    hub.wait_for(
        "SELECT COUNT(*) AS n FROM books WHERE title = 'own'",
        &[r#"{"n":2}"#],
    );
    assert_eq!(
        hub.titles("books"),
        [title("bare"), title("other"), own.clone(), own]
    );
    assert_eq!(
        hub.run("SELECT title FROM books WHERE title = 'other'")
            .len(),
        1
    );
}

#[test]
fn t25_who_may_read_nothing_gets_nothing_and_a_wider_rule_takes_effect_in_a_live_session() {
    let world = World::new();
    let hub = world.offline("admin", &["inbox"]);
    hub.insert("cars", "{'_id': 1}");
    hub.insert("fence", "{'_id': 1}");
    hub.join(&[]);
    world.service.admit("poor", 24, (NOTHING, EVERYTHING));
    let poor = world.device("poor", &["cars", "fence"], &[&hub]);
    // A word from it says that the session has begun.
    poor.insert("inbox", "{'_id': 1}");
    hub.wait_for("SELECT _id FROM inbox", &[r#"{"_id":1}"#]);
    assert!(poor.run(FENCE).is_empty());
    let fence = only(r#"{"fence":["true"]}"#);
    world.service.admit("poor", 24, (&fence, EVERYTHING));
    log_in(&poor.database, &world.service, "poor").unwrap();
    poor.wait_for(FENCE, &[r#"{"_id":1}"#]);
    assert!(poor.run("SELECT * FROM cars").is_empty());
    // And one that shrinks: what comes after it is not sent.
    let cars = only(r#"{"cars":["true"]}"#);
    world.service.admit("poor", 24, (&cars, EVERYTHING));
    log_in(&poor.database, &world.service, "poor").unwrap();
    // A car says that the hub goes by it; a session that runs takes a round to.
    poor.wait_for("SELECT COUNT(*) AS n FROM cars", &[r#"{"n":1}"#]);
    hub.insert("fence", "{'_id': 2}");
    hub.insert("cars", "{'_id': 2}");
    poor.wait_for("SELECT COUNT(*) AS n FROM cars", &[r#"{"n":2}"#]);
    assert_eq!(poor.run(FENCE).len(), 1);
}

#[test]
fn t29_a_subscription_outside_the_rules_brings_nothing() {
    let world = World::new();
    let hub = world.offline("admin", &[]);
    let fence = only(r#"{"fence":["true"],"cars":["_id = 'mine'"]}"#);
    world.service.admit("guest", 24, (&fence, NOTHING));
    for id in ["mine", "yours"] {
        hub.insert("cars", &format!("{{'_id': '{id}'}}"));
        hub.insert("secrets", &format!("{{'_id': '{id}'}}"));
        hub.insert("__internal", &format!("{{'_id': '{id}'}}"));
    }
    hub.insert("fence", "{'_id': 1}");
    hub.join(&[]);
    let wants = [
        "secrets",
        "__internal",
        "cars WHERE _id = 'yours'",
        "cars",
        "fence",
    ];
    let guest = world.device("guest", &wants, &[&hub]);
    guest.wait_for(FENCE, &[r#"{"_id":1}"#]);
    guest.wait_for("SELECT _id FROM cars", &[r#"{"_id":"mine"}"#]);
    for collection in ["secrets", "__internal"] {
        assert!(guest.titles(collection).is_empty(), "{collection}");
    }
}

#[test]
fn a_local_write_outside_the_rules_is_kept_with_a_warning_and_counted() {
    let world = World::new();
    let device = world.offline("seed", &[]);
    let write = |statement: &str| device.database.execute(statement, Object::new()).unwrap();
    let inside = write(&format!("INSERT INTO books DOCUMENTS ({OWN})"));
    assert_eq!(inside.warnings_total, 0);
    let outside = write(&format!("INSERT INTO books DOCUMENTS ({OTHER}), ({BARE})"));
    assert_eq!((outside.warnings_total, outside.warnings.len()), (2, 2));
    let told = "the document \"abcedef123456\" of books will not sync: this device may write in books only where (_id.`locationId` = 'abcedef123456')";
    assert_eq!(outside.warnings[1], told);
    let nothing = write("INSERT INTO cars DOCUMENTS ({'_id': 1})");
    assert!(nothing.warnings[0].ends_with("this device may write nothing in cars"));
    assert_eq!(device.database.sync_status().withheld_documents, 3);
    // An eviction is not a write, and one that is undone is not counted.
    assert_eq!(write("EVICT FROM cars").warnings_total, 0);
    let undone = device.database.transaction(|transaction| {
        let response =
            transaction.execute("INSERT INTO cars DOCUMENTS ({'_id': 2})", Object::new());
        assert_eq!(response.unwrap().warnings_total, 1);
        Err::<(), _>(())
    });
    assert!(undone.is_err());
    assert_eq!(device.database.sync_status().withheld_documents, 3);
    let kept = device.database.transaction(|transaction| {
        transaction.execute("INSERT INTO cars DOCUMENTS ({'_id': 3})", Object::new())
    });
    kept.unwrap();
    assert_eq!(device.database.sync_status().withheld_documents, 4);
    device.database.logout().unwrap();
    assert_eq!(
        write("INSERT INTO cars DOCUMENTS ({'_id': 4})").warnings_total,
        0
    );
}

#[test]
fn a_write_that_is_to_be_permitted_is_refused_as_a_whole() {
    let world = World::new();
    let device = world.offline("seed", &[]);
    let write = |statement: &str| {
        let statement = device.database.prepare(statement).unwrap();
        let (answer, answered) = sync_channel(1);
        let done = move |result| answer.try_send(result).unwrap();
        let batch = Batch {
            steps: vec![Step {
                statement,
                arguments: Arc::default(),
                access: Access::everything(),
            }],
        };
        let queued = device.database.write_batch(batch, None, done);
        queued.unwrap();
        answered.recv().unwrap()
    };
    let both = format!("INSERT INTO books DOCUMENTS ({OWN}), ({OTHER})");
    let refused = write(&both).unwrap_err();
    assert!(matches!(refused.error, ExecuteError::NotPermitted { .. }));
    assert!(
        refused
            .to_string()
            .ends_with("may write in books only where (_id.`locationId` = 'abcedef123456')"),
        "{refused}"
    );
    assert!(device.titles("books").is_empty());
    write(&format!("INSERT INTO books DOCUMENTS ({OWN})")).unwrap();
    assert_eq!(device.database.sync_status().withheld_documents, 0);
}
