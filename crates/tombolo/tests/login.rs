//! Logging in: what is checked, what is kept, and whose the store is.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

mod identity_service;

use std::fs;
use std::sync::{Arc, Mutex};

use identity_service::http::{Listener, own_root};
use identity_service::{
    Clock, DATABASE, EVERYTHING, HOUR_MS, NOW_MS, Service, device, device_of, log_in,
};
use tombolo::login::{ClearError, ServiceError};
use tombolo::{
    AuthServer, AuthStatus, Database, LoginError, Object, Options, SyncError, SyncOptions,
    Timekeeper, Value,
};
use tombolo_identity::{Authority, LEAF_BACKDATE_MS, PeerKeyPair};

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

fn cars(database: &Database) -> usize {
    let found = database.execute("SELECT * FROM cars", Object::new());
    found.unwrap().items.len()
}

#[test]
fn a_login_gives_what_the_provider_said_and_is_kept() {
    let (clock, service, directory) = world();
    let database = device(&clock, directory.path());
    assert_eq!(database.auth_status(), AuthStatus::default());
    let outcome = log_in(&database, &service, "ann").unwrap();
    let expires_ms = NOW_MS + 8 * HOUR_MS;
    assert_eq!(outcome.user_id, "ann");
    assert_eq!(outcome.expires_ms, expires_ms);
    let hello = outcome.client_info.as_object().unwrap().get("hello");
    assert_eq!(hello, Some(&Value::from("ann")));
    assert_eq!(database.auth_status(), status("ann", true, expires_ms));
    drop(database);
    // The service is not asked again: a device that starts without a network is in.
    let database = device(&clock, directory.path());
    assert_eq!(database.auth_status(), status("ann", true, expires_ms));
    database.start_sync(SyncOptions::logged_in()).unwrap();
    drop(database);
    clock.set(expires_ms);
    let database = device(&clock, directory.path());
    assert_eq!(database.auth_status(), status("ann", false, expires_ms));
    let refused = database.start_sync(SyncOptions::logged_in());
    assert!(matches!(refused, Err(SyncError::Login(_))), "{refused:?}");
    insert(&database);
    assert_eq!(cars(&database), 1);
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_what_is_kept_and_nothing_shows_the_token() {
    use std::os::unix::fs::PermissionsExt;

    let (clock, service, directory) = world();
    let database = device(&clock, directory.path());
    log_in(&database, &service, "ann").unwrap();
    let file = directory.path().join("login.json");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!directory.path().join("login.json.new").exists());
    let credentials = database.credentials().unwrap();
    assert_eq!(credentials.token(), "issued-token-s3cret");
    assert!(!format!("{credentials:?}").contains("s3cret"));
}

#[test]
fn another_device_or_database_never_takes_up_a_login() {
    let (clock, service, directory) = world();
    log_in(&device(&clock, directory.path()), &service, "ann").unwrap();
    let is_logged_in = |database: &Database| database.auth_status() != AuthStatus::default();
    assert!(is_logged_in(&device(&clock, directory.path())));
    assert!(!is_logged_in(&device_of("other", &clock, directory.path())));
    // Without its key, as a copy is left that was given a new one.
    let copy = tempfile::tempdir().unwrap();
    fs::copy(
        directory.path().join("login.json"),
        copy.path().join("login.json"),
    )
    .unwrap();
    let database = device(&clock, copy.path());
    assert!(!is_logged_in(&database));
    log_in(&database, &service, "bob").unwrap();
    assert!(is_logged_in(&device(&clock, copy.path())));
}

