//! What the door of the edge server costs: TLS, keys and the audit log for those who are let in, and for an honest
//! client what an attacker costs who is not. All nodes are processes of their own on the loopback.

mod attack;
mod client;
mod cost;
mod flood;
mod hold;
mod honest;
mod keys;
mod site;

pub(crate) use attack::run as attack;
pub(crate) use cost::run as cost;

use crate::error::BenchError;

fn wrong(detail: &dyn std::fmt::Display) -> BenchError {
    BenchError::Wrong {
        contender: "edge",
        detail: detail.to_string(),
    }
}
