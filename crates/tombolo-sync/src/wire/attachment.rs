//! The messages that bring attachments.

use bytes::Bytes;
use tombolo_document::DocumentId;
use tombolo_document::attachment::{ATTACHMENT_BYTES_MAX, AttachmentId};
use tombolo_document::bytes::{DecodeError, Reader, put_blob, put_varint};

use super::Channel;
use super::message::{put_document, take_blob, take_document};
use crate::limits::{PIECE_BYTES, PULLED_PIECES_MAX};

const SEEK: u8 = 11;
const HOLDING: u8 = 12;
const LACKING: u8 = 13;
const PULL: u8 = 14;
const PIECE: u8 = 15;
const RELEASE: u8 = 16;

const HAS_MANIFEST: u8 = 1;
/// Bytes of the manifest of the longest attachment.
const MANIFEST_BYTES_MAX: usize = 1 << 20;

/// Why an attachment does not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    /// The peer does not hold the document, may not give it, or finds no such
    /// token in it; which of these, it does not say.
    Refused = 1,
    /// The peer does not hold the content.
    NotHeld = 2,
}

/// What two peers say about attachments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttachmentMessage {
    /// An attachment is wanted.
    Seek {
        /// The asker's number for it.
        request: u64,
        /// Whether the asker has the manifest.
        has_manifest: bool,
        /// Where the document is that refers to it.
        collection: String,
        /// The document.
        id: DocumentId,
        /// The attachment.
        attachment: AttachmentId,
        /// Its length by the token, in bytes.
        length: u64,
    },
    /// It is here.
    Holding {
        /// Of the Seek.
        request: u64,
        /// Its manifest, unless the asker has it; not checked here.
        manifest: Bytes,
    },
    /// It does not come, or no further.
    Lacking {
        /// Of the Seek.
        request: u64,
        /// Why.
        lack: Lack,
    },
    /// Pieces are wanted.
    Pull {
        /// Of the Seek.
        request: u64,
        /// The first of them.
        first: u64,
        /// How many.
        count: u64,
    },
    /// A piece.
    Piece {
        /// Of the Seek.
        request: u64,
        /// Which.
        piece: u64,
        /// Its bytes.
        content: Bytes,
    },
    /// Nothing more of it is wanted.
    Release {
        /// Of the Seek.
        request: u64,
    },
}

impl AttachmentMessage {
    /// The channel that it belongs to: what steers overtakes what it steers.
    #[must_use]
    pub const fn channel(&self) -> Channel {
        match self {
            Self::Seek { .. } | Self::Pull { .. } | Self::Release { .. } => Channel::Control,
            Self::Holding { .. } | Self::Lacking { .. } | Self::Piece { .. } => {
                Channel::Attachments
            }
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Seek {
                request,
                has_manifest,
                collection,
                id,
                attachment,
                length,
            } => {
                put_head(out, SEEK, *request);
                out.push(if *has_manifest { HAS_MANIFEST } else { 0 });
                put_document(out, collection, id);
                out.extend_from_slice(attachment.as_bytes());
                put_varint(out, *length);
            }
            Self::Holding { request, manifest } => {
                put_head(out, HOLDING, *request);
                put_blob(out, manifest);
            }
            Self::Lacking { request, lack } => {
                put_head(out, LACKING, *request);
                out.push(*lack as u8);
            }
            Self::Pull {
                request,
                first,
                count,
            } => {
                put_head(out, PULL, *request);
                put_varint(out, *first);
                put_varint(out, *count);
            }
            Self::Piece {
                request,
                piece,
                content,
            } => put_piece(out, *request, *piece, content),
            Self::Release { request } => put_head(out, RELEASE, *request),
        }
    }

    /// Reads a message behind its kind; `None` if the kind is not one of these.
    pub(crate) fn take(
        kind: u8,
        reader: &mut Reader<'_>,
        bytes: &Bytes,
    ) -> Result<Option<Self>, DecodeError> {
        if !(SEEK..=RELEASE).contains(&kind) {
            return Ok(None);
        }
        let request = reader.varint("request")?;
        let message = match kind {
            SEEK => take_seek(request, reader)?,
            HOLDING => {
                let manifest = take_blob(reader, MANIFEST_BYTES_MAX, "manifest")?;
                let manifest = bytes.slice_ref(manifest);
                Self::Holding { request, manifest }
            }
            LACKING => {
                let lack = match reader.byte("reason")? {
                    1 => Lack::Refused,
                    2 => Lack::NotHeld,
                    _ => return Err(reader.malformed("reason")),
                };
                Self::Lacking { request, lack }
            }
            PULL => {
                let first = reader.varint("piece")?;
                let count = reader.varint("count of pieces")?;
                if count == 0 || count > PULLED_PIECES_MAX as u64 {
                    return Err(reader.malformed("count of pieces"));
                }
                Self::Pull {
                    request,
                    first,
                    count,
                }
            }
            PIECE => {
                let piece = reader.varint("piece")?;
                let length = reader.rest().len();
                if length > PIECE_BYTES {
                    return Err(reader.malformed("piece: too large"));
                }
                let content = bytes.slice_ref(reader.take(length, "piece")?);
                Self::Piece {
                    request,
                    piece,
                    content,
                }
            }
            _ => Self::Release { request },
        };
        Ok(Some(message))
    }
}

fn take_seek(request: u64, reader: &mut Reader<'_>) -> Result<AttachmentMessage, DecodeError> {
    let has_manifest = match reader.byte("flags")? {
        0 => false,
        HAS_MANIFEST => true,
        _ => return Err(reader.malformed("flags")),
    };
    let (collection, id) = take_document(reader)?;
    let attachment = AttachmentId::from_bytes(reader.array("attachment id")?);
    let length = reader.varint("length")?;
    if length > ATTACHMENT_BYTES_MAX {
        return Err(reader.malformed("length of an attachment"));
    }
    Ok(AttachmentMessage::Seek {
        request,
        has_manifest,
        collection,
        id,
        attachment,
        length,
    })
}

/// Writes the message of a piece.
pub(crate) fn put_piece(out: &mut Vec<u8>, request: u64, piece: u64, content: &[u8]) {
    out.reserve(content.len() + 32);
    put_head(out, PIECE, request);
    put_varint(out, piece);
    out.extend_from_slice(content);
}

fn put_head(out: &mut Vec<u8>, kind: u8, request: u64) {
    out.push(kind);
    put_varint(out, request);
}