#[test]
fn a_damaged_file_is_left_and_the_database_opens_without_a_login() {
    let (clock, service, directory) = world();
    let file = directory.path().join("login.json");
    log_in(&device(&clock, directory.path()), &service, "ann").unwrap();
    let whole = fs::read_to_string(&file).unwrap();
    let damages = [
        String::new(),
        whole[..whole.len() / 2].to_owned(),
        whole.replace(r#""version":1"#, r#""version":2"#),
        whole.replacen("MII", "MIJ", 1),
    ];
    for damage in damages {
        fs::write(&file, &damage).unwrap();
        let database = device(&clock, directory.path());
        assert_eq!(database.auth_status(), AuthStatus::default());
        assert_eq!(fs::read_to_string(&file).unwrap(), damage);
    }
}

#[test]
fn a_directory_that_was_copied_is_logged_in_nowhere() {
    let service = Service::new(&Clock::of_machine());
    service.admit("ann", 8, (EVERYTHING, EVERYTHING));
    let base = tempfile::tempdir().unwrap();
    let (here, there) = (base.path().join("a"), base.path().join("b"));
    let open = |path| Database::open(Options::directory(DATABASE, path)).unwrap();
    let database = open(&here);
    log_in(&database, &service, "ann").unwrap();
    database.close();
    copy(&here, &there);
    assert!(open(&here).auth_status().is_authenticated);
    let copied = open(&there);
    assert_eq!(copied.auth_status(), AuthStatus::default());
    // The documents in it are still those of their user.
    service.admit("bob", 8, (EVERYTHING, EVERYTHING));
    let refused = log_in(&copied, &service, "bob").unwrap_err();
    assert!(matches!(refused, LoginError::OtherUser { .. }), "{refused}");
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_store_is_its_first_users_until_it_is_cleared() {
    let (clock, service, directory) = world();
    let database = device(&clock, directory.path());
    insert(&database);
    assert_eq!(database.bound_user().unwrap(), None);
    log_in(&database, &service, "ann").unwrap();
    let refused = log_in(&database, &service, "bob").unwrap_err().to_string();
    let told = "the documents here belong to the user ann and the login is of bob: open a database in another directory for bob, or log out and clear this one";
    assert_eq!(refused, told);
    assert_eq!(database.auth_status().user_id.as_deref(), Some("ann"));
    assert!(matches!(database.clear(), Err(ClearError::LoggedIn)));

    let mut seen = 0;
    database
        .logout_and(|database| seen = cars(database))
        .unwrap();
    assert_eq!(seen, 1);
    assert_eq!(database.auth_status(), AuthStatus::default());
    assert!(!directory.path().join("login.json").exists());
    assert_eq!(database.bound_user().unwrap().as_deref(), Some("ann"));
    assert!(log_in(&database, &service, "bob").is_err());
    log_in(&database, &service, "ann").unwrap();
    database.logout().unwrap();

    let before = database.snapshot().log_id();
    database.clear().unwrap();
    assert_eq!(cars(&database), 0);
    assert_ne!(database.snapshot().log_id(), before);
    log_in(&database, &service, "bob").unwrap();
    assert_eq!(database.bound_user().unwrap().as_deref(), Some("bob"));
}

#[test]
fn a_login_of_the_device_itself_binds_nothing_and_is_another_than_a_users() {
    let (clock, service, directory) = world();
    let database = device(&clock, directory.path());
    let outcome = log_in(&database, &service, "playground").unwrap();
    assert!(outcome.user_id.starts_with("pk:"));
    assert_eq!(database.bound_user().unwrap(), None);
    log_in(&database, &service, "ann").unwrap();
    let refused = log_in(&database, &service, "playground").unwrap_err();
    assert!(matches!(refused, LoginError::OtherUser { .. }), "{refused}");
}

#[test]
fn t10_a_clock_that_is_wrong_is_told_apart_from_everything_else() {
    let (clock, service, directory) = world();
    let device_clock = Clock::at(NOW_MS);
    let database = device(&device_clock, directory.path());
    device_clock.set(NOW_MS - LEAF_BACKDATE_MS - 5 * 60 * 1000);
    let refused = log_in(&database, &service, "ann").unwrap_err();
    assert!(
        matches!(refused, LoginError::ClockBehind { .. }),
        "{refused}"
    );
    assert!(
        refused.to_string().contains("at least 65 minutes behind"),
        "{refused}"
    );
    device_clock.set(NOW_MS + 9 * HOUR_MS);
    let refused = log_in(&database, &service, "ann").unwrap_err();
    assert!(
        matches!(refused, LoginError::ClockAhead { .. }),
        "{refused}"
    );
    assert!(refused.to_string().contains("60 minutes ago"), "{refused}");
    // Nothing was kept, and a clock within the tolerance is let in.
    assert_eq!(database.bound_user().unwrap(), None);
    device_clock.set(clock.unix_ms() - LEAF_BACKDATE_MS / 2);
    log_in(&database, &service, "ann").unwrap();
}

#[test]
fn t13_what_does_not_fit_this_device_is_refused_before_anything_is_kept() {
    let (clock, service, directory) = world();
    let database = device(&clock, directory.path());
    let refused = |service: &Service| {
        let refused = log_in(&database, service, "ann").unwrap_err();
        assert_eq!(database.auth_status(), AuthStatus::default());
        assert_eq!(database.bound_user().unwrap(), None);
        refused.to_string()
    };
    // The certificate of another device.
    let other = tempfile::tempdir().unwrap();
    let other = device(&clock, other.path());
    log_in(&other, &service, "ann").unwrap();
    let stolen = fs::read(directory.path().join("peer.key")).unwrap();
    assert!(PeerKeyPair::from_pkcs8(&stolen).is_ok());
    let foreign = Mutex::new(None);
    let foreign = Arc::new(foreign);
    let kept = Arc::clone(&foreign);
    service.meddle(move |reply| *kept.lock().unwrap() = Some(reply.clone()));
    log_in(&other, &service, "ann").unwrap();
    let of_other = foreign.lock().unwrap().clone().unwrap();
    service.meddle(move |reply| reply.certificate = of_other.certificate.clone());
    assert!(refused(&service).contains("another peer key"));
    service.meddle(|reply| reply.user_id = "bob".to_owned());
    assert!(refused(&service).contains("another user"));
    service.meddle(|reply| reply.expires_ms += 1000);
    assert!(refused(&service).contains("another end"));
    let stranger = Authority::generate().unwrap().public().clone();
    service.meddle(move |reply| reply.authorities = vec![stranger.clone()]);
    assert!(
        refused(&service).contains("no peer accepts: the certificate was signed by another key")
    );
    service.meddle(|reply| reply.certificate.truncate(100));
    assert!(refused(&service).contains("malformed"));
}

#[test]
fn whatever_a_service_answers_is_told_apart() {
    let (clock, service, directory) = world();
    let database = device(&clock, directory.path());
    let refused = log_in(&database, &service, "nobody").unwrap_err();
    let LoginError::Refused { client_info, .. } = &refused else {
        panic!("{refused}");
    };
    assert_eq!(client_info, &Value::from("try the front desk"));
    let neutral = r#"{"error":{"code":"c","message":"m"}}"#;
    let cases = [
        (302, "", "a token is not sent on"),
        (400, neutral, "did not take the login (c): m"),
        (401, neutral, "the login was refused (c): m"),
        (
            401,
            "<html>",
            "answered with status 401: this is not an identity service",
        ),
        (404, neutral, "answered with status 404"),
        (429, "", "try again in 7 s"),
        (502, "", "could not decide (status 502)"),
        (200, "<html>", "it is no JSON"),
        (200, "{}", "challenge: it is missing"),
    ];
    for (status, body, told) in cases {
        service.fail_with(status, body);
        let refused = log_in(&database, &service, "ann").unwrap_err().to_string();
        assert!(refused.contains(told), "{status} {body}: {refused}");
    }
}

#[test]
fn a_token_goes_to_whom_the_roots_vouch_for_and_to_nobody_else() {
    let service = Service::new(&Clock::of_machine());
    service.admit("ann", 8, (EVERYTHING, EVERYTHING));
    let database = Database::open(Options::memory(DATABASE)).unwrap();
    let files = tempfile::tempdir().unwrap();
    let (pem, config) = own_root();
    let (foreign_pem, _) = own_root();
    let root = |name: &str, pem: &str| {
        let path = files.path().join(name);
        fs::write(&path, pem).unwrap();
        Some(path)
    };
    let listener = Listener::start(&service, Some(config));
    let mut server = AuthServer::new(format!("https://localhost:{}", listener.address.port()));
    for ca_file in [None, root("foreign.pem", &foreign_pem)] {
        server.ca_file = ca_file;
        let refused = database.login(&server, "ann", "my-auth").unwrap_err();
        let is_tls = matches!(&refused, LoginError::Service(ServiceError::Tls { .. }));
        assert!(is_tls, "{refused:?}");
    }
    for (name, pem) in [("none.pem", ""), ("text.pem", "not PEM")] {
        server.ca_file = root(name, pem);
        let refused = database.login(&server, "ann", "my-auth").unwrap_err();
        assert!(refused.to_string().contains(name), "{refused}");
    }
    assert_eq!(service.asked.load(std::sync::atomic::Ordering::SeqCst), 0);
    server.ca_file = root("own.pem", &pem);
    let outcome = database.login(&server, "ann", "my-auth").unwrap();
    assert_eq!(outcome.user_id, "ann");
}

#[test]
fn plain_http_is_spoken_with_this_machine_and_redirects_are_not_followed() {
    let service = Service::new(&Clock::of_machine());
    service.admit("ann", 8, (EVERYTHING, EVERYTHING));
    let listener = Listener::start(&service, None);
    let database = Database::open(Options::memory(DATABASE)).unwrap();
    let server = AuthServer::new(listener.url());
    assert_eq!(
        database.login(&server, "ann", "my-auth").unwrap().user_id,
        "ann"
    );
    service.fail_with(307, "");
    let refused = database.login(&server, "ann", "my-auth").unwrap_err();
    assert!(matches!(
        refused,
        LoginError::Redirected { status: 307, .. }
    ));
    drop(listener);
    let refused = database.login(&server, "ann", "my-auth").unwrap_err();
    let is_gone = matches!(&refused, LoginError::Service(ServiceError::Connect { .. }));
    assert!(is_gone && refused.may_pass(), "{refused:?}");
    let away = AuthServer::new("http://192.0.2.1");
    let refused = database.login(&away, "ann", "my-auth").unwrap_err();
    assert!(matches!(refused, LoginError::Url(_)));
}
