//! Keeps a node that joins its mesh by a login logged in: at the identity service of its configuration, or at its own.
//! The database says when; this file says where, tells the operator, and joins the mesh as soon as it can.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tombolo::{Database, LoginError, LoginOutcome, SyncError, SyncOptions, Value};
use tombolo_identity::{AuthorityKey, LoginReply, PeerKeyPair};

use crate::config::{Enrolment, LoginSettings};
use crate::edge::chain;
use crate::identity::IdentityService;
use crate::run::{RunError, join_mesh, say};

/// How often a node looks at what its own identity service says.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);

/// A node that logs in.
pub(crate) struct Member {
    database: Weak<Database>,
    road: Road,
    /// Taken when the mesh is joined: from then on the database goes on by itself.
    options: Mutex<Option<SyncOptions>>,
}

enum Road {
    Login(LoginSettings),
    OwnService(Arc<IdentityService>),
}

impl Member {
    /// Joins the mesh if the node is logged in, and has it logged in whenever that is needed.
    /// `None` if the configuration asks for an identity service that is not there.
    pub(crate) fn begin(
        database: &Arc<Database>,
        (enrolment, service): (Enrolment, Option<&Arc<IdentityService>>),
        options: SyncOptions,
    ) -> Result<Option<Arc<Self>>, RunError> {
        let road = match (enrolment, service) {
            (Enrolment::Login(settings), _) => Road::Login(settings),
            (Enrolment::OwnService, Some(service)) => Road::OwnService(Arc::clone(service)),
            (Enrolment::OwnService, None) => return Ok(None),
        };
        let member = Arc::new(Self {
            database: Arc::downgrade(database),
            road,
            options: Mutex::new(Some(options)),
        });
        member.resume(database)?;
        let asked = Arc::clone(&member);
        let handler = move |_left: Duration| asked.renew();
        let set = database.set_expiration_handler(handler);
        set.map_err(|error| RunError::Sync {
            reason: error.to_string(),
        })?;
        Ok(Some(member))
    }

    /// Goes on with the last login, if it still holds and is one of this configuration.
    fn resume(&self, database: &Database) -> Result<(), RunError> {
        if let Road::OwnService(_) = self.road {
            // It costs nothing, and rules and authorities may have changed.
            return self.log_in(database).map_err(refused).and_then(|outcome| {
                tell_login(&outcome);
                self.join(database).map_err(unjoined)
            });
        }
        let status = database.auth_status();
        if let (Road::Login(settings), Some(kept)) = (&self.road, database.credentials()) {
            let origin = kept.origin();
            let is_same = origin.server == settings.server.to_string()
                && origin.provider == settings.provider;
            if !is_same {
                say(
                    "login: the configuration names another identity service or provider than the last login, which is forgotten",
                );
                return database.logout().map_err(|error| RunError::Sync {
                    reason: error.to_string(),
                });
            }
        }
        match (status.is_authenticated, status.user_id) {
            (true, Some(user_id)) => {
                say(&format!("login: {user_id}, as the last time"));
                self.join(database).map_err(unjoined)
            }
            _ => {
                if let Road::Login(settings) = &self.road {
                    say(&format!("login: asking {}", settings.server));
                }
                Ok(())
            }
        }
    }

    /// Logs in, and joins the mesh if it was not joined yet.
    fn renew(&self) {
        let Some(database) = self.database.upgrade() else {
            return;
        };
        match self.log_in(&database) {
            Ok(outcome) => {
                tell_login(&outcome);
                if let Err(error) = self.join(&database) {
                    let reason = chain(&error);
                    tracing::error!(
                        reason,
                        "the node logged in and cannot join the mesh: mend this and restart it"
                    );
                }
            }
            Err(error) if error.may_pass() => {
                tracing::warn!(%error, "the node could not log in and will try again");
            }
            Err(error) => {
                tracing::error!(%error, "the node could not log in; find out more with: tombolo doctor");
            }
        }
    }

    fn log_in(&self, database: &Database) -> Result<LoginOutcome, LoginError> {
        match &self.road {
            Road::Login(LoginSettings {
                server,
                token,
                provider,
            }) => database.login(server, token, provider),
            Road::OwnService(service) => database.login_as_service(|device| issue(service, device)),
        }
    }

    fn join(&self, database: &Database) -> Result<(), SyncError> {
        let options = self.options.lock();
        let options = options.unwrap_or_else(PoisonError::into_inner).take();
        let Some(options) = options else {
            return Ok(());
        };
        join_mesh(database, options)
    }

    /// Brings what the node's own identity service says to its links: revocations, and new authorities.
    /// Ends with the database; at once, if the service is elsewhere.
    pub(crate) async fn follow(self: Arc<Self>) {
        let Road::OwnService(service) = &self.road else {
            return;
        };
        let mut ticks = interval(FOLLOW_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen: (Option<Vec<u8>>, Vec<AuthorityKey>) = (None, service.trusted());
        loop {
            ticks.tick().await;
            let Some(database) = self.database.upgrade() else {
                return;
            };
            let now = (service.revocations(), service.trusted());
            if now == seen {
                continue;
            }
            let (member, list) = (Arc::clone(&self), now.0.clone());
            let has_new_keys = now.1 != seen.1;
            seen = now;
            let taken = tokio::task::spawn_blocking(move || {
                if has_new_keys {
                    member.renew();
                }
                list.map_or(Ok(()), |list| database.adopt_revocations(&list))
            });
            if let Ok(Err(error)) = taken.await {
                tracing::error!(%error, "the node could not take the revocations of its own identity service");
            }
        }
    }
}

/// What the node's own service gives it for its key.
fn issue(service: &IdentityService, device: &PeerKeyPair) -> Result<LoginReply, LoginError> {
    let issued = service.own_certificate(device);
    let (certificate, authorities) = issued.map_err(|error| LoginError::OwnService {
        reason: error.to_string(),
    })?;
    Ok(LoginReply {
        certificate: certificate.der().to_vec(),
        authorities,
        expires_ms: certificate.expires_ms(),
        user_id: device.public().to_string(),
        token: String::new(),
        client_info: Value::Null,
        revocations: service.revocations(),
    })
}

fn tell_login(outcome: &LoginOutcome) {
    let LoginOutcome {
        user_id,
        expires_ms,
        ..
    } = outcome;
    say(&format!("login: {user_id}"));
    tracing::info!(user_id, expires_ms, "the node logged in");
}

fn refused(error: LoginError) -> RunError {
    RunError::Login(error)
}

fn unjoined(error: SyncError) -> RunError {
    RunError::Sync {
        reason: chain(&error),
    }
}
