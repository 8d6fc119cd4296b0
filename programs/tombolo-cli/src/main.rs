//! The tombolo binary: configuration, verbs and the edge server.
//! Contains no rule of the database; it reads what the operator wrote and joins the parts.

mod acme;
mod api_key;
mod audit;
mod check_tls;
mod cli;
mod client_tls;
mod clock;
mod config;
mod config_verbs;
mod doctor;
mod edge;
mod enrolment;
mod health;
mod identity;
mod logs;
mod metrics;
mod recorder;
mod rolling;
mod run;
mod serving;
mod shared_key;
mod sync_report;
mod upkeep;
mod verbs;

use std::process::ExitCode;

use clap::Parser;

/// Many small allocations of several threads are what a server does; the system allocator costs it dearly.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    verbs::perform(cli::Command::parse())
}
