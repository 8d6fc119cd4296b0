//! Benchmarks of two nodes and more: bulk replication and the latency of one change.

mod attachments;
mod bulk;
mod copy;
mod echo;
mod latency;
mod node;
mod payload;
mod peer;
mod replicate;

pub(crate) use attachments::{fill, run as attachments, sizes};
pub(crate) use copy::{
    Copied, copy, copy_into, own_cpu_since, own_cpu_us, save, send, serve as serve_copy,
    serve_into as serve_copy_into,
};
pub(crate) use echo::{connect, serve as serve_echo};
pub(crate) use latency::run as latency;
pub(crate) use node::serve as serve_node;
pub(crate) use replicate::run as replicate;
