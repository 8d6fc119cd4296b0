//! The tombolo binary: configuration, verbs and the edge server.
fn main() {}
