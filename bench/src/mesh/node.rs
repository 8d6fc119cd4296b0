//! A node as a child process: a database with sync, told what to do by lines on its input.
//! Each line is answered by one line, `ok ...` or `error ...`; the end of the input is the end of the node.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use tombolo::{
    CommitListener, Database, DocumentId, Object, Observer, Options, Response, SharedKey,
    Subscription, SyncOptions, Value, json,
};
use tombolo_document::attachment::AttachmentToken;

use super::payload::{self, Payload};
use crate::error::BenchError;
use crate::machine::{self, Stopwatch};

const USAGE: &str = "usage: tombolo-bench node DIRECTORY SHARED_KEY";
const DATABASE: &str = "3f1f1f5e-0000-4000-8000-000000000000";
const COUNT: &str = "SELECT COUNT(*) AS count FROM orders";
const INSERT: &str = "INSERT INTO orders DOCUMENTS (:order)";
const ATTACH: &str =
    "INSERT INTO COLLECTION orders (file ATTACHMENT) DOCUMENTS ({'_id': :id, 'file': :file})";
/// Threads that fill a node, each document in a transaction of its own.
const LOADERS: u64 = 64;
/// Results that may wait to be looked at.
const RESULTS_MAX: usize = 1 << 16;
/// Documents of a sample.
const SAMPLE: u64 = 1_000;

struct Node {
    database: Database,
    key: SharedKey,
    /// When the newest commit was durable, in microseconds of the day's time.
    durable_us: Arc<AtomicU64>,
    held: Vec<Held>,
    /// What the observer of one document gave.
    seen: Option<Receiver<(String, u64)>>,
    /// What waits for an attachment; gives microseconds.
    fetching: Option<thread::JoinHandle<Result<u128, BenchError>>>,
}

/// What lives as long as the node.
enum Held {
    Subscription { _it: Subscription },
    Observer { _it: Observer },
    Listener { _it: CommitListener },
}

/// Serves until the input ends.
pub(crate) fn serve(arguments: &[String]) -> Result<(), BenchError> {
    let [directory, key] = arguments else {
        return Err(BenchError::Usage(USAGE));
    };
    let mut node = Node::open(directory, key)?;
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| wrong(&error))?;
        let words: Vec<&str> = line.split(' ').collect();
        let answer = match node.answer(&words) {
            Ok(answer) => format!("ok {answer}"),
            Err(error) => format!("error {error}"),
        };
        writeln!(std::io::stdout(), "{answer}").map_err(|error| wrong(&error))?;
    }
    Ok(())
}

impl Node {
    fn open(directory: &str, key: &str) -> Result<Self, BenchError> {
        let database = Database::open(Options::directory(DATABASE, directory))
            .map_err(|error| wrong(&error))?;
        let durable_us = Arc::new(AtomicU64::new(0));
        let note = Arc::clone(&durable_us);
        let listener = database
            .on_commit(move |_| note.store(machine::wall_us(), Ordering::SeqCst))
            .map_err(|error| wrong(&error))?;
        Ok(Self {
            database,
            key: SharedKey::parse(key).map_err(|error| wrong(&error))?,
            durable_us,
            held: vec![Held::Listener { _it: listener }],
            seen: None,
            fetching: None,
        })
    }

    fn answer(&mut self, words: &[&str]) -> Result<String, BenchError> {
        match words {
            ["load", payload, count] => load(&self.database, payload.parse()?, number(count)?),
            ["sync", servers @ ..] => self.sync(servers),
            ["meet", id] => self.meet(id),
            ["insert", id] => self.insert(id),
            ["receive", count] => self.receive(number(count)?),
            ["digest", count] => self.digest(number(count)?),
            ["watch", id] => self.watch(id),
            ["change", id, value] => self.change(id, value),
            ["await", value] => self.wait_for(value),
            ["attach", id, mib, seed] => self.attach(id, number(mib)?, number(seed)?),
            ["fetch", id] => self.fetch(id),
            ["fetching"] => Ok(self.is_fetching()),
            ["fetched"] => self.fetched(),
            _ => Err(wrong(&format!("unknown command {words:?}"))),
        }
    }

    /// Listens, dials, and answers with the address.
    fn sync(&self, servers: &[&str]) -> Result<String, BenchError> {
        let key = SharedKey::parse(&self.key.to_base64()).map_err(|error| wrong(&error))?;
        let mut options = SyncOptions::new(key);
        let any = "127.0.0.1:0".parse();
        options.listen = vec![any.map_err(|error| wrong(&error))?];
        options.known_tcp_servers = servers.iter().map(|server| (*server).to_owned()).collect();
        let started = self.database.start_sync(options);
        started.map_err(|error| wrong(&error))?;
        Ok(self.database.sync_addresses()[0].to_string())
    }

