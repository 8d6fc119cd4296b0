//! Runs the conformance cases against a node in memory.
