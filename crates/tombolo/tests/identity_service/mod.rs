//! A small identity service of the pure parts alone: asked within the process, or
//! over HTTP and HTTPS on this machine. Who may come in stands in a table.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test program uses a part of it, and one that cannot be set up has failed"
)]

pub mod http;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use tombolo::engine::MemoryEngine;
use tombolo::login::{Answer, Ask, LoginService, Origin, ServiceError};
use tombolo::{
    Database, LoginError, LoginOutcome, ObserverDriver, Options, SiteId, Surroundings, Timekeeper,
    Value,
};

use tombolo_identity::{
    Authority, ChallengeKey, Granted, LoginRefusal, LoginReply, LoginRequest, ProviderAnswer,
    render_challenge,
};

pub const DATABASE: &str = "3f1f1f5e-0000-4000-8000-000000000000";
pub const NOW_MS: u64 = 1_795_000_000_000;
pub const HOUR_MS: u64 = 3600 * 1000;

/// A clock of the day that the test sets, and a monotonic one that runs.
#[derive(Clone)]
pub struct Clock {
    unix_ms: Arc<AtomicU64>,
    start: Instant,
}

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "sessions wait by a clock that runs"
    )]
    pub fn at(unix_ms: u64) -> Self {
        Self {
            unix_ms: Arc::new(AtomicU64::new(unix_ms)),
            start: Instant::now(),
        }
    }

    /// The machine's, once: for a database that has no other.
    #[expect(
        clippy::disallowed_methods,
        reason = "a database of a program goes by the machine's clock"
    )]
    pub fn of_machine() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self::at(since.unwrap().as_millis() as u64)
    }

    pub fn set(&self, unix_ms: u64) {
        self.unix_ms.store(unix_ms, Ordering::SeqCst);
    }

    pub fn advance(&self, ms: u64) {
        self.unix_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Timekeeper for Clock {
    fn unix_ms(&self) -> u64 {
        self.unix_ms.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// What becomes of a reply before it leaves.
pub type Meddle = Box<dyn Fn(&mut LoginReply) + Send + Sync>;

pub struct Service {
    database_id: &'static str,
    pub authority: Authority,
    challenges: ChallengeKey,
    pub clock: Clock,
    nonce: AtomicU64,
    /// What a provider answers for a token.
    pub answers: Mutex<BTreeMap<String, String>>,
    pub revocations: Mutex<Option<Vec<u8>>>,
    pub meddle: Mutex<Option<Meddle>>,
    /// Answered to everything, if it is there.
    pub failure: Mutex<Option<Answer>>,
    pub asked: AtomicU64,
}

impl Service {
    pub fn new(clock: &Clock) -> Arc<Self> {
        Self::of(DATABASE, clock)
    }

    pub fn of(database_id: &'static str, clock: &Clock) -> Arc<Self> {
        Arc::new(Self {
            database_id,
            authority: Authority::generate().unwrap(),
            challenges: ChallengeKey::new(&[7; 32]),
            clock: clock.clone(),
            nonce: AtomicU64::new(0),
            answers: Mutex::default(),
            revocations: Mutex::default(),
            meddle: Mutex::default(),
            failure: Mutex::default(),
            asked: AtomicU64::new(0),
        })
    }

    /// Lets `user` in by a token of that name, for `hours`, with these rules as JSON.
    pub fn admit(&self, user: &str, hours: u64, (read, write): (&str, &str)) {
        let answer = format!(
            r#"{{"authenticated":true,"userID":"{user}","expirationSeconds":{},"clientInfo":{{"hello":"{user}"}},"permissions":{{"read":{read},"write":{write}}}}}"#,
            hours * 3600
        );
        self.answers.lock().unwrap().insert(user.to_owned(), answer);
    }

    pub fn fail_with(&self, status: u16, body: &str) {
        *self.failure.lock().unwrap() = Some(Answer {
            status,
            retry_after_s: (status == 429).then_some(7),
            body: body.as_bytes().to_vec(),
        });
    }

    pub fn meddle(&self, meddle: impl Fn(&mut LoginReply) + Send + Sync + 'static) {
        *self.meddle.lock().unwrap() = Some(Box::new(meddle));
    }

    pub fn respond(&self, ask: Ask<'_>) -> Answer {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if let Some(failure) = &*self.failure.lock().unwrap() {
            return failure.clone();
        }
        let (status, body) = match ask {
            Ask::Challenge => (200, self.challenge()),
            Ask::Login(body) => self.login(body),
        };
        Answer {
            status,
            retry_after_s: None,
            body,
        }
    }

    fn challenge(&self) -> Vec<u8> {
        let mut nonce = [0; 16];
        let number = self.nonce.fetch_add(1, Ordering::SeqCst);
        nonce[..8].copy_from_slice(&number.to_be_bytes());
        let now_ms = self.clock.unix_ms();
        let challenge = self.challenges.challenge(self.database_id, nonce, now_ms);
        render_challenge(&challenge.unwrap())
    }

    fn login(&self, body: &[u8]) -> (u16, Vec<u8>) {
        let now_ms = self.clock.unix_ms();
        let request = LoginRequest::parse(body).unwrap();
        let proven = self
            .challenges
            .prove(request.challenge, &request.database_id, now_ms);
        let answer = self.answers.lock().unwrap().get(&*request.token).cloned();
        let mut answer =
            answer.map(|text| ProviderAnswer::parse(text.as_bytes(), &request.provider));
        if let (Ok(proven), "playground") = (&proven, request.token.as_str()) {
            let granted = Granted::playground(proven.peer_key());
            answer = Some(Ok(ProviderAnswer::Granted(Box::new(granted))));
        }
        let (Ok(proven), Some(Ok(ProviderAnswer::Granted(granted)))) = (proven, answer) else {
            let refusal = LoginRefusal {
                code: "refused".to_owned(),
                message: "the login was refused".to_owned(),
                client_info: Value::from("try the front desk"),
            };
            return (401, refusal.render());
        };
        let user_id = granted.identity().user_id().to_owned();
        let certificate = self
            .authority
            .issue(proven.grant(*granted), now_ms)
            .unwrap();
        let mut reply = LoginReply {
            certificate: certificate.der().to_vec(),
            authorities: vec![self.authority.public().clone()],
            expires_ms: certificate.expires_ms(),
            user_id,
            token: "issued-token-s3cret".to_owned(),
            client_info: certificate.client_info().clone(),
            revocations: self.revocations.lock().unwrap().clone(),
        };
        if let Some(meddle) = &*self.meddle.lock().unwrap() {
            meddle(&mut reply);
        }
        (200, reply.render())
    }
}

/// Asked within the process.
pub struct Door<'s>(pub &'s Service);

impl LoginService for Door<'_> {
    fn ask(&mut self, ask: Ask<'_>) -> Result<Answer, ServiceError> {
        Ok(self.0.respond(ask))
    }
}

