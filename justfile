# Daily recipes; `just` lists them. Each is one command that also works without just.

default:
    @just --list

# Build and run a node on the example configuration.
run:
    cargo run --release --bin tombolo -- run -c examples/quickstart.yaml

# Everything that can fail, in the order of its speed.
check: format-check layers tidy lint test

format:
    cargo fmt --all

format-check:
    cargo fmt --all --check

lint:
    cargo clippy --workspace --all-targets -- -D warnings

layers:
    cargo xtask layers

tidy:
    cargo xtask tidy

test:
    cargo test --workspace

# One crate, quickly: just t tombolo-query
t crate:
    cargo test -p {{crate}}

# Licences, banned crates and sources.
deny:
    cargo deny check licenses bans sources

# Known weaknesses; needs the network for the advisory database.
advisories:
    cargo deny check advisories

# Feed one decoder with arbitrary bytes: just fuzz dql_parse 60
fuzz target seconds="60":
    cd fuzz && cargo +nightly fuzz run {{target}} -- -max_total_time={{seconds}} -rss_limit_mb=1024

# Print ratios against peers: just bench document
bench part:
    cargo run --release -p tombolo-bench -- {{part}}

# What the continuous integration runs.
ci:
    .ci/run
