//! Frames on a stream of bytes: four bytes of length, most significant first,
//! then the frame. A length is judged before a byte is set aside for it.

use bytes::{Buf, Bytes, BytesMut};

use crate::link::LinkError;

/// Largest frame, in bytes, without the length before it: 1 MiB.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// Length of the length.
pub(crate) const HEADER_BYTES: usize = 4;

/// The header of a frame to be sent.
pub(crate) fn header(frame: &Bytes) -> Result<[u8; HEADER_BYTES], LinkError> {
    let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    check(length)?;
    Ok(length.to_be_bytes())
}

/// Takes the first frame out of what arrived; `None` if it is not whole yet.
pub(crate) fn take(arrived: &mut BytesMut) -> Result<Option<Bytes>, LinkError> {
    let Some((header, _)) = arrived.split_first_chunk::<HEADER_BYTES>() else {
        return Ok(None);
    };
    let length = check(u32::from_be_bytes(*header))?;
    if arrived.len() - HEADER_BYTES < length {
        return Ok(None);
    }
    arrived.advance(HEADER_BYTES);
    Ok(Some(arrived.split_to(length).freeze()))
}

/// Bytes that lack of the first frame; `None` while its length is not known.
/// What arrived was judged by [`take`].
pub(crate) fn lacking(arrived: &[u8]) -> Option<usize> {
    let (header, arrived) = arrived.split_first_chunk::<HEADER_BYTES>()?;
    let length = check(u32::from_be_bytes(*header)).ok()?;
    Some(length.saturating_sub(arrived.len()))
}

fn check(length: u32) -> Result<usize, LinkError> {
    match usize::try_from(length).unwrap_or(usize::MAX) {
        0 => Err(LinkError::Empty),
        bytes if bytes > FRAME_BYTES_MAX => Err(LinkError::TooLarge { bytes }),
        bytes => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn arrived(length: u32, body: &[u8]) -> BytesMut {
        BytesMut::from([&length.to_be_bytes(), body].concat().as_slice())
    }

    #[test]
    fn a_length_is_judged_before_its_bytes_arrive() {
        assert!(matches!(take(&mut arrived(0, b"")), Err(LinkError::Empty)));
        let above = take(&mut arrived((1 << 20) + 1, b""));
        assert!(matches!(
            above,
            Err(LinkError::TooLarge { bytes: 1_048_577 })
        ));
        let most = take(&mut arrived(u32::MAX, b""));
        assert!(matches!(most, Err(LinkError::TooLarge { .. })));
        assert!(matches!(take(&mut arrived(1 << 20, b"x")), Ok(None)));
    }

    #[test]
    fn only_frames_that_others_accept_are_sent() {
        assert!(header(&Bytes::from(vec![0; FRAME_BYTES_MAX])).is_ok());
        assert!(header(&Bytes::from(vec![0; FRAME_BYTES_MAX + 1])).is_err());
        assert!(header(&Bytes::new()).is_err());
    }

    proptest! {
        #[test]
        fn frames_arrive_whole_however_the_stream_is_cut(
            frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8),
            cut in 1usize..9,
        ) {
            let mut stream = Vec::new();
            for frame in &frames {
                stream.extend_from_slice(&header(&Bytes::copy_from_slice(frame)).unwrap());
                stream.extend_from_slice(frame);
            }
            let (mut buffer, mut found) = (BytesMut::new(), Vec::new());
            for piece in stream.chunks(cut) {
                buffer.extend_from_slice(piece);
                while let Some(frame) = take(&mut buffer).unwrap() {
                    found.push(frame.to_vec());
                }
            }
            prop_assert_eq!(found, frames);
            prop_assert!(buffer.is_empty());
        }
    }
}