pub fn log_in(
    database: &Database,
    service: &Service,
    user: &str,
) -> Result<LoginOutcome, LoginError> {
    let origin = Origin::new("http://127.0.0.1", "my-auth");
    database.login_through(&mut Door(service), origin, user)
}

/// A device whose clock the test holds, with what it keeps in `directory`.
pub fn device(clock: &Clock, directory: &std::path::Path) -> Database {
    device_of(DATABASE, clock, directory)
}

pub fn device_of(database_id: &str, clock: &Clock, directory: &std::path::Path) -> Database {
    driven(ObserverDriver::Caller, (database_id, clock), directory)
}

pub fn driven(
    driver: ObserverDriver,
    (database_id, clock): (&str, &Clock),
    directory: &std::path::Path,
) -> Database {
    opened(driver, Options::memory(database_id), clock, directory)
}

pub fn opened(
    driver: ObserverDriver,
    options: Options,
    clock: &Clock,
    directory: &std::path::Path,
) -> Database {
    let mut drawn = 0_u128;
    let entropy = move || {
        drawn += 1;
        // Spread over all bits, and repeatable.
        (drawn.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)).to_be_bytes()
    };
    let engine = Arc::new(MemoryEngine::new());
    let site = SiteId([0; 16]);
    let mut surroundings = Surroundings::new(engine, Arc::new(clock.clone()), entropy, site)
        .on_device(&options.database_id, directory)
        .unwrap();
    surroundings.observers = driver;
    Database::open_with(options, surroundings).unwrap()
}

/// Rules as JSON.
pub const EVERYTHING: &str = r#"{"everything":true,"queriesByCollection":{}}"#;
pub const NOTHING: &str = r#"{"everything":false,"queriesByCollection":{}}"#;

pub fn only(queries: &str) -> String {
    format!(r#"{{"everything":false,"queriesByCollection":{queries}}}"#)
}
