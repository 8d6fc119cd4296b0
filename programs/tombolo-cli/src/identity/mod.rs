//! The identity service: routes under `/_ditto/auth/`, the authority and its directory, and who recognizes users.
//! The rules of a login are in `tombolo-identity`; here are the clock, the files, the tables and the calls.

mod addresses;
mod ca;
mod directory;
mod jwks;
mod live;
mod login;
mod nonces;
mod own;
mod provider;
mod reply;
mod service;
mod throttle;
mod verbs;
mod web;
mod webhook;

pub(crate) use service::{IdentityService, ServiceError, serves};
pub(crate) use verbs::{IdentityVerbError, perform};
