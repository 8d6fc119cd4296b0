//! The command line: verbs, options and their help texts.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::audit::Position;

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
    /// Walk a node's way into its mesh and say where it stops, why, and what to do; exit with 1 if it stops.
    /// Then go through the production checklist: what is in order, what is missing and what to check elsewhere.
    #[command(
        after_help = "Examples:\n  tombolo doctor -c edge.yaml\n  tombolo doctor --production -c edge.yaml\n\nIt changes nothing on the disk and may run beside the node. It logs in with the token of the configuration and forgets what it got."
    )]
    Doctor(DoctorCall),
    /// Work with configuration files.
    #[command(
        subcommand,
        after_help = "Example:\n  tombolo config validate -c edge.yaml"
    )]
    Config(ConfigVerb),
    /// Look at the audit log of a node.
    #[command(
        subcommand,
        after_help = "Example:\n  tombolo audit verify -c edge.yaml"
    )]
    Audit(AuditVerb),
    /// Make and check API keys for HTTP clients.
    #[command(subcommand, after_help = "Example:\n  tombolo api-key generate")]
    ApiKey(ApiKeyVerb),
    /// Another name of `api-key`.
    #[command(subcommand, hide = true)]
    Credential(CredentialVerb),
    /// Make the key that the nodes of a mesh share.
    #[command(
        subcommand,
        after_help = "Example:\n  tombolo shared-key generate --output mesh.key"
    )]
    SharedKey(SharedKeyVerb),
    /// Work with the keys of the identity service, and with who is cut off.
    #[command(
        subcommand,
        after_help = "Example:\n  tombolo identity revoke -c node.yaml --user ada\n\nA node that runs takes each change within two seconds."
    )]
    Identity(IdentityVerb),
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

#[derive(Debug, Args)]
pub(crate) struct DoctorCall {
    #[command(flatten)]
    pub(crate) file: ConfigFile,
    /// Exit with 1 also if a line of the production checklist is missing.
    #[arg(long)]
    pub(crate) production: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Check a configuration file and the files it names; exit with 1 if anything is wrong.
    #[command(after_help = "Example:\n  tombolo config validate -c edge.yaml")]
    Validate(ConfigFile),
    /// Check the certificate of the HTTP server, its names and its port; exit with 1 if clients would fail.
    #[command(
        name = "check-tls",
        after_help = "Example:\n  tombolo config check-tls -c edge.yaml --name edge.example.org\n\nRun it as the user of the node, so that it may read what the node may."
    )]
    CheckTls {
        #[command(flatten)]
        file: ConfigFile,
        /// The name or address that clients type; the host of listen_addr, if it is left out.
        #[arg(long)]
        name: Option<String>,
    },
    /// Print an older configuration, with resources, in the newest form, with comments about what changed.
    #[command(
        after_help = "Example:\n  tombolo config migrate -c old.yaml --output edge.yaml\n\nSecrets stand in the new file as they stand in the old one."
    )]
    Migrate {
        /// The YAML file in the older form.
        #[arg(short = 'c', long = "config", value_name = "FILE")]
        path: PathBuf,
        /// Write it to this new file, which only its owner can read; an existing file is never touched.
        #[arg(short = 'o', long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Print the description of the HTTP API, OpenAPI 3.1: of what a configuration turns on, or of everything.
    #[command(after_help = "Example:\n  tombolo config open-api -c edge.yaml --output api.json")]
    OpenApi {
        /// The YAML file that describes the node.
        #[arg(short = 'c', long = "config", value_name = "FILE")]
        config: Option<PathBuf>,
        /// Write it to this file instead of standard output.
        #[arg(short = 'o', long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Print the JSON Schema of configuration files, for editors.
    #[command(
        after_help = "Example:\n  tombolo config schema json > tombolo.schema.json\n\nAn editor with a YAML language server then helps in a file that begins with\n  # yaml-language-server: $schema=./tombolo.schema.json"
    )]
    Schema {
        /// The language that the schema is written in.
        form: SchemaForm,
    },
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum SchemaForm {
    Json,
    Yaml,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditVerb {
    /// Check that no record was cut, changed or put in; exit with 1 if one was, and say at which file and line.
    #[command(
        after_help = "Example:\n  tombolo audit verify -c edge.yaml\n  tombolo audit verify /var/log/tombolo/audit --head 1204:HASH\n\nIt changes nothing and may run beside the node. Whoever can write the files can also write the whole chain anew: note the head that this prints elsewhere, and pass it with --head later."
    )]
    Verify(AuditPlace),
}

