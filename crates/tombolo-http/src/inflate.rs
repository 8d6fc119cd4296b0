//! Inflating a gzip body piece by piece: whatever a piece holds, at most one small chunk comes out at a time.
//! That is what makes a bomb harmless: its bytes are counted before there are many of them.

use std::io::{self, BufRead, ErrorKind, Read};

use bytes::{Buf, Bytes};
use flate2::bufread::MultiGzDecoder;

/// Most bytes that come out at once.
const CHUNK_BYTES: usize = 32 * 1024;

/// A gzip stream that is fed as its bytes arrive.
#[derive(Debug)]
pub(crate) struct Inflater(MultiGzDecoder<Feed>);

/// What one step gave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Inflated bytes; there may be more without feeding.
    Chunk(Bytes),
    /// All that was fed is used up.
    Hungry,
    /// The stream is complete.
    End,
}

/// What arrived and is not inflated yet.
#[derive(Debug, Default)]
struct Feed {
    piece: Bytes,
    is_last: bool,
}

impl Inflater {
    pub(crate) fn new() -> Self {
        Self(MultiGzDecoder::new(Feed::default()))
    }

    /// The next piece, or `None` at the end. Only when [`Step::Hungry`] asked for it.
    pub(crate) fn feed(&mut self, piece: Option<Bytes>) {
        let is_last = piece.is_none();
        *self.0.get_mut() = Feed {
            piece: piece.unwrap_or_default(),
            is_last,
        };
    }

    /// Inflates at most 32 KiB.
    ///
    /// # Errors
    /// The bytes are no gzip, are damaged, or end early.
    pub(crate) fn step(&mut self) -> io::Result<Step> {
        let mut chunk = vec![0; CHUNK_BYTES];
        match self.0.read(&mut chunk) {
            Ok(0) => Ok(Step::End),
            Ok(count) => {
                chunk.truncate(count);
                Ok(Step::Chunk(chunk.into()))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Step::Hungry),
            Err(error) => Err(error),
        }
    }
}

impl BufRead for Feed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.piece.is_empty() && !self.is_last {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(&self.piece)
    }

    fn consume(&mut self, count: usize) {
        self.piece.advance(count);
    }
}

impl Read for Feed {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.len().min(target.len());
        target[..count].copy_from_slice(&self.piece[..count]);
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn inflate<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> io::Result<Vec<u8>> {
        let mut inflater = Inflater::new();
        let mut pieces = pieces.into_iter();
        let mut content = Vec::new();
        loop {
            match inflater.step()? {
                Step::Chunk(chunk) => {
                    assert!(chunk.len() <= CHUNK_BYTES);
                    content.extend_from_slice(&chunk);
                }
                Step::Hungry => inflater.feed(pieces.next().map(Bytes::copy_from_slice)),
                Step::End => return Ok(content),
            }
        }
    }

    fn some_content() -> Vec<u8> {
        (0..200_000_u32).flat_map(u32::to_le_bytes).collect()
    }

    #[test]
    fn any_cut_of_the_stream_gives_the_same_content() {
        let content = some_content();
        let packed = gzip(&content);
        for size in [1, 7, 1000, packed.len()] {
            assert!(inflate(packed.chunks(size)).unwrap() == content, "{size}");
        }
    }

    #[test]
    fn members_follow_each_other() {
        let packed = [gzip(b"one "), gzip(b""), gzip(b"two")].concat();
        assert_eq!(inflate(packed.chunks(1)).unwrap(), b"one two");
    }

    #[test]
    fn a_stream_that_ends_early_or_is_damaged_is_an_error_at_every_place() {
        let content = b"a few words, a few words, a few words";
        let packed = gzip(content);
        for cut in 1..packed.len() {
            assert!(inflate([&packed[..cut]]).is_err(), "cut at {cut}");
        }
        // Bits that mean nothing may change; the content may not.
        for place in 10..packed.len() {
            let mut damaged = packed.clone();
            damaged[place] ^= 0x40;
            let found = inflate([&damaged[..]]);
            assert!(found.is_err() || found.unwrap() == content, "{place}");
        }
        assert!(inflate([&b"no gzip at all"[..]]).is_err());
    }
}
