//! A login in time: who is told of its beginning and end, who is asked for the
//! next one and how often, and what that does to sync.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

mod identity_service;

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use identity_service::{
    Clock, DATABASE, EVERYTHING, HOUR_MS, NOW_MS, Service, device, driven, log_in,
};
use tombolo::{
    AuthStatus, Database, LoginError, Object, ObserverDriver, SharedKey, SyncError, SyncOptions,
    Timekeeper,
};

fn world() -> (Clock, Arc<Service>, tempfile::TempDir) {
    let clock = Clock::at(NOW_MS);
    let service = Service::new(&clock);
    for user in ["ann", "bob"] {
        service.admit(user, 8, (EVERYTHING, EVERYTHING));
    }
    (clock, service, tempfile::tempdir().unwrap())
}

fn status(user: &str, is_authenticated: bool, expires_ms: u64) -> AuthStatus {
    AuthStatus {
        is_authenticated,
        user_id: Some(user.to_owned()),
        expires_ms: Some(expires_ms),
    }
}

fn insert(database: &Database) {
    let insert = "INSERT INTO cars DOCUMENTS ({'_id': '1'})";
    database.execute(insert, Object::new()).unwrap();
}

#[test]
fn observers_hear_of_login_logout_and_end() {
    let (clock, service, directory) = world();
    let database = device(&clock, directory.path());
    let (told, heard) = sync_channel(16);
    let _observer = database.observe_auth(move |status| told.try_send(status.clone()).unwrap());
    log_in(&database, &service, "ann").unwrap();
    database.logout().unwrap();
    log_in(&database, &service, "ann").unwrap();
    let expires_ms = NOW_MS + 8 * HOUR_MS;
    clock.set(expires_ms - 1);
    database.poll_auth();
    assert_eq!(heard.try_iter().count(), 3);
    clock.set(expires_ms);
    database.poll_auth();
    database.poll_auth();
    let last: Vec<_> = heard.try_iter().collect();
    assert_eq!(last, [status("ann", false, expires_ms)]);
}

/// A refresh loop that ran ever faster was a bug of another product.
#[test]
fn t23_a_day_of_failed_refreshes_is_few_calls_and_sync_stops_exactly_at_the_end() {
    let (clock, service, directory) = world();
    let database = device(&clock, directory.path());
    log_in(&database, &service, "ann").unwrap();
    database.start_sync(SyncOptions::logged_in()).unwrap();
    let calls = Arc::new(Mutex::new(Vec::new()));
    let (called, by) = (Arc::clone(&calls), clock.clone());
    let handler = move |left: Duration| called.lock().unwrap().push((by.unix_ms(), left));
    database.set_expiration_handler(handler).unwrap();
    let end_ms = NOW_MS + 8 * HOUR_MS;
    while clock.unix_ms() < NOW_MS + 24 * HOUR_MS {
        let quiet = database.poll_auth().unwrap();
        let active = clock.unix_ms() < end_ms;
        assert_eq!(database.is_sync_active(), active);
        assert_eq!(database.auth_status().is_authenticated, active);
        clock.advance((quiet.as_millis() as u64).max(1));
    }
    let calls = calls.lock().unwrap();
    assert!((20..80).contains(&calls.len()), "{}", calls.len());
    let (first_ms, first_left) = calls[0];
    assert!((NOW_MS + 4 * HOUR_MS..=NOW_MS + 5 * HOUR_MS).contains(&first_ms));
    assert_eq!(first_left.as_millis() as u64, end_ms - first_ms);
    assert!(calls.contains(&(end_ms, Duration::ZERO)));
    insert(&database);
}

#[test]
fn a_thread_of_the_database_asks_and_sees_the_end_without_being_polled() {
    let (clock, service, directory) = world();
    let driver = ObserverDriver::Thread;
    let database = Arc::new(driven(driver, (DATABASE, &clock), directory.path()));
    let (told, heard) = sync_channel(16);
    let _observer = database.observe_auth(move |status| told.send(status.clone()).unwrap());
    let (weak, by) = (Arc::downgrade(&database), Arc::clone(&service));
    let (joined, has_joined) = sync_channel(1);
    let handler = move |_left: Duration| {
        let Some(database) = weak.upgrade() else {
            return;
        };
        let logged_in = log_in(&database, &by, "ann").unwrap();
        let started = database.start_sync(SyncOptions::logged_in());
        joined.send((logged_in.user_id, started.is_ok())).unwrap();
    };
    database.set_expiration_handler(handler).unwrap();
    let expires_ms = NOW_MS + 8 * HOUR_MS;
    assert_eq!(heard.recv().unwrap(), status("ann", true, expires_ms));
    assert_eq!(has_joined.recv().unwrap(), ("ann".to_owned(), true));
    clock.set(expires_ms);
    // Another handler wakes the thread, which then sees what time it is.
    database.set_expiration_handler(|_| ()).unwrap();
    assert_eq!(heard.recv().unwrap(), status("ann", false, expires_ms));
    assert!(!database.is_sync_active());
}

#[test]
fn whoever_is_asked_may_log_in_and_sync_goes_on() {
    let (clock, service, directory) = world();
    let database = Arc::new(device(&clock, directory.path()));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (weak, by, heard) = (
        Arc::downgrade(&database),
        Arc::clone(&service),
        Arc::clone(&asked),
    );
    let handler = move |left| {
        heard.lock().unwrap().push(left);
        let database = weak.upgrade().unwrap();
        // A login that fails changes nothing.
        let _ = log_in(&database, &by, "ann");
    };
    database.set_expiration_handler(handler).unwrap();
    database.poll_auth();
    assert_eq!(*asked.lock().unwrap(), [Duration::ZERO]);
    database.start_sync(SyncOptions::logged_in()).unwrap();
    // At half-life the next certificate is got while sync runs.
    clock.advance(5 * HOUR_MS);
    database.poll_auth();
    assert_eq!(asked.lock().unwrap().len(), 2);
    let renewed_ms = NOW_MS + 13 * HOUR_MS;
    assert_eq!(database.auth_status(), status("ann", true, renewed_ms));
    assert!(database.is_sync_active());
    // Then the service is gone until after the end.
    service.fail_with(502, "");
    clock.set(renewed_ms);
    database.poll_auth();
    assert!(!database.is_sync_active());
    *service.failure.lock().unwrap() = None;
    clock.advance(HOUR_MS);
    database.poll_auth();
    assert_eq!(database.auth_status().user_id.as_deref(), Some("ann"));
    assert!(
        database.is_sync_active(),
        "sync that the end stopped runs again"
    );
    database.logout().unwrap();
    assert!(!database.is_sync_active());
    assert_eq!(database.poll_auth(), None, "who logged out is not asked");
}

#[test]
fn a_shared_key_and_a_login_are_not_mixed() {
    let (clock, service, directory) = world();
    let database = device(&clock, directory.path());
    let key = SharedKey::generate().unwrap();
    let shared = || SyncOptions::new(SharedKey::parse(&key.to_base64()).unwrap());
    let refused = database.start_sync(SyncOptions::logged_in());
    assert!(matches!(refused, Err(SyncError::NotLoggedIn)));
    database.start_sync(shared()).unwrap();
    let refused = log_in(&database, &service, "ann");
    assert!(matches!(refused, Err(LoginError::SharedKeySync)));
    database.stop_sync();
    log_in(&database, &service, "ann").unwrap();
    let refused = database.start_sync(shared());
    assert!(matches!(refused, Err(SyncError::LoggedIn { .. })));
}
