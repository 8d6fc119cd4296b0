//! Logins that let a device read less than before: what becomes of what it has.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

mod identity_service;

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use identity_service::{Clock, DATABASE, EVERYTHING, NOW_MS, Service, log_in, only, opened};
use tempfile::TempDir;
use tombolo::{
    Access, AnswerKey, Batch, Database, Object, ObserverDriver, OnLostAccess, Once, Options, Step,
    SyncOptions,
};

struct World {
    clock: Clock,
    service: Arc<Service>,
}

struct Device {
    database: Database,
    _directory: TempDir,
}

impl World {
    fn new() -> Self {
        let clock = Clock::at(NOW_MS);
        let service = Service::new(&clock);
        Self { clock, service }
    }

    fn device(&self, on_lost_access: OnLostAccess) -> Device {
        let directory = tempfile::tempdir().unwrap();
        let mut options = Options::memory(DATABASE);
        options.on_lost_access = on_lost_access;
        let driver = ObserverDriver::Caller;
        let database = opened(driver, options, &self.clock, directory.path());
        Device {
            database,
            _directory: directory,
        }
    }

    /// Lets the device in with these rules for reading.
    fn admit(&self, device: &Device, user: &str, read: &str) {
        self.service.admit(user, 24, (read, EVERYTHING));
        log_in(&device.database, &self.service, user).unwrap();
    }
}

impl Device {
    fn run(&self, statement: &str) -> Vec<String> {
        let response = self.database.execute(statement, Object::new()).unwrap();
        response.items.iter().map(tombolo::json::print).collect()
    }

    fn count(&self, collection: &str) -> usize {
        self.run(&format!("SELECT _id FROM {collection}")).len()
    }

    /// Writes documents with the ids from 0 on, in one commit.
    fn fill(&self, collection: &str, documents: usize) {
        let documents: Vec<String> = (0..documents)
            .map(|number| format!("({{'_id': {number}}})"))
            .collect();
        let documents = documents.join(", ");
        self.run(&format!("INSERT INTO {collection} DOCUMENTS {documents}"));
    }

    /// Writes once, and keeps an answer that shows what was written.
    fn write_once(&self, statement: &str) {
        let step = Step {
            statement: self.database.prepare(statement).unwrap(),
            arguments: Arc::default(),
            access: Access::everything(),
        };
        let once = Once {
            key: AnswerKey::new(b"client", b"key", &[]),
            answer: Box::new(|responses| format!("{responses:?}").into_bytes()),
        };
        let (told, ran) = sync_channel(1);
        let done = move |result| told.send(result).unwrap();
        let batch = Batch { steps: vec![step] };
        self.database.write_once(batch, once, None, done).unwrap();
        ran.recv().unwrap().unwrap();
    }

    fn answers(&self) -> u64 {
        self.database.snapshot().answers().unwrap().count
    }

    fn join(&self, servers: &[&Self]) {
        let mut options = SyncOptions::logged_in();
        options.listen = vec!["127.0.0.1:0".parse().unwrap()];
        let address = |server: &&Self| server.database.sync_addresses()[0].to_string();
        options.known_tcp_servers = servers.iter().map(address).collect();
        self.database.start_sync(options).unwrap();
    }

    /// Waits until a collection holds so many, and looks again after each commit.
    fn wait_for(&self, collection: &str, documents: usize) {
        let (told, committed) = sync_channel(1);
        // One that is not taken yet stands for all that came since.
        let listener = self.database.on_commit(move |_| {
            let _ = told.try_send(());
        });
        let _listener = listener.unwrap();
        while self.count(collection) != documents {
            committed.recv().unwrap();
        }
    }
}

/// More than one transaction evicts.
const MANY: usize = 2500;

#[test]
fn a_login_that_lets_a_device_read_less_evicts_the_difference_if_it_is_told_to() {
    let world = World::new();
    for (policy, cars, fence) in [(OnLostAccess::Keep, 3, MANY), (OnLostAccess::Purge, 1, 0)] {
        let device = world.device(policy);
        let wide = only(r#"{"cars":["true"],"fence":["true"]}"#);
        world.admit(&device, "ada", &wide);
        device.fill("cars", 3);
        device.fill("fence", MANY);
        device.fill("outbox", 2);
        device.write_once("UPDATE cars SET n = 1 WHERE _id = 2 RETURNING *");
        world.admit(&device, "ada", &wide);
        assert_eq!((device.count("cars"), device.count("fence")), (3, MANY));
        assert_eq!(device.answers(), 1);
        world.admit(&device, "ada", &only(r#"{"cars":["_id = 1"]}"#));
        let left = (device.count("cars"), device.count("fence"));
        assert_eq!(left, (cars, fence), "{policy:?}");
        // A kept answer may show what may not be read any more.
        assert_eq!(device.answers(), u64::from(policy == OnLostAccess::Keep));
        // What may only be written was never read from others.
        assert_eq!(device.count("outbox"), 2);
        world.admit(&device, "ada", EVERYTHING);
        assert_eq!(device.count("cars"), cars);
    }
}

#[test]
fn what_is_evicted_does_not_come_back_while_sync_goes_on() {
    let world = World::new();
    let hub = world.device(OnLostAccess::Keep);
    world.admit(&hub, "admin", EVERYTHING);
    hub.fill("cars", 2);
    hub.fill("fence", 2);
    hub.join(&[]);
    let device = world.device(OnLostAccess::Purge);
    world.admit(&device, "ada", EVERYTHING);
    let _wanted = ["cars", "fence"].map(|name| {
        let statement = format!("SELECT * FROM {name}");
        let made = device
            .database
            .register_subscription(&statement, Object::new());
        made.unwrap()
    });
    device.join(&[&hub]);
    device.wait_for("cars", 2);
    device.wait_for("fence", 2);
    world.admit(&device, "ada", &only(r#"{"cars":["true"]}"#));
    assert!(device.database.is_sync_active());
    assert_eq!(device.count("fence"), 0);
    hub.run("INSERT INTO fence DOCUMENTS ({'_id': 'later'})");
    hub.run("INSERT INTO cars DOCUMENTS ({'_id': 'later'})");
    device.wait_for("cars", 3);
    assert_eq!(device.count("fence"), 0);
    assert_eq!(hub.count("fence"), 3);
}
