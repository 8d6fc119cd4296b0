//! House rules as commands: layers and tidy.
fn main() {}
