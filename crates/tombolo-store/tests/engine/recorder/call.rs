//! System calls, read from the log of `strace -f -y -xx`.
//!
//! A call is placed in the order at which it returned; a sync also tells how many calls had
//! returned when it began, for it covers no later ones.

use std::{
    collections::HashMap,
    ffi::OsString,
    fmt,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

/// One successful call, or one acknowledgement that the child printed.
#[derive(Debug)]
pub(crate) enum Call {
    Open {
        path: PathBuf,
        descriptor: u32,
        flags: String,
    },
    Close {
        descriptor: u32,
    },
    Seek {
        descriptor: u32,
        position: u64,
    },
    Write {
        descriptor: u32,
        offset: Option<u64>,
        bytes: Vec<u8>,
    },
    Truncate {
        descriptor: u32,
        length: u64,
    },
    /// Of a file or a directory, known by the path at the time of the call.
    Sync {
        path: PathBuf,
        descriptor: u32,
        began: usize,
    },
    Rename {
        source: PathBuf,
        target: PathBuf,
    },
    Unlink {
        path: PathBuf,
    },
    MakeDirectory {
        path: PathBuf,
    },
    Acknowledged(usize),
    /// A call that the recorder has no model of; wrong only if it touches the directory.
    Unknown {
        line: String,
        paths: Vec<PathBuf>,
    },
}

impl Call {
    /// Whether a power cut just before this call is worth a look.
    pub(crate) fn is_crash_point(&self, directory: &Path) -> bool {
        match self {
            Self::Sync { path, .. } | Self::Unlink { path } | Self::MakeDirectory { path } => {
                path.starts_with(directory)
            }
            Self::Rename { target, .. } => target.starts_with(directory),
            _ => false,
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sync { path, .. } => write!(formatter, "sync of {}", path.display()),
            Self::Rename { source, target } => {
                write!(
                    formatter,
                    "rename of {} to {}",
                    source.display(),
                    target.display()
                )
            }
            Self::Unlink { path } => write!(formatter, "unlink of {}", path.display()),
            other => write!(formatter, "{other:?}"),
        }
    }
}

/// Reads a whole log.
pub(crate) fn parse(log: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut unfinished: HashMap<&str, (String, usize)> = HashMap::new();
    for line in log.lines() {
        let (thread, text) = line.split_once(' ').unwrap();
        let text = text.trim_start();
        if let Some(begun) = text.strip_suffix(" <unfinished ...>") {
            unfinished.insert(thread, (begun.to_owned(), calls.len()));
        } else if text.starts_with("<... ") {
            let (_, rest) = text.split_once(" resumed>").unwrap();
            let (begun, began) = unfinished.remove(thread).unwrap();
            calls.extend(parse_call(&(begun + rest), began));
        } else if !text.starts_with("+++") && !text.starts_with("---") {
            calls.extend(parse_call(text, calls.len()));
        }
    }
    calls
}

/// One line such as `write(3<\x2f..>, "\x61..", 1) = 1`; nothing for a call that failed.
fn parse_call(text: &str, began: usize) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(" = ")?;
    if result.starts_with('-') || result.starts_with('?') {
        return None;
    }
    let arguments = arguments.trim_end().trim_end_matches(')');
    let arguments: Vec<&str> = arguments.split(", ").collect();
    let number = |index: usize| arguments[index].parse::<u64>().unwrap();
    Some(match name {
        "openat" => Call::Open {
            path: quoted_path(arguments[1]),
            descriptor: descriptor(result),
            flags: arguments[2].to_owned(),
        },
        "close" => Call::Close {
            descriptor: descriptor(arguments[0]),
        },
        "lseek" => Call::Seek {
            descriptor: descriptor(arguments[0]),
            position: result.trim().parse().unwrap(),
        },
        "write" => written(&arguments, result, None),
        "pwrite64" => written(&arguments, result, Some(number(3))),
        "ftruncate" => Call::Truncate {
            descriptor: descriptor(arguments[0]),
            length: number(1),
        },
        "fsync" | "fdatasync" => Call::Sync {
            path: annotated_path(arguments[0]),
            descriptor: descriptor(arguments[0]),
            began,
        },
        "rename" => Call::Rename {
            source: quoted_path(arguments[0]),
            target: quoted_path(arguments[1]),
        },
        // Absolute paths only: a name relative to an open directory falls through to `Unknown`.
        "renameat" | "renameat2" if quoted_path(arguments[1]).is_absolute() => Call::Rename {
            source: quoted_path(arguments[1]),
            target: quoted_path(arguments[3]),
        },
        "unlink" => Call::Unlink {
            path: quoted_path(arguments[0]),
        },
        "mkdir" => Call::MakeDirectory {
            path: quoted_path(arguments[0]),
        },
        _ => Call::Unknown {
            line: text.chars().take(300).collect(),
            paths: named_paths(&arguments),
        },
    })
}

fn written(arguments: &[&str], result: &str, offset: Option<u64>) -> Call {
    let mut bytes = unescape(arguments[1].trim_matches('"'));
    bytes.truncate(result.trim().parse().unwrap());
    let text = bytes
        .strip_prefix(b"ack ")
        .and_then(|rest| rest.strip_suffix(b"\n"));
    let descriptor = descriptor(arguments[0]);
    match (descriptor, text) {
        (1, Some(number)) => Call::Acknowledged(String::from_utf8_lossy(number).parse().unwrap()),
        _ => Call::Write {
            descriptor,
            offset,
            bytes,
        },
    }
}

/// The number in `3<\x2f..>`.
fn descriptor(text: &str) -> u32 {
    text.split('<').next().unwrap().trim().parse().unwrap()
}

/// The path in `3<\x2f..>`.
fn annotated_path(text: &str) -> PathBuf {
    let (_, path) = text.split_once('<').unwrap();
    to_path(path.split('>').next().unwrap())
}

fn quoted_path(text: &str) -> PathBuf {
    to_path(text.trim_matches('"'))
}

fn named_paths(arguments: &[&str]) -> Vec<PathBuf> {
    let quoted = arguments
        .iter()
        .filter(|text| text.starts_with('"'))
        .map(|text| quoted_path(text));
    let annotated = arguments
        .iter()
        .filter(|text| text.contains("<\\x2f"))
        .map(|text| annotated_path(text));
    quoted.chain(annotated).collect()
}

fn to_path(escaped: &str) -> PathBuf {
    OsString::from_vec(unescape(escaped)).into()
}

/// Turns `\x61\x62` into bytes.
fn unescape(text: &str) -> Vec<u8> {
    assert!(!text.ends_with("..."), "strace cut a string short");
    let bytes = text.as_bytes().chunks_exact(4);
    let digit = |digit: u8| char::from(digit).to_digit(16).unwrap();
    bytes
        .map(|escape| u8::try_from(digit(escape[2]) * 16 + digit(escape[3])).unwrap())
        .collect()
}
