//! One node: a real database on a simulated disk, with a clock, randomness and a
//! name from the run.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tombolo::engine::FaultyDisk;
use tombolo::replication::Host;
use tombolo::{Database, ObserverDriver, Options, SiteId, Surroundings, Timekeeper};
use tombolo_identity::{Permissions, Revocations, VerifiedPeer};
use tombolo_store::Sidecar;
use tombolo_sync::record::{REVOCATIONS_KEY, read_revocations};
use tombolo_sync::wire::Stated;
use tombolo_sync::{Interests, Local, Standing};

use crate::authority::read_list;
use crate::clock::NodeClock;
use crate::holdings::Holdings;
use crate::identity::{DATABASE, peer};
use crate::mesh::WORK_US;
use crate::papers::Papers;
use crate::random::Random;
use crate::violation::Violation;

/// How far ahead a peer's write may be stamped, in every run.
pub(crate) const SKEW_LIMIT: Duration = Duration::from_secs(10);
/// Transactions are never rolled back because the machine is slow.
const TRANSACTION_LIMIT: Duration = Duration::from_secs(3_600);

/// How long an apply may be under way after it was asked for: other work of its
/// session may go before it.
pub(crate) const UNDER_WAY_US: u64 = 10 * WORK_US.end;

/// One node.
pub(crate) struct Node {
    /// Its key in the pool; the clone of a disk has that of its original.
    pub(crate) key: usize,
    pub(crate) disk: FaultyDisk,
    pub(crate) clock: Arc<NodeClock>,
    random: Arc<Mutex<Random>>,
    pub(crate) interests: Arc<Interests>,
    /// What it wanted before, and until when, in microseconds.
    former: Vec<(u64, Arc<Interests>)>,
    /// What it is in a world with rules.
    pub(crate) papers: Option<Papers>,
    /// Whom it lets in no more.
    pub(crate) revocations: Option<Revocations>,
    pub(crate) holdings: Holdings,
    pub(crate) running: Option<Running>,
    /// What it was at an earlier time.
    pub(crate) backup: Option<FaultyDisk>,
    /// Whether its disk was made to fail.
    pub(crate) is_faulty: bool,
}

/// What a node has while it has power.
pub(crate) struct Running {
    pub(crate) database: Database,
    pub(crate) host: Host,
    pub(crate) local: Arc<Local>,
    /// What its sessions were told last.
    pub(crate) announced: Standing,
    pub(crate) is_announcing: bool,
}

impl Node {
    pub(crate) fn new(key: usize, clock: NodeClock, random: Random) -> Self {
        Self {
            key,
            disk: FaultyDisk::new(),
            clock: Arc::new(clock),
            random: Arc::new(Mutex::new(random)),
            interests: Arc::default(),
            former: Vec::new(),
            papers: None,
            revocations: None,
            holdings: Holdings::default(),
            running: None,
            backup: None,
            is_faulty: false,
        }
    }

    /// Gives it power with a copy on its disk. With a key of its own it knows what
    /// it is, as a directory does whose marker does not fit.
    pub(crate) fn start_copy(&mut self, key: usize) -> Result<(), Violation> {
        let knows = key != self.key;
        self.key = key;
        self.start()?;
        if let Some(running) = &mut self.running
            && knows
            && running.database.snapshot().last_commit() > 0
        {
            let renewed = running.host.renew_identity();
            renewed.map_err(|error| Violation::store(&error))?;
            running.announced = running.host.standing();
        }
        self.forget_holdings()
    }

    /// Takes what is on its disk for all it ever held.
    fn forget_holdings(&mut self) -> Result<(), Violation> {
        self.holdings = Holdings::default();
        if let Some(running) = &self.running {
            self.holdings.look(&running.database.snapshot())?;
        }
        Ok(())
    }

    /// The node as others meet it.
    pub(crate) fn peer(&self) -> &VerifiedPeer {
        match &self.papers {
            Some(papers) => &papers.certificate,
            None => peer(self.key),
        }
    }

    /// Wants something else.
    pub(crate) fn want(&mut self, interests: Arc<Interests>) {
        let now_us = self.clock.monotonic().as_micros() as u64;
        self.former
            .retain(|(until_us, _)| until_us + UNDER_WAY_US >= now_us);
        let former = std::mem::replace(&mut self.interests, interests);
        self.former.push((now_us, former));
    }

    /// What it wants, and what it wanted when what is under way was asked for.
    pub(crate) fn interests_now(&self) -> impl Iterator<Item = &Interests> {
        let now_us = self.clock.monotonic().as_micros() as u64;
        let former = self.former.iter();
        let former = former.filter(move |(until_us, _)| until_us + UNDER_WAY_US >= now_us);
        former
            .map(|(_, interests)| &**interests)
            .chain([&*self.interests])
    }

    /// Gives it power: opens what is on the disk.
    pub(crate) fn start(&mut self) -> Result<(), Violation> {
        let site = SiteId::derive(DATABASE, self.peer().peer_key().as_bytes());
        let random = Arc::clone(&self.random);
        let entropy = move || {
            let mut random = random.lock().unwrap_or_else(PoisonError::into_inner);
            let halves = [random.next().to_be_bytes(), random.next().to_be_bytes()];
            let mut drawn = [0; 16];
            drawn.copy_from_slice(halves.as_flattened());
            drawn
        };
        let engine = Arc::new(self.disk.open());
        let mut surroundings = Surroundings::new(engine, self.clock.clone(), entropy, site);
        surroundings.observers = ObserverDriver::Caller;
        let mut options = Options::memory(DATABASE);
        options.skew_limit = SKEW_LIMIT;
        options.transaction_limit = TRANSACTION_LIMIT;
        let database = Database::open_with(options, surroundings);
        let database = database.map_err(|error| Violation::store(&error))?;
        let host = Host::new(&database);
        let secret = host.secret().map_err(|error| Violation::store(&error))?;
        let local = Local {
            database_id: DATABASE.to_owned(),
            permissions: match self.is_liar() {
                true => Permissions::everything(),
                false => self.peer().permissions().clone(),
            },
            device_name: format!("node {}", self.key),
            os: "simulated".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            metadata: Vec::new(),
            is_server: false,
            secret,
            skew_limit_ms: SKEW_LIMIT.as_millis() as u64,
        };
        if self.papers.is_some() {
            let record = database
                .snapshot()
                .sidecar(Sidecar::Sessions, REVOCATIONS_KEY);
            let record = record.map_err(|error| Violation::store(&error))?;
            let list = record.as_deref().and_then(read_revocations);
            self.revocations = list.and_then(read_list);
        }
        let announced = host.standing();
        self.running = Some(Running {
            database,
            host,
            local: Arc::new(local),
            announced,
            is_announcing: false,
        });
        Ok(())
    }

    /// Takes its power away, and with it what was not flushed.
    pub(crate) fn cut_power(&mut self, seed: u64) {
        self.disk.power_cut(seed);
        self.running = None;
        self.is_faulty = false;
    }
}

/// Interests from statements.
pub(crate) fn interests(statements: &[String]) -> Arc<Interests> {
    let stated = statements.iter().map(|statement| Stated {
        statement: statement.clone(),
        arguments: tombolo::Object::new(),
    });
    let (interests, verdicts) = Interests::new(stated.collect());
    debug_assert!(verdicts.iter().all(Result::is_ok), "{statements:?}");
    Arc::new(interests)
}
