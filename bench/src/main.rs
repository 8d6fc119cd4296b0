//! Benchmarks against peers and limits, printed as ratios of one run.
fn main() {}