#[derive(Debug, Args)]
pub(crate) struct AuditPlace {
    /// The directory of the audit log.
    #[arg(value_name = "DIR", required_unless_present = "path")]
    pub(crate) directory: Option<PathBuf>,
    /// The YAML file of the node whose audit log it is.
    #[arg(
        short = 'c',
        long = "config",
        value_name = "FILE",
        conflicts_with = "directory"
    )]
    pub(crate) path: Option<PathBuf>,
    /// A head that an earlier run printed: the chain must still contain it.
    #[arg(long, value_name = "NUMBER:HASH", value_parser = Position::parse)]
    pub(crate) head: Option<Position>,
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
pub(crate) enum CredentialVerb {
    /// As `api-key generate`.
    GenerateApiKey,
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

#[derive(Debug, Args)]
pub(crate) struct IdentityConfig {
    /// The YAML file of the node that runs the identity service.
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    pub(crate) path: PathBuf,
}

/// Whom a revocation names: exactly one of the three.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Selected {
    /// Every device of this user.
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) user: Option<String>,
    /// One device, by its key as it is shown: pk: and 44 characters.
    #[arg(long)]
    pub(crate) peer: Option<String>,
    /// Everybody whose identity meets this condition over userID, peerKey, provider, issuedMs and metadata.
    #[arg(long, value_name = "DQL", allow_hyphen_values = true)]
    pub(crate) filter: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum IdentityVerb {
    /// List the keys of the authority, the one that signs first; or import one.
    #[command(
        after_help = "Example:\n  tombolo identity ca -c node.yaml --import authority.pem\n\nA key that is imported beside others is trusted and does not sign: see tombolo identity rotate --promote."
    )]
    Ca {
        #[command(flatten)]
        config: IdentityConfig,
        /// Take a P-256 key from this file, PKCS#8 as PEM or DER.
        #[arg(long, value_name = "FILE")]
        import: Option<PathBuf>,
    },
    /// Change the key that signs, in three steps: make one, let it sign, retire the old one.
    #[command(
        after_help = "Example:\n  tombolo identity rotate -c node.yaml\n  tombolo identity rotate -c node.yaml --promote NAME\n  tombolo identity rotate -c node.yaml --retire OLD\n\nWait between the steps until every device has logged in again, so that it trusts the new key before it meets a certificate of it, and has a certificate of it before the old one goes."
    )]
    Rotate {
        #[command(flatten)]
        config: IdentityConfig,
        /// Let this key sign from now on.
        #[arg(
            long,
            value_name = "NAME",
            conflicts_with = "retire",
            allow_hyphen_values = true
        )]
        promote: Option<String>,
        /// Trust this key no longer, and delete it.
        #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
        retire: Option<String>,
    },
    /// Cut off a user, a device, or everybody who meets a condition.
    #[command(
        after_help = "Example:\n  tombolo identity revoke -c node.yaml --user ada\n  tombolo identity revoke -c node.yaml --filter \"metadata.role = 'guest'\"\n\nCertificates made before the cut are refused; whoever may log in again gets a newer one, so stop that at the provider."
    )]
    Revoke {
        #[command(flatten)]
        config: IdentityConfig,
        #[command(flatten)]
        selected: Selected,
        /// Refuse certificates made before this time, in unix milliseconds; now, if it is left out.
        #[arg(long, value_name = "MS")]
        issued_before: Option<u64>,
    },
    /// Undo a revocation.
    #[command(
        after_help = "Example:\n  tombolo identity unrevoke -c node.yaml --user ada\n\nName it as it was revoked: tombolo identity revocations shows how."
    )]
    Unrevoke {
        #[command(flatten)]
        config: IdentityConfig,
        #[command(flatten)]
        selected: Selected,
    },
    /// List who is cut off.
    #[command(after_help = "Example:\n  tombolo identity revocations -c node.yaml")]
    Revocations {
        #[command(flatten)]
        config: IdentityConfig,
    },
}