    fn subscription(&self, collection: &str) -> Result<Subscription, BenchError> {
        let statement = format!("SELECT * FROM {collection}");
        let made = self
            .database
            .register_subscription(&statement, Object::new());
        made.map_err(|error| wrong(&error))
    }

    /// Waits until a document of the collection `meetings` is here, which says that there is a session, and wants
    /// nothing more of that collection.
    fn meet(&self, id: &str) -> Result<String, BenchError> {
        let _subscription = self.subscription("meetings")?;
        let arguments = Object::from([("id".to_owned(), Value::from(id))]);
        let (_observer, results) = self.observe(
            "SELECT _id FROM meetings WHERE _id = :id",
            arguments,
            |response| response.items.len() as u64,
        )?;
        await_value(&results, 1)?;
        Ok(String::new())
    }

    fn insert(&self, id: &str) -> Result<String, BenchError> {
        let arguments = Object::from([("id".to_owned(), Value::from(id))]);
        self.run("INSERT INTO meetings DOCUMENTS ({'_id': :id})", arguments)?;
        Ok(String::new())
    }

    /// Subscribes to the orders and asks for COUNT(*) after each commit until all are here; answers with microseconds.
    fn receive(&mut self, count: u64) -> Result<String, BenchError> {
        let (told, commits) = sync_channel(1);
        let listener = self.database.on_commit(move |_| {
            // One that is not yet heard stands for all that follow.
            let _ = told.try_send(());
        });
        let _listener = listener.map_err(|error| wrong(&error))?;
        let watch = Stopwatch::start();
        let subscription = self.subscription("orders")?;
        while counted(&self.run(COUNT, Object::new())?) < count {
            commits.recv().map_err(|error| wrong(&error))?;
        }
        let us = watch.elapsed().as_micros();
        self.held.push(Held::Subscription { _it: subscription });
        Ok(us.to_string())
    }

    /// How many documents there are, and a hash over a sample of them as a SELECT gives it.
    fn digest(&self, count: u64) -> Result<String, BenchError> {
        let held = counted(&self.run(COUNT, Object::new())?);
        let mut hasher = DefaultHasher::new();
        for number in (0..count).step_by(count.div_ceil(SAMPLE).max(1) as usize) {
            let arguments = Object::from([("id".to_owned(), Value::from(payload::id(number)))]);
            let rows = self.run("SELECT * FROM orders WHERE _id = :id", arguments)?;
            let row = rows.items.first().map(json::print);
            row.ok_or_else(|| wrong(&format!("document {number} is missing")))?
                .hash(&mut hasher);
        }
        Ok(format!("{held} {:016x}", hasher.finish()))
    }

    /// Watches the status of one document from now on.
    fn watch(&mut self, id: &str) -> Result<String, BenchError> {
        let arguments = Object::from([("id".to_owned(), Value::from(id))]);
        let (observer, seen) = self.observe(
            "SELECT status FROM orders WHERE _id = :id",
            arguments,
            |response| (status(response), machine::wall_us()),
        )?;
        self.held.push(Held::Observer { _it: observer });
        self.seen = Some(seen);
        Ok(String::new())
    }

    /// Changes the status of one document; answers when that was asked for and when it was durable.
    fn change(&self, id: &str, value: &str) -> Result<String, BenchError> {
        let arguments = Object::from([
            ("id".to_owned(), Value::from(id)),
            ("value".to_owned(), Value::from(value)),
        ]);
        let began_us = machine::wall_us();
        self.run(
            "UPDATE orders SET status = :value WHERE _id = :id",
            arguments,
        )?;
        Ok(format!(
            "{began_us} {}",
            self.durable_us.load(Ordering::SeqCst)
        ))
    }

    /// Waits until the watched document has that status; answers when it was given.
    fn wait_for(&self, value: &str) -> Result<String, BenchError> {
        let seen = self.seen.as_ref();
        let seen = seen.ok_or_else(|| wrong(&"nothing is watched"))?;
        let found = seen.iter().find(|(status, _)| status == value);
        let (_, at_us) = found.ok_or_else(|| wrong(&"the observer ended"))?;
        Ok(at_us.to_string())
    }

    /// Keeps so many MiB and an order that refers to them.
    fn attach(&self, id: &str, mib: u64, seed: u64) -> Result<String, BenchError> {
        let mut writer = self
            .database
            .write_attachment()
            .map_err(|error| wrong(&error))?;
        for number in seed..seed + mib {
            let written = writer.write(&payload::noise(number));
            written.map_err(|error| wrong(&error))?;
        }
        let (attachment, length) = writer.finish().map_err(|error| wrong(&error))?;
        let token = AttachmentToken::new(attachment, length, BTreeMap::new());
        let token = token.map_err(|error| wrong(&error))?;
        let arguments = Object::from([
            ("id".to_owned(), Value::from(id)),
            ("file".to_owned(), token.to_value()),
        ]);
        self.run(ATTACH, arguments)?;
        Ok(String::new())
    }

