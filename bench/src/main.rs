//! Benchmarks against peers and limits: each part runs ours and theirs in turn and prints ratios of one run.
//! Figures of different runs are never compared, because the machine is not the same machine twice.
//! `tombolo-bench document | commit | http | login | permission | restart | replicate | latency | attachments |
//! attachments-sync | edge-cost | edge-attack` measures; `serve`, `node`, `copy`, `copy-into` and `echo` are
//! for what these start as children.

#[expect(
    dead_code,
    reason = "the program's module as it is, of which a part is measured"
)]
#[path = "../../programs/tombolo-cli/src/api_key/mod.rs"]
mod api_key;
mod attachments;
mod commit;
mod document;
mod edge;
mod error;
mod http;
mod login;
mod machine;
mod mesh;
mod node;
mod order;
mod permission;
mod restart;
mod rounds;

use std::io::{self, Write};
use std::process::ExitCode;

use error::BenchError;

const USAGE: &str = "usage: tombolo-bench document | commit | restart | login | permission | http [null|postgres|tombolo ...] [--seconds N] [--rounds N] | replicate [--documents N] [--payload regular|random] [--rounds N] | latency [--changes N] [--rounds N] | attachments [--mib N] [--rounds N] | attachments-sync [--mib N] [--rounds N] | edge-cost [--seconds N] [--rounds N] | edge-attack [KIND ...] [--seconds N] [--rounds N]";

/// The program's own allocator: docs/decisions/allocator.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(report) => {
            // Nothing is left to do if the terminal is gone.
            let _ = write!(io::stdout(), "{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "tombolo-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<String, BenchError> {
    let (part, rest) = arguments.split_first().ok_or(BenchError::Usage(USAGE))?;
    match part.as_str() {
        "attachments" => attachments::run(rest),
        "attachments-sync" => mesh::attachments(rest),
        "commit" => commit::run(),
        "copy" => mesh::serve_copy(rest).map(|()| String::new()),
        "copy-into" => mesh::serve_copy_into(rest).map(|()| String::new()),
        "document" => document::run(),
        "edge-attack" => edge::attack(rest),
        "edge-cost" => edge::cost(rest),
        "echo" => mesh::serve_echo(rest).map(|()| String::new()),
        "http" => http::run(rest),
        "login" => login::run(),
        "latency" => mesh::latency(rest),
        "node" => mesh::serve_node(rest).map(|()| String::new()),
        "permission" => permission::run(),
        "replicate" => mesh::replicate(rest),
        "restart" => restart::run(),
        "serve" => http::serve(rest).map(|()| String::new()),
        _ => Err(BenchError::Usage(USAGE)),
    }
}
