//! Listening, TLS and its reload, limits, request ids and error bodies of an HTTP server; knows no route.
//!
//! A program binds a [`Listener`], gives it an [`Answer`] and runs [`Server::run_until`].
//! HTTP/1.1 and HTTP/2 share one port; TLS is 1.2 or 1.3.
//! This crate never reads a request's meaning, never checks a permission and never draws randomness.

mod activity;
mod answer;
mod arriving;
mod body;
mod certificate;
mod connection;
mod counts;
mod domain_proof;
mod inflate;
mod limits;
mod listen;
mod metered;
mod overload;
mod request;
mod request_body;
mod server;
mod tls;
mod tls_error;

pub use answer::{Answer, Refusal, Response, TimeLimit, json_response};
pub use body::{AnswerCut, Body, BodySender, ClientGone, Room};
pub use certificate::{About, Certificate};
pub use counts::ConnectionCounts;
pub use domain_proof::DomainProof;
pub use limits::Limits;
pub use listen::{ListenError, Listener};
pub use request::{Request, RequestId, Upgrade};
pub use request_body::{BodyError, RequestBody};
pub use server::{Drained, Server, Transport};
pub use tls::{ClientAuthority, ClientCertificate, ClientProof, MinVersion, TlsIdentity};
pub use tls_error::TlsError;