    /// Begins to fetch what an order refers to, once it is here.
    fn fetch(&mut self, id: &str) -> Result<String, BenchError> {
        let arguments = Object::from([("id".to_owned(), Value::from(id))]);
        let (_observer, results) = self.observe(
            "SELECT _id FROM orders WHERE _id = :id",
            arguments,
            |response| response.items.len() as u64,
        )?;
        await_value(&results, 1)?;
        let document = DocumentId::from_value(&Value::from(id)).map_err(|error| wrong(&error))?;
        let watch = Stopwatch::start();
        let fetch = self
            .database
            .fetch_attachment("orders", &document, &["file"]);
        let mut fetch = fetch.map_err(|error| wrong(&error))?;
        self.fetching = Some(thread::spawn(move || {
            let fetched = fetch.wait(None).map_err(|error| wrong(&error))?;
            fetched.ok_or_else(|| wrong(&"the fetch ended"))?;
            Ok(watch.elapsed().as_micros())
        }));
        Ok(String::new())
    }

    fn is_fetching(&self) -> String {
        let is_over = self
            .fetching
            .as_ref()
            .is_none_or(|fetching| fetching.is_finished());
        u8::from(!is_over).to_string()
    }

    /// How long the fetch took, in microseconds.
    fn fetched(&mut self) -> Result<String, BenchError> {
        let fetching = self
            .fetching
            .take()
            .ok_or_else(|| wrong(&"nothing is fetched"))?;
        let fetched = fetching
            .join()
            .map_err(|_| wrong(&"the fetch panicked"))??;
        Ok(fetched.to_string())
    }

    fn run(&self, statement: &str, arguments: Object) -> Result<Response, BenchError> {
        execute(&self.database, statement, arguments)
    }

    /// Tells `look` of every result from now on.
    fn observe<T: Send + 'static>(
        &self,
        statement: &str,
        arguments: Object,
        look: fn(&Response) -> T,
    ) -> Result<(Observer, Receiver<T>), BenchError> {
        let (told, results) = sync_channel(RESULTS_MAX);
        let tell = move |result: Result<Response, _>| {
            if let Ok(response) = &result {
                // Whoever wants no more has dropped the other end.
                let _ = told.try_send(look(response));
            }
        };
        let observer = self
            .database
            .register_observer(statement, arguments, tell)
            .map_err(|error| wrong(&error))?;
        Ok((observer, results))
    }
}

/// Inserts so many documents, each in a commit of its own as devices do; answers with the bytes of their JSON.
fn load(database: &Database, payload: Payload, count: u64) -> Result<String, BenchError> {
    let loaded: Result<Vec<u64>, BenchError> = thread::scope(|scope| {
        let one = |first: u64| {
            let mut bytes = 0;
            for number in (first..count).step_by(LOADERS as usize) {
                bytes += payload.json(number).len() as u64;
                let order = Value::Object(payload.document(number));
                let arguments = Object::from([("order".to_owned(), order)]);
                execute(database, INSERT, arguments)?;
            }
            Ok(bytes)
        };
        let loaders: Vec<_> = (0..LOADERS)
            .map(|first| scope.spawn(move || one(first)))
            .collect();
        let joined = loaders.into_iter().map(|loader| {
            let done = loader.join();
            done.unwrap_or_else(|_| Err(wrong(&"a loader panicked")))
        });
        joined.collect()
    });
    Ok(loaded?.iter().sum::<u64>().to_string())
}

fn execute(
    database: &Database,
    statement: &str,
    arguments: Object,
) -> Result<Response, BenchError> {
    let done = database.execute(statement, arguments);
    done.map_err(|error| wrong(&error))
}

fn await_value(results: &Receiver<u64>, wanted: u64) -> Result<(), BenchError> {
    if results.iter().any(|value| value == wanted) {
        Ok(())
    } else {
        Err(wrong(&"the observer ended"))
    }
}

fn counted(response: &Response) -> u64 {
    match member(response, "count") {
        Some(Value::Int(count)) => u64::try_from(*count).unwrap_or(0),
        _ => 0,
    }
}

fn status(response: &Response) -> String {
    let status = member(response, "status").and_then(Value::as_str);
    status.unwrap_or_default().to_owned()
}

fn member<'r>(response: &'r Response, name: &str) -> Option<&'r Value> {
    match response.items.first() {
        Some(Value::Object(row)) => row.get(name),
        _ => None,
    }
}

fn number(text: &str) -> Result<u64, BenchError> {
    text.parse().map_err(|_| BenchError::Usage(USAGE))
}

fn wrong(error: &dyn std::fmt::Display) -> BenchError {
    BenchError::Wrong {
        contender: "node",
        detail: error.to_string(),
    }
}
