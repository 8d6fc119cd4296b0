//! Messages to frames and back: channels, sequence numbers, fragments and
//! compression.

use bytes::Bytes;
use tombolo_document::bytes::{Reader, put_varint};
use zstd::bulk::{Compressor, Decompressor};

use super::WireError;
use crate::limits::{
    ATTACHMENT_FRAGMENT_BYTES, ATTACHMENT_MESSAGE_BYTES_MAX, COMPRESS_FROM_BYTES, FRAGMENT_BYTES,
    FRAME_BYTES_MAX, MESSAGE_BYTES_MAX,
};

const CHANNEL: u8 = 0x03;
const MORE: u8 = 0x04;
const COMPRESSED: u8 = 0x08;
/// A fast level: documents repeat their field names, which any level finds.
const LEVEL: i32 = 1;
const CHANNELS: usize = 3;

/// Which queue a message takes. The first overtakes the second, the second the
/// third.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// What steers the session.
    Control = 0,
    /// Documents.
    Documents = 1,
    /// Attachments.
    Attachments = 2,
}

impl Channel {
    /// How much of a message goes into one frame.
    const fn fragment_bytes(self) -> usize {
        match self {
            Self::Control | Self::Documents => FRAGMENT_BYTES,
            Self::Attachments => ATTACHMENT_FRAGMENT_BYTES,
        }
    }

    const fn message_bytes_max(self) -> usize {
        match self {
            Self::Control | Self::Documents => MESSAGE_BYTES_MAX,
            Self::Attachments => ATTACHMENT_MESSAGE_BYTES_MAX,
        }
    }
}

/// A message ready to be cut into frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    compressed: bool,
    bytes: Vec<u8>,
}

impl Packed {
    /// A message as it is.
    #[must_use]
    pub const fn plain(bytes: Vec<u8>) -> Self {
        Self {
            compressed: false,
            bytes,
        }
    }

    /// How many bytes go on the line, headers aside.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is nothing in it, which no message is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// Compresses messages, one after another in the same memory.
pub(crate) struct Packer {
    compressor: Compressor<'static>,
    small: Vec<u8>,
}

impl Default for Packer {
    fn default() -> Self {
        let compressor = Compressor::new(LEVEL);
        Self {
            compressor: compressor.expect("invariant: the level is one that the library has"),
            small: Vec::new(),
        }
    }
}

impl Packer {
    /// A message, compressed if that makes it smaller.
    pub(crate) fn pack(&mut self, message: &[u8]) -> Packed {
        if message.len() < COMPRESS_FROM_BYTES {
            return Packed::plain(message.to_vec());
        }
        self.small.clear();
        self.small
            .reserve(zstd::zstd_safe::compress_bound(message.len()));
        let packed = self.compressor.compress_to_buffer(message, &mut self.small);
        if packed.is_err() || self.small.len() + 4 >= message.len() {
            return Packed::plain(message.to_vec());
        }
        let mut bytes = Vec::with_capacity(self.small.len() + 4);
        put_varint(&mut bytes, message.len() as u64);
        bytes.extend_from_slice(&self.small);
        Packed {
            compressed: true,
            bytes,
        }
    }
}

/// The sending half: numbers the frames of each channel.
#[derive(Debug, Default)]
pub struct Framer {
    next: [u64; CHANNELS],
}

impl Framer {
    /// Cuts a message into frames.
    pub fn frames(&mut self, channel: Channel, message: &Packed, mut send: impl FnMut(Bytes)) {
        let mut fragments = message.bytes.chunks(channel.fragment_bytes()).peekable();
        while let Some(fragment) = fragments.next() {
            let more = if fragments.peek().is_some() { MORE } else { 0 };
            let packed = if message.compressed { COMPRESSED } else { 0 };
            let number = &mut self.next[channel as usize];
            let mut frame = Vec::with_capacity(fragment.len() + 10);
            frame.push(channel as u8 | more | packed);
            put_varint(&mut frame, *number);
            frame.extend_from_slice(fragment);
            *number += 1;
            send(frame.into());
        }
    }

    /// The one frame of a message that is not compressed and fits into it, encoded
    /// where it goes: what is large is copied once. `bytes_max` is no less than
    /// what `encode` writes.
    pub(crate) fn whole(
        &mut self,
        channel: Channel,
        bytes_max: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Bytes {
        let number = &mut self.next[channel as usize];
        let mut frame = Vec::with_capacity(bytes_max + 10);
        frame.push(channel as u8);
        put_varint(&mut frame, *number);
        encode(&mut frame);
        *number += 1;
        frame.into()
    }
}

/// The receiving half: puts fragments together again.
pub struct Assembler {
    lanes: [Lane; CHANNELS],
    inflater: Decompressor<'static>,
}

#[derive(Debug, Default)]
struct Lane {
    next: u64,
    partial: Vec<u8>,
}

impl Default for Assembler {
    fn default() -> Self {
        Self {
            lanes: Default::default(),
            inflater: Decompressor::new().expect("invariant: a context needs memory alone"),
        }
    }
}

impl Assembler {
    /// Takes a frame; gives the message that it completes.
    ///
    /// # Errors
    /// The frame breaks the format; the link is of no use then.
    pub fn take(&mut self, frame: &Bytes) -> Result<Option<(Channel, Bytes)>, WireError> {
        if frame.len() > FRAME_BYTES_MAX {
            return Err(too_large("a frame", FRAME_BYTES_MAX));
        }
        let mut reader = Reader::new(frame);
        let header = reader.byte("frame")?;
        let channel = match header & CHANNEL {
            0 => Channel::Control,
            1 => Channel::Documents,
            2 => Channel::Attachments,
            _ => return Err(reader.malformed("channel").into()),
        };
        if header & !(CHANNEL | MORE | COMPRESSED) != 0 {
            return Err(reader.malformed("frame header").into());
        }
        let found = reader.varint("sequence")?;
        let lane = &mut self.lanes[channel as usize];
        if found != lane.next {
            let expected = lane.next;
            return Err(WireError::Sequence { expected, found });
        }
        lane.next += 1;
        let bytes_max = channel.message_bytes_max();
        if lane.partial.len() + reader.rest().len() > bytes_max {
            return Err(too_large("a message", bytes_max));
        }
        if channel == Channel::Attachments && header & COMPRESSED != 0 {
            return Err(WireError::Protocol("a compressed message of an attachment"));
        }
        if header & MORE != 0 {
            lane.partial.extend_from_slice(reader.rest());
            return Ok(None);
        }
        let message = if lane.partial.is_empty() {
            frame.slice(reader.position()..)
        } else {
            lane.partial.extend_from_slice(reader.rest());
            std::mem::take(&mut lane.partial).into()
        };
        if header & COMPRESSED == 0 {
            return Ok(Some((channel, message)));
        }
        Ok(Some((channel, self.inflate(&message)?)))
    }

    fn inflate(&mut self, packed: &[u8]) -> Result<Bytes, WireError> {
        let mut reader = Reader::new(packed);
        let length = reader.varint("length")?;
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= MESSAGE_BYTES_MAX)
            .ok_or(too_large("an unpacked message", MESSAGE_BYTES_MAX))?;
        let inflated = self
            .inflater
            .decompress(reader.rest(), length)
            .map_err(|_| WireError::Compression)?;
        if inflated.len() == length {
            Ok(inflated.into())
        } else {
            Err(WireError::Compression)
        }
    }
}

const fn too_large(what: &'static str, max: usize) -> WireError {
    WireError::TooLarge { what, max }
}
