//! Logging in to an identity service: who the user is, what the device proves
//! itself with to peers, and for how long.
//!
//! A login changes nothing before it has succeeded in all. Without one, and
//! after its end, documents are read and written as before; they only stay here.

mod binding;
mod credentials;
mod device;
mod error;
mod exchange;
mod https;
mod keeper;
mod purge;
mod revoked;
mod rights;
mod schedule;
mod server;
mod service;
mod shell;
mod status;

use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Duration;

use tombolo_document::Value;
use tombolo_identity::{LoginReply, PeerKeyPair, Quoted, Trust};
use tombolo_query::Source;
use zeroize::Zeroizing;

use crate::database::Database;
use crate::error::ExecuteError;
use crate::replication::Host;
use crate::surroundings::{Device, ObserverDriver};
use crate::sync::SyncShell;

pub use credentials::{Credentials, CredentialsError, Origin};
pub use device::{kept_credentials, read_device_key};
pub use error::LoginError;
pub use exchange::{Applicant, Granted, check_reply, fetch_challenge, send_login};
pub use https::HttpsService;
pub use server::{AUTH_URL_BYTES_MAX, AuthServer, AuthUrlError};
pub use service::{Answer, Ask, LoginService, ServiceError};
pub use status::{AUTH_OBSERVERS_MAX, AuthObserver, AuthStatus};

pub(crate) use https::tls as web_tls;
pub(crate) use rights::{Outside, OwnRights};
pub(crate) use shell::LoginShell;

/// What a login gave.
#[derive(Debug, Clone, PartialEq)]
pub struct LoginOutcome {
    /// Whom the provider recognized.
    pub user_id: String,
    /// When the certificate ends, in unix milliseconds.
    pub expires_ms: u64,
    /// What the provider wants the application to know; null for nothing.
    pub client_info: Value,
}

/// Why a database was not cleared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClearError {
    /// The caller's: somebody is logged in.
    #[error("somebody is logged in: log out first")]
    LoggedIn,
    /// The caller's: documents would come back while they are removed.
    #[error("sync is running: stop it first")]
    SyncActive,
    /// The store failed, or is busy.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
}

impl LoginShell {
    /// The login of a database that is being opened.
    pub(crate) fn open(
        executor: &Arc<crate::database::Executor>,
        sync: &Arc<SyncShell>,
        (database_id, device): (&str, Option<&Device>),
        driver: ObserverDriver,
    ) -> std::io::Result<Self> {
        let directory = device.and_then(|device| device.directory.clone());
        let file = credentials::CredentialsFile::new(directory);
        let keeper = keeper::Keeper::new(Arc::clone(executor), Arc::downgrade(sync), file);
        if let Some(device) = device {
            keeper.take_up(database_id, &device.key);
        }
        let shell = Self::new(keeper, driver);
        shell.wake()?;
        Ok(shell)
    }
}

