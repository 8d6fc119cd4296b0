//! The command line: verbs, options and their help texts.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// An offline-first mesh database node.
#[derive(Debug, Parser)]
#[command(name = "tombolo", version, arg_required_else_help = true)]
pub(crate) struct Command {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Start the node that a configuration file describes.
    #[command(
        after_help = "Example:\n  tombolo run -c edge.yaml\n\nSIGTERM or SIGINT finishes the requests in work and exits with 0."
    )]
    Run(ConfigFile),
    /// Work with configuration files.
    #[command(
        subcommand,
        after_help = "Example:\n  tombolo config validate -c edge.yaml"
    )]
    Config(ConfigVerb),
    /// Make and check API keys for HTTP clients.
    #[command(subcommand, after_help = "Example:\n  tombolo api-key generate")]
    ApiKey(ApiKeyVerb),
    /// Make the key that the nodes of a mesh share.
    #[command(
        subcommand,
        after_help = "Example:\n  tombolo shared-key generate --output mesh.key"
    )]
    SharedKey(SharedKeyVerb),
}

#[derive(Debug, Args)]
pub(crate) struct ConfigFile {
    /// The YAML file that describes the node.
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    pub(crate) path: PathBuf,
    /// Let dev_mode (no encryption or no keys) listen on addresses that other machines reach.
    #[arg(long)]
    pub(crate) allow_insecure_listen: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Check a configuration file and the files it names; exit with 1 if anything is wrong.
    #[command(after_help = "Example:\n  tombolo config validate -c edge.yaml")]
    Validate(ConfigFile),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ApiKeyVerb {
    /// Print a new private key for a client and its public hash for the configuration.
    #[command(
        after_help = "Example:\n  tombolo api-key generate\n\nThe private key is shown once and stored nowhere."
    )]
    Generate,
    /// Tell whether a private key belongs to a public hash; exit with 1 if not.
    #[command(after_help = "Example:\n  tombolo api-key validate --key KEY --hash HASH")]
    Validate {
        /// The private key of the client.
        #[arg(long)]
        key: String,
        /// The public hash of the configuration.
        #[arg(long)]
        hash: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SharedKeyVerb {
    /// Make a new shared key: one line of base64, on standard output or in a new file.
    #[command(
        after_help = "Example:\n  tombolo shared-key generate --output mesh.key\n\nGive it to every node of the mesh as database.auth.small_peer_only.key_b64: { path: mesh.key }.\nWhoever has it can read and write everything in the mesh, and it cannot be taken back from one device."
    )]
    Generate {
        /// Write the key to this new file, which only its owner can read; an existing file is never touched.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}
