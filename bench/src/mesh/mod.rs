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

pub(crate) use attachments::run as attachments;
pub(crate) use copy::serve as serve_copy;
pub(crate) use echo::serve as serve_echo;
pub(crate) use latency::run as latency;
pub(crate) use node::serve as serve_node;
pub(crate) use replicate::run as replicate;