impl Database {
    /// Logs in: `provider` recognizes the user by `token`, and this device gets a
    /// certificate for its own key. Waits for it, a minute at most. The first
    /// login of a user, who is more than the device's key, binds the documents here. Sync that runs goes on with
    /// the new certificate, and sync that the end of the old one stopped runs again.
    ///
    /// # Errors
    /// [`LoginError`]; nothing changed then.
    pub fn login(
        &self,
        server: &AuthServer,
        token: &str,
        provider: &str,
    ) -> Result<LoginOutcome, LoginError> {
        // The client must not run in an asynchronous task, which the caller may be.
        thread::scope(|scope| {
            let builder = thread::Builder::new().name("tombolo-login-call".to_owned());
            let call = builder.spawn_scoped(scope, || {
                let mut service = HttpsService::new(server)?;
                let origin = Origin::new(server.to_string(), provider);
                self.login_through(&mut service, origin, token)
            });
            let joined = call.map_err(LoginError::Thread)?.join();
            joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// As [`Database::login`], through a service that the caller brings.
    ///
    /// # Errors
    /// [`LoginError`]; nothing changed then.
    pub fn login_through(
        &self,
        service: &mut dyn LoginService,
        origin: Origin,
        token: &str,
    ) -> Result<LoginOutcome, LoginError> {
        self.login_by(origin, token, |applicant| {
            let challenge = fetch_challenge(service)?;
            send_login(service, challenge, applicant)
        })
    }

    /// Takes what the identity service of this very node issued for its key.
    /// `issue` is called once.
    ///
    /// # Errors
    /// [`LoginError`], also that of `issue`; nothing changed then.
    pub fn login_as_service(
        &self,
        issue: impl FnOnce(&PeerKeyPair) -> Result<LoginReply, LoginError>,
    ) -> Result<LoginOutcome, LoginError> {
        let origin = Origin::new("this node", "__identityService");
        self.login_by(origin, "", |applicant| issue(&applicant.key))
    }

    fn login_by(
        &self,
        origin: Origin,
        token: &str,
        ask: impl FnOnce(&Applicant) -> Result<LoginReply, LoginError>,
    ) -> Result<LoginOutcome, LoginError> {
        if self.sync.runs_with_shared_key() {
            return Err(LoginError::SharedKeySync);
        }
        let keeper = &self.login.keeper;
        let alone = keeper.alone.lock().unwrap_or_else(PoisonError::into_inner);
        let applicant = self.applicant(&origin.provider, token)?;
        let reply = ask(&applicant)?;
        let granted = check_reply(reply, &applicant, origin, self.time().unix_ms())?;
        let outcome = self.adopt(granted)?;
        drop(alone);
        keeper.tell();
        if let Err(error) = self.login.wake() {
            tracing::error!(target: "tombolo::login", %error, "nobody will be asked to log in again before this certificate ends: the operating system cannot start another thread");
        }
        Ok(outcome)
    }

    fn applicant(&self, provider: &str, token: &str) -> Result<Applicant, LoginError> {
        let pkcs8 = self.peer_key.as_ref().and_then(|key| key.to_pkcs8());
        let pkcs8 = pkcs8.ok_or(LoginError::NoPeerKey)?;
        let key = PeerKeyPair::from_pkcs8(pkcs8.as_ref());
        Ok(Applicant {
            database_id: self.options.database_id.clone(),
            key: key.map_err(|_| LoginError::NoPeerKey)?,
            provider: provider.to_owned(),
            token: Zeroizing::new(token.to_owned()),
        })
    }

    /// Binds, evicts, keeps and uses what a login gave, in this order.
    fn adopt(&self, granted: Granted) -> Result<LoginOutcome, LoginError> {
        let Granted {
            credentials,
            client_info,
            revocations,
        } = granted;
        let user_id = credentials.user_id().to_owned();
        // A playground knows no users but devices, and a device that was restored
        // from a backup is another one with the same documents.
        let is_device = user_id == credentials.peer_key().to_string();
        let bound = match is_device {
            true => binding::owner(&self.snapshot())?.unwrap_or_else(|| user_id.clone()),
            false => binding::bind(&self.store, &user_id)?,
        };
        if bound != user_id {
            return Err(LoginError::OtherUser {
                bound: Quoted::new(&bound),
                asked: Quoted::new(&user_id),
            });
        }
        let expires_ms = credentials.expires_ms();
        let trust = credentials.trust().clone();
        self.take_over(credentials)?;
        tracing::info!(target: "tombolo::login", user_id, expires_ms, "logged in");
        if let Some(list) = &revocations {
            self.keep_revocations(list, &trust);
        }
        self.renew_sync();
        Ok(LoginOutcome {
            user_id,
            expires_ms,
            client_info,
        })
    }

    /// A list that came with a login. One that cannot be kept comes again, from
    /// the next login or the next peer.
    fn keep_revocations(&self, list: &[u8], trust: &Trust) {
        if let Err(error) = revoked::keep_newer(&Host::new(self), list, trust) {
            tracing::warn!(target: "tombolo::login", %error, "the list of revocations was not kept");
        }
    }

    /// Takes a signed list of who is cut off, from wherever it came: it counts at
    /// once, is kept, and is told to peers. One that is not newer changes nothing.
    ///
    /// # Errors
    /// Nobody is logged in, so nobody can tell whose list it is, or the store failed.
    pub fn adopt_revocations(&self, list: &[u8]) -> Result<(), LoginError> {
        let login = self.credentials();
        let login = login.ok_or(LoginError::NotLoggedIn)?;
        revoked::keep_newer(&Host::new(self), list, login.trust())?;
        self.recall_revocations();
        Ok(())
    }

    /// Stops sync and forgets what this device proves itself with. Documents stay,
    /// and stay the user's: the same one may log in again.
    ///
    /// # Errors
    /// What was kept could not be removed from the disk; sync is stopped all the
    /// same.
    pub fn logout(&self) -> Result<(), CredentialsError> {
        self.logout_and(|_| ())
    }

    /// As [`Database::logout`], and calls `clean_up` afterwards, which may evict
    /// what should not stay here.
    ///
    /// # Errors
    /// As for [`Database::logout`]; `clean_up` is not called then.
    pub fn logout_and(&self, clean_up: impl FnOnce(&Self)) -> Result<(), CredentialsError> {
        let keeper = &self.login.keeper;
        let alone = keeper.alone.lock().unwrap_or_else(PoisonError::into_inner);
        self.sync.leave();
        keeper.forget()?;
        drop(alone);
        tracing::info!(target: "tombolo::login", "logged out");
        keeper.tell();
        clean_up(self);
        Ok(())
    }

    /// Whose documents these are: who logged in first, also after a logout.
    ///
    /// # Errors
    /// The store failed.
    pub fn bound_user(&self) -> Result<Option<String>, ExecuteError> {
        Ok(binding::owner(&self.snapshot())?)
    }

    /// Removes all documents from this device, and makes it nobody's, so that
    /// anybody may log in. What was not sent to any peer is lost; peers keep what
    /// they have.
    ///
    /// # Errors
    /// [`ClearError`]. What was removed before the store failed stays removed, and
    /// the device stays the user's.
    pub fn clear(&self) -> Result<(), ClearError> {
        let keeper = &self.login.keeper;
        let _alone = keeper.alone.lock().unwrap_or_else(PoisonError::into_inner);
        if keeper.credentials().is_some() {
            return Err(ClearError::LoggedIn);
        }
        if self.is_sync_active() {
            return Err(ClearError::SyncActive);
        }
        let collections = Source::collections(&self.snapshot());
        let collections = collections.map_err(tombolo_query::QueryError::from);
        for collection in collections.map_err(ExecuteError::from)? {
            let name = collection.replace('`', "``");
            self.execute(
                &format!("EVICT FROM `{name}`"),
                tombolo_document::Object::new(),
            )?;
        }
        let unbound = self.store.write_and_wait(|transaction| {
            transaction.renew_identity()?;
            binding::unbind(transaction)
        });
        let unbound = unbound.map(drop).map_err(binding::flat);
        unbound.map_err(ExecuteError::from)?;
        Ok(())
    }

    /// Whether somebody is logged in now.
    #[must_use]
    pub fn auth_status(&self) -> AuthStatus {
        self.login.keeper.status()
    }

    /// Calls `callback` at every change of [`Database::auth_status`] from now on:
    /// on the thread that logs in or out, or on one of the database when a
    /// certificate ends. A slow callback holds up the others.
    ///
    /// # Errors
    /// [`ExecuteError::TooMany`] beyond [`AUTH_OBSERVERS_MAX`].
    pub fn observe_auth(
        &self,
        callback: impl Fn(&AuthStatus) + Send + Sync + 'static,
    ) -> Result<AuthObserver, ExecuteError> {
        self.login.keeper.observers.add(callback)
    }

    /// Has `handler` called when somebody should log in: with the time that is
    /// left, from half of a certificate's life on, and with none when a login is
    /// needed; at once, if nobody is logged in. It may log in itself, and is called
    /// again later if it did not succeed: after ten seconds, twice as long each
    /// time, an hour at most. It is not called after a logout. It runs on a thread
    /// of its own, one call at a time; let it hold the database weakly.
    ///
    /// # Errors
    /// The operating system cannot start another thread.
    pub fn set_expiration_handler(
        &self,
        handler: impl Fn(Duration) + Send + Sync + 'static,
    ) -> std::io::Result<()> {
        self.login.keeper.set_handler(Some(Arc::new(handler)));
        self.login.wake()
    }

    /// Has nobody called any more.
    pub fn clear_expiration_handler(&self) {
        self.login.keeper.set_handler(None);
    }

    /// Does what is due about the login, on this thread: for those who chose
    /// [`ObserverDriver::Caller`]; otherwise a thread of the database does it.
    /// Gives how long nothing will be due; `None`: until something happens.
    pub fn poll_auth(&self) -> Option<Duration> {
        if let Some(question) = self.login.keeper.poll() {
            question.ask();
        }
        self.login.keeper.quiet()
    }

    /// What the device proves itself with after a login.
    #[must_use]
    pub fn credentials(&self) -> Option<Arc<Credentials>> {
        self.login.keeper.credentials()
    }
}
