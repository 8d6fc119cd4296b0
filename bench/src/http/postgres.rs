//! PostgreSQL as a rival: a cluster in a temporary directory, and a pool of prepared statements.
//! It runs with its own defaults, so every insert is durable before it is acknowledged.
//! The cluster is stopped and its directory removed when it is dropped.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls, Statement};

use crate::error::BenchError;

/// As many sessions as the load has connections, so that none waits for another.
const SESSIONS: usize = 64;

/// Where Debian and the source build put the programs.
const PROGRAM_DIRECTORIES: &[&str] = &[
    "/usr/local/bin",
    "/usr/lib/postgresql/15/bin",
    "/usr/lib/postgresql/16/bin",
    "/usr/bin",
];

/// PostgreSQL refuses to run as the superuser; one of these runs it then.
const USERS: &[&str] = &["postgres", "nobody"];

const SETTINGS: &str = "-c listen_addresses= -c shared_buffers=256MB -c max_connections=100";

/// Sessions with their statements prepared.
pub(super) struct Pool {
    sessions: Vec<(Client, Statement, Statement)>,
    next: AtomicUsize,
}

impl Pool {
    /// Opens the sessions and the table.
    pub(super) async fn connect(connection: &str) -> Result<Self, BenchError> {
        let mut sessions = Vec::new();
        for _ in 0..SESSIONS {
            let (client, driver) = tokio_postgres::connect(connection, NoTls).await?;
            tokio::spawn(driver);
            if sessions.is_empty() {
                client.batch_execute("CREATE TABLE IF NOT EXISTS orders (id text PRIMARY KEY, document jsonb NOT NULL)").await?;
            }
            let insert = client
                .prepare("INSERT INTO orders VALUES ($1, $2::text::jsonb)")
                .await?;
            let read = client
                .prepare("SELECT document::text FROM orders WHERE id = $1")
                .await?;
            sessions.push((client, insert, read));
        }
        Ok(Self {
            sessions,
            next: AtomicUsize::new(0),
        })
    }

    /// Inserts one document and waits until it is durable.
    pub(super) async fn insert(&self, id: &str, body: &Bytes) -> Result<Bytes, BenchError> {
        let (client, insert, _) = self.session();
        let text = std::str::from_utf8(body).unwrap_or_default();
        client.execute(insert, &[&id, &text]).await?;
        Ok(Bytes::from_static(
            br#"{"mutatedDocumentIds":["order-00000000"]}"#,
        ))
    }

    /// Reads one document.
    pub(super) async fn read(&self, id: &str) -> Result<Bytes, BenchError> {
        let (client, _, read) = self.session();
        let row = client.query_one(read, &[&id]).await?;
        Ok(Bytes::from(row.get::<_, String>(0)))
    }

    fn session(&self) -> &(Client, Statement, Statement) {
        &self.sessions[self.next.fetch_add(1, Ordering::Relaxed) % self.sessions.len()]
    }
}

/// A running cluster.
pub(super) struct Cluster {
    directory: TempDir,
    programs: PathBuf,
    user: Option<u32>,
}

impl Cluster {
    /// Makes and starts a cluster that listens on a socket in its own directory.
    pub(super) fn start() -> Result<Self, BenchError> {
        let programs = PROGRAM_DIRECTORIES
            .iter()
            .map(PathBuf::from)
            .find(|path| path.join("initdb").exists());
        let programs = programs
            .ok_or_else(|| start_error("initdb", "not found; apt-get install postgresql-15"))?;
        let directory =
            tempfile::tempdir().map_err(|error| start_error("initdb", &error.to_string()))?;
        let cluster = Self {
            user: unprivileged_user(directory.path())?,
            directory,
            programs,
        };
        let data = cluster.data();
        cluster.call("initdb", &["-D", &data, "-A", "trust", "-U", "postgres"])?;
        let options = format!("{SETTINGS} -k {}", cluster.directory.path().display());
        let log = cluster.directory.path().join("log").display().to_string();
        cluster.call(
            "pg_ctl",
            &["-w", "-D", &data, "-o", &options, "-l", &log, "start"],
        )?;
        Ok(cluster)
    }

    /// How a client connects.
    pub(super) fn connection(&self) -> String {
        format!(
            "host={} user=postgres dbname=postgres",
            self.directory.path().display()
        )
    }

    /// Process id of the server.
    pub(super) fn process_id(&self) -> u32 {
        let text = std::fs::read_to_string(Path::new(&self.data()).join("postmaster.pid"))
            .unwrap_or_default();
        text.lines()
            .next()
            .and_then(|line| line.parse().ok())
            .unwrap_or(0)
    }

    /// Number of documents that the table holds.
    pub(super) async fn count(&self) -> Result<u64, BenchError> {
        let (client, driver) = tokio_postgres::connect(&self.connection(), NoTls).await?;
        let driver = tokio::spawn(driver);
        let row = client.query_one("SELECT count(*) FROM orders", &[]).await?;
        driver.abort();
        Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or(0))
    }

    fn data(&self) -> String {
        self.directory.path().join("data").display().to_string()
    }

    fn call(&self, program: &str, arguments: &[&str]) -> Result<(), BenchError> {
        let mut command = Command::new(self.programs.join(program));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some(user) = self.user {
            command.uid(user);
        }
        let status = command
            .status()
            .map_err(|error| start_error(program, &error.to_string()))?;
        if status.success() {
            Ok(())
        } else {
            Err(start_error(program, &status.to_string()))
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let data = self.data();
        // The directory goes in any case; a server that does not stop loses it and ends by itself.
        let _ = self.call("pg_ctl", &["-D", &data, "-m", "immediate", "stop"]);
    }
}

/// The user to run as, if we are the superuser; it is handed the directory.
fn unprivileged_user(directory: &Path) -> Result<Option<u32>, BenchError> {
    use std::os::unix::fs::MetadataExt;
    let ours = std::fs::metadata(directory).map(|metadata| metadata.uid());
    if ours.is_ok_and(|uid| uid != 0) {
        return Ok(None);
    }
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let user = USERS.iter().find_map(|user| {
        let line = accounts
            .lines()
            .find(|line| line.split(':').next() == Some(user))?;
        line.split(':').nth(2)?.parse::<u32>().ok()
    });
    let user = user.ok_or_else(|| start_error("initdb", "no unprivileged user to run it as"))?;
    std::os::unix::fs::chown(directory, Some(user), None)
        .map_err(|error| start_error("initdb", &error.to_string()))?;
    Ok(Some(user))
}

fn start_error(program: &str, reason: &str) -> BenchError {
    BenchError::Start {
        program: program.to_owned(),
        reason: reason.to_owned(),
    }
}
